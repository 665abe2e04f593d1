"""Ingest to publish without a model, on a stock Faust agent with `take`: what one gets by following Faust's guide.

    python -m bench.null_faust SOURCE TARGET TOTAL      settings from the environment, as for a worker

Reads JSON, takes batches, publishes a small JSON result a record with acks=all and awaits every delivery before the
batch is acknowledged. Prints RESULT and one object of JSON when TOTAL results are acknowledged, and ends at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from typing import Any

import faust
import orjson

from workers.settings import Settings

WITHIN_S = 0.05  # longest wait of `take` for a full batch; the topic is full, so it never waits


def build(settings: Settings, source: str, target: str, total: int) -> faust.App:
    """A Faust app with one agent, as the guide writes it.

    Args:
        settings: Broker, group, session timeout and batch size.
        source: Topic that is read.
        target: Topic that is written.
        total: Results to publish before the process ends.
    """
    app = faust.App(
        settings.kafka_group, broker=f"kafka://{settings.kafka_bootstrap_servers}", autodiscover=False,
        datadir=tempfile.mkdtemp(prefix="wardstream-faust-"), web_enabled=False, topic_disable_leader=True,
        topic_allow_declare=False, consumer_auto_offset_reset="earliest", producer_acks=-1,
        broker_session_timeout=settings.kafka_session_timeout_s,
        broker_heartbeat_interval=settings.kafka_session_timeout_s / 4,
        broker_commit_interval=settings.kafka_commit_interval_s,
    )  # fmt: skip
    events = app.topic(source, value_serializer="json")
    answers = app.topic(target, value_serializer="json")
    acknowledged: list[tuple[float, int]] = []

    @app.agent(events)  # type: ignore[untyped-decorator]
    async def decide(stream: Any) -> None:
        async for batch in stream.take(settings.batch_max_records, within=WITHIN_S):
            sent = [
                await answers.send(
                    key=event["patient_id"],
                    value={"patient_id": event["patient_id"], "event_id": event["event_id"], "score": 0.0},
                )
                for event in batch
            ]
            await asyncio.gather(*sent)
            before = acknowledged[-1][1] if acknowledged else 0
            acknowledged.append((time.monotonic(), before + len(batch)))
            if acknowledged[-1][1] >= total:
                (begun, first), (end, last) = acknowledged[0], acknowledged[-1]
                print("RESULT", orjson.dumps({"records": last - first, "seconds": end - begun}).decode(), flush=True)
                os._exit(0)

    return app


if __name__ == "__main__":
    _source, _target, _total = sys.argv[1:]
    faust.Worker(
        build(Settings(), _source, _target, int(_total)), loglevel="error", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
