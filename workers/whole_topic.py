"""Following a small topic without a group: all of it from the beginning, then whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

log = structlog.get_logger(__name__)

_POLL_MS: Final = 500
_PAUSE_S: Final = 0.5
_TELL_EVERY: Final = 30


async def follow(consumer: AIOKafkaConsumer, topic: str) -> AsyncGenerator[tuple[list[Any], bool], None]:
    """What each poll brings, perhaps nothing, and whether all that the topic holds has been read.

    A poll ends as soon as there is a record. A topic that does not exist is waited for. Whoever stops early must close
    the generator (`contextlib.aclosing`); that stops the consumer.

    Args:
        consumer: Without a group, not yet started.
        topic: Full name.

    Raises:
        KafkaError: The consumer cannot be started. A read that fails is repeated.
    """
    try:
        await consumer.start()
        partitions = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        while True:
            try:
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError as error:
                log.warning("topic_read_failed", topic=topic, error=type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            yield [record for records in batches.values() for record in records], await _at_end(consumer, partitions)
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    """The topic's partitions; waits for the topic to be created."""
    tries = 0
    while not (found := consumer.partitions_for_topic(topic)):
        await consumer._client.force_metadata_update()  # noqa: SLF001 - no public call refreshes metadata
        consumer._client.add_topic(topic)  # noqa: SLF001
        if tries % _TELL_EVERY == 0:
            log.warning("topic_missing", topic=topic, advice="wardstream topics apply")
        tries += 1
        await asyncio.sleep(1.0)
    return set(found)


async def _at_end(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    for partition in partitions:
        end = consumer.highwater(partition)
        if end is None or await consumer.position(partition) < end:
            return False
    return True
