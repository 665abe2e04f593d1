"""Ingest to publish without a model, on the worker's own parts: consumption, ledger, batcher, publisher.

    python -m bench.null_ours SOURCE TARGET TOTAL       settings from the environment, as for a worker

Reads JSON, decides nothing, publishes a small JSON result a record with acks=all, and commits what the ledger allows.
Prints RESULT and one object of JSON when TOTAL results are acknowledged. `null_faust.py` does the same the stock way.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from topics.events import Event
from workers import kafka_clients
from workers.batcher import Batch, LaneSettings, MicroBatcher
from workers.consumer import Consumption
from workers.ledger import PartitionLedger
from workers.metrics import Metrics
from workers.pipeline import DECIDE_DEPTH
from workers.publisher import Outgoing, Publisher
from workers.records import Record, Source
from workers.settings import Settings
from workers.slow_start import Care
from workers.stage import Stage
from workers.warm_up import tune_interpreter

PUBLISH_BYTES = 1_000_000  # as in workers.app


@dataclass(slots=True)
class Small:
    """A small result."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()

    def shed(self) -> bool:
        """See `workers.publisher.Outgoing`."""
        return False


class NullWorker:
    """What a worker is without models and contexts; the `Sink` of consumption.

    Args:
        settings: Kafka and batching.
        source: Topic that is read.
        target: Topic that is written.
        total: Results to publish.
    """

    def __init__(self, settings: Settings, source: str, target: str, total: int) -> None:
        self._settings, self._source, self._target, self._total = settings, source, target, total
        lane = LaneSettings(
            source, 0, settings.batch_max_records, settings.slack_vitals_ms / 1000,
            max_cost=settings.batch_max_records, capacity=settings.inflight_max_records,
            capacity_bytes=settings.inflight_max_bytes,
        )  # fmt: skip
        self._stage = Stage(MicroBatcher([lane]), DECIDE_DEPTH, Metrics())
        self._publisher = Publisher(
            lambda: AIOKafkaProducer(
                **kafka_clients.producer_options(settings), max_batch_size=PUBLISH_BYTES, linger_ms=0
            ),
            lambda _error: None,
        )
        self._acknowledged: list[tuple[float, int]] = []  # when, how many so far
        self._done = asyncio.Event()

    def room(self, topic: str) -> bool:
        """See `workers.consumer.Sink`."""
        return self._stage.batcher.room(topic)

    async def accept(self, partition: TopicPartition, ledger: PartitionLedger, records: list[Any], care: Care) -> None:
        """See `workers.consumer.Sink`."""
        received, received_ms = time.monotonic(), time.time_ns() // 1_000_000
        for r in records:
            event = cast("Event", orjson.loads(r.value))
            source = Source(
                self._source,
                partition.partition,
                r.offset,
                r.key,
                r.value,
                r.headers,
                ledger,
                received_ms,
                received,
                care,
            )
            self._stage.add(Record(source, event, 0, r.key, 0, 0))

    async def settle(self, timeout_s: float) -> bool:
        """See `workers.consumer.Sink`."""
        self._stage.batcher.drop()
        end = time.monotonic() + timeout_s
        while self._stage.running and time.monotonic() < end:  # noqa: ASYNC110 - as the pipeline does at a hand-over
            await asyncio.sleep(0.005)
        return not self._stage.running

    async def _handle(self, batch: Batch[Record]) -> None:
        outgoing: defaultdict[int, list[Outgoing]] = defaultdict(list)
        for record in batch.items:
            event = cast("dict[str, Any]", record.event)
            value = orjson.dumps({"patient_id": event["patient_id"], "event_id": event["event_id"], "score": 0.0})
            outgoing[record.source.partition].append(Small(record.source.key, value))
        await asyncio.gather(*(self._publisher.publish(self._target, p, items) for p, items in outgoing.items()))
        for record in batch.items:
            record.source.ledger.done(record.source.offset)
        before = self._acknowledged[-1][1] if self._acknowledged else 0
        self._acknowledged.append((time.monotonic(), before + len(batch.items)))
        if before + len(batch.items) >= self._total:
            self._done.set()

    async def run(self) -> dict[str, float]:
        """Run until all results are acknowledged; how many in how many seconds, from the first acknowledgement on."""
        settings = self._settings
        admin = AIOKafkaAdminClient(**kafka_clients.admin_options(settings))
        consumer = AIOKafkaConsumer(**kafka_clients.group_consumer_options(settings))

        async def committed(partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
            return dict(await admin.list_consumer_group_offsets(settings.kafka_group, partitions=partitions))

        consumption = Consumption(consumer, committed, [self._source], self, drain_s=settings.drain_s)
        await admin.start()
        tune_interpreter()  # as a worker does
        await self._publisher.start()
        await consumption.start()
        tasks = [
            asyncio.create_task(work)
            for work in (self._stage.serve(self._handle), consumption.run(), self._commit(consumption))
        ]
        ended: asyncio.Task[Any] = asyncio.create_task(self._done.wait())
        try:
            await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in (ended, *tasks):
                task.cancel()
            await asyncio.gather(ended, *tasks, return_exceptions=True)
            await consumption.stop()
            await self._publisher.stop()
            await admin.close()
        (begun, first), (end, last) = self._acknowledged[0], self._acknowledged[-1]
        return {"records": last - first, "seconds": end - begun}

    async def _commit(self, consumption: Consumption) -> None:
        while True:
            await asyncio.sleep(self._settings.kafka_commit_interval_s)
            await consumption.commit()


if __name__ == "__main__":
    _source, _target, _total = sys.argv[1:]
    print("RESULT", orjson.dumps(asyncio.run(NullWorker(Settings(), _source, _target, int(_total)).run())).decode())
