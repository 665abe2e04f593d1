"""What the tools ask of a Kafka cluster: which topics there are, and the records of one topic.

Decides how a topic is read without a group: every partition, nothing committed. Topics are always looked up in the
list of all topics, because asking for one by name may create it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from workers.cli.errors import UserError
from workers.kafka_clients import admin_options, consumer_options, producer_options
from workers.settings import Settings

_POLL_MS: Final = 500
_EMPTY_POLLS: Final = 3
"""Empty polls after which a topic counts as read, where the broker's end offsets cannot be believed."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it."""

    name: str
    partitions: int
    replicas: int


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client, closed afterwards also when the start failed."""
    client = AIOKafkaAdminClient(**admin_options(settings))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer; on leaving, what was sent has been delivered."""
    client = AIOKafkaProducer(**producer_options(settings), linger_ms=5)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def existing_topics(client: AIOKafkaAdminClient) -> dict[str, TopicState]:
    """Every topic of the cluster by name."""
    found: dict[str, TopicState] = {}
    for topic in await client.describe_topics():
        partitions: list[dict[str, Any]] = topic["partitions"]
        replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
        found[topic["topic"]] = TopicState(topic["topic"], len(partitions), replicas)
    return found


async def require_topics(settings: Settings, *names: str) -> dict[str, TopicState]:
    """The named topics.

    Raises:
        UserError: One of them does not exist.
    """
    async with admin(settings) as client:
        found = await existing_topics(client)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"no topic {', '.join(missing)} on {settings.kafka_bootstrap_servers}: run `wardstream topics apply`, "
            "or check WARDSTREAM_TOPIC_PREFIX"
        )
    return {name: found[name] for name in names}


@asynccontextmanager
async def reader(settings: Settings, topic: str, *, from_start: bool = True) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of every partition of one topic, without a group.

    Args:
        settings: Where.
        topic: Full name.
        from_start: From the earliest record, else only what comes from now on.

    Raises:
        UserError: No such topic.
    """
    state = (await require_topics(settings, topic))[topic]
    consumer = AIOKafkaConsumer(**consumer_options(settings))
    try:
        await consumer.start()
        partitions = [TopicPartition(topic, number) for number in range(state.partitions)]
        consumer.assign(partitions)
        if from_start:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
            for partition in partitions:  # seeking is lazy; settle it before the caller goes on
                await consumer.position(partition)
        yield consumer
    finally:
        await consumer.stop()


async def everything(consumer: AIOKafkaConsumer) -> AsyncIterator[ConsumerRecord]:
    """The records that the topic holds now, partition by partition as they come; ends when it has caught up."""
    ends = await consumer.end_offsets(list(consumer.assignment()))
    empty = 0
    while empty < _EMPTY_POLLS:
        fetched = await consumer.getmany(timeout_ms=_POLL_MS)
        for records in fetched.values():
            for record in records:
                yield record
        if fetched:
            empty = 0
            continue
        empty += 1
        positions = [await consumer.position(partition) for partition in ends]
        if all(at >= end for at, end in zip(positions, ends.values(), strict=True)):
            return
