"""Records into topics and out of them: filled beforehand, sent on schedule, read back.

Decides how load is produced so that the producer is never what is measured. Must not know what results mean.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.events import number_of
from bench.schedule import Schedule
from topics.catalogue import RECOMMENDATIONS, full_name
from workers import kafka_clients
from workers.cli.errors import UserError
from workers.settings import Settings

_BATCH_BYTES: Final = 900_000  # below Kafka's default message.max.bytes
_TICK_S: Final = 0.001
_EVENT_ID: Final = re.compile(rb'"event_id":"([a-z]-\d{10})"')


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer with the settings of a worker's."""
    client = AIOKafkaProducer(**kafka_clients.producer_options(settings), max_batch_size=_BATCH_BYTES, linger_ms=0)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def fill(settings: Settings, topic: str, records: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Write records, (partition, key, value) each, in order, in whole batches; returns how many, all acknowledged."""
    count = 0
    name = full_name(settings.topic_prefix, topic)
    async with producer(settings) as client:
        batches = [client.create_batch() for _ in range(settings.topic_partitions)]
        waiting: set[asyncio.Future[Any]] = set()
        for partition, key, value in records:
            if batches[partition].append(key=key, value=value, timestamp=None) is None:
                waiting.add(await client.send_batch(batches[partition], name, partition=partition))
                batches[partition] = client.create_batch()
                if batches[partition].append(key=key, value=value, timestamp=None) is None:
                    raise ValueError("one record is larger than a batch may be")
            count += 1
        for partition, batch in enumerate(batches):
            if batch.record_count():
                waiting.add(await client.send_batch(batch, name, partition=partition))
        await asyncio.gather(*waiting)
    return count


@dataclass(slots=True)
class Sent:
    """What the open-loop sender did.

    Attributes:
        late_s: How much later than due each record was handed to the client, seconds.
        failed: Records that the broker refused.
    """

    late_s: list[float] = field(default_factory=list)
    failed: int = 0


async def send_on_schedule(
    client: AIOKafkaProducer, topic: str, records: list[tuple[int, bytes, bytes]], schedule: Schedule, start: float
) -> Sent:
    """Send each record, (partition, key, value), when it is due, never waiting for an answer to an earlier one.

    Args:
        client: A started producer.
        topic: Full name.
        records: One for each due time.
        schedule: When they are due.
        start: Monotonic seconds of the schedule's zero.
    """
    sent = Sent()

    def settled(future: asyncio.Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            sent.failed += 1

    number = 0
    while number < schedule.count:
        due = schedule.due(time.monotonic() - start)
        while number < due:
            partition, key, value = records[number]
            future = await client.send(topic, key=key, value=value, partition=partition)
            future.add_done_callback(settled)
            sent.late_s.append(time.monotonic() - start - schedule.due_s(number))
            number += 1
        if number < schedule.count:
            wait = schedule.due_s(number) - (time.monotonic() - start)
            await asyncio.sleep(max(_TICK_S, wait))
    await client.flush()
    return sent


@asynccontextmanager
async def results(settings: Settings, topic: str = RECOMMENDATIONS) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all partitions of an output topic, from their beginning."""
    client = AIOKafkaConsumer(**kafka_clients.consumer_options(settings) | {"max_poll_records": 5000})
    await client.start()
    try:
        name = full_name(settings.topic_prefix, topic)
        client.assign([TopicPartition(name, partition) for partition in range(settings.topic_partitions)])
        yield client
    finally:
        await client.stop()


def cause(value: bytes) -> int:
    """Number of the event that caused a recommendation.

    Found without parsing: reading 3 KB of JSON for each would make the reader part of what it measures. `caused_by` is
    the first object of a recommendation with an event_id; how fields are ordered is for the tests to hold.
    """
    found = _EVENT_ID.search(value)
    assert found is not None, "a recommendation without caused_by"
    return number_of(found[1].decode())


@dataclass(slots=True)
class Published:
    """What lies in an output topic.

    Attributes:
        times_ms: When each result was made, epoch milliseconds by the producer's clock.
        distinct: Of how many events.
        value_bytes: Sum of their sizes.
    """

    times_ms: list[int] = field(default_factory=list)
    distinct: int = 0
    value_bytes: int = 0


async def read_back(settings: Settings, expected: int, patience_s: float = 10.0) -> Published:
    """Read the recommendations until those of `expected` events are there.

    Raises:
        UserError: Nothing came for `patience_s`, and some are missing.
    """
    found = Published()
    events: set[int] = set()
    async with results(settings) as client:
        heard = time.monotonic()
        while len(events) < expected:
            batches = await client.getmany(timeout_ms=200)
            for record in (record for batch in batches.values() for record in batch):
                found.times_ms.append(record.timestamp)
                found.value_bytes += len(record.value)
                events.add(cause(record.value))
            if batches:
                heard = time.monotonic()
            elif time.monotonic() - heard > patience_s:
                raise UserError(f"only {len(events)} of {expected} events have a recommendation")
    found.distinct = len(events)
    return found
