"""Stands in for a worker in tests of the tools: answers every input record with a fixed result or a dead letter.

Run as a program with the environment of a worker. It serves /health/ready and /metrics like one, and ends with
status 3 after FAKE_WORKER_DIES_AFTER records, if that is set.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from topics import headers
from topics.catalogue import DEAD_LETTERS, IMAGING, NOTES, RECOMMENDATIONS, TOPICS, VITALS, full_name
from topics.codec import Rejected, decode
from topics.schemas import example
from workers.kafka_clients import consumer_options, producer_options
from workers.settings import Settings

TEMPLATE: dict[str, Any] = orjson.loads(example("recommendation"))
METRICS = b"""# TYPE wardstream_batch_records histogram
wardstream_batch_records_bucket{lane="vitals",le="+Inf"} 4
wardstream_batch_records_sum{lane="vitals"} 10
wardstream_batch_records_count{lane="vitals"} 4
# TYPE wardstream_embedding_cache_total counter
wardstream_embedding_cache_total{kind="note",outcome="hit"} 3
wardstream_embedding_cache_total{kind="note",outcome="miss"} 9
"""


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(METRICS if self.path == "/metrics" else b"ready")

    def log_message(self, *_: object) -> None:
        """Quiet."""


def answer(record: Any, prefix: str) -> dict[str, Any]:
    """What goes out for one input record, as arguments for a producer."""
    kind = next(topic.kind for topic in TOPICS if full_name(prefix, topic.name) == record.topic)
    (outcome,) = decode(kind, [(record.key, record.value)], now_ms=round(time.time() * 1000))
    if isinstance(outcome, Rejected):
        origin = {
            headers.ERROR_REASON: outcome.reason.encode(), headers.ERROR_DETAIL: b"made for a test",
            headers.ERROR_TOPIC: record.topic.encode(), headers.ERROR_PARTITION: str(record.partition).encode(),
            headers.ERROR_OFFSET: str(record.offset).encode(),
        }  # fmt: skip
        return {
            "topic": full_name(prefix, DEAD_LETTERS), "key": record.key, "value": record.value,
            "headers": [*record.headers, *origin.items()],
        }  # fmt: skip
    event = outcome.event
    caused_by = {
        "event_id": event.event_id, "topic": record.topic, "partition": record.partition, "offset": record.offset,
        "event_time": event.event_time.isoformat(), "source": event.source,
    }  # fmt: skip
    value = copy.deepcopy(TEMPLATE)
    recommendation_id = str(uuid.uuid5(uuid.NAMESPACE_URL, event.event_id))
    value |= {"recommendation_id": recommendation_id, "patient_id": event.patient_id, "caused_by": caused_by}
    state = [(headers.ALERT_STATE, value["alert"]["state"].encode())]
    return {
        "topic": full_name(prefix, RECOMMENDATIONS), "key": record.key, "value": orjson.dumps(value), "headers": state,
    }  # fmt: skip


async def work(settings: Settings) -> None:
    prefix = settings.topic_prefix
    inputs = [full_name(prefix, name) for name in (VITALS, NOTES, IMAGING)]
    dies_after = int(os.environ.get("FAKE_WORKER_DIES_AFTER", "0"))
    done = 0
    async with (
        AIOKafkaConsumer(*inputs, **consumer_options(settings)) as consumer,
        AIOKafkaProducer(**producer_options(settings)) as producer,
    ):
        pages = HTTPServer((settings.web_host, settings.web_port), Pages)
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        async for record in consumer:
            await producer.send(**answer(record, prefix))
            done += 1
            if done == dies_after:
                print("the fake worker ends as it was told", flush=True)
                os._exit(3)


if __name__ == "__main__":
    asyncio.run(work(Settings()))
