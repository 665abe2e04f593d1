"""Answers, recommendations and vital signs from Kafka: topics whole, without a group, nothing committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from topics.catalogue import FEEDBACK, RECOMMENDATIONS, VITALS, full_name
from topics.codec import Decoded, decode
from topics.events import Envelope
from topics.feedback import FeedbackEvent
from topics.vitals import VitalsEvent
from workers.cli import cluster
from workers.cli.learning.joining import Join
from workers.cli.learning.material import LINES_AT_ONCE, Material
from workers.cli.learning.verdicts import verdicts
from workers.clock import now_ms
from workers.settings import Settings

E = TypeVar("E", bound=Envelope)
Tell = Callable[[str, int], None]
Places = dict[TopicPartition, dict[int, list[str]]]

_POLL_MS: Final = 500
_EMPTY_POLLS: Final = 3


async def from_topics(settings: Settings, tell: Tell) -> Material:
    """Read and join. The topics are read as they are now; what comes meanwhile may be left out.

    Args:
        settings: Where.
        tell: Told of each topic how many records were read, now and then.

    Raises:
        UserError: A topic does not exist.
    """
    answers, unreadable = await _feedback(settings, tell)
    join = Join(verdicts(answers))
    if join.wants_any:
        await _recommendations(settings, join, tell)
        await _vitals(settings, join, tell)
    return Material.of(join, len(answers), {FEEDBACK: unreadable, RECOMMENDATIONS: join.unreadable})


async def _feedback(settings: Settings, tell: Tell) -> tuple[list[FeedbackEvent], int]:
    events: list[FeedbackEvent] = []
    unreadable = read = 0
    async with cluster.reader(settings, full_name(settings.topic_prefix, FEEDBACK)) as consumer:
        async for record in cluster.everything(consumer):
            event = _event(FeedbackEvent, record)
            read += 1
            if event is None:
                unreadable += 1
            else:
                events.append(event)
            _told(tell, FEEDBACK, read)
    return events, unreadable


async def _recommendations(settings: Settings, join: Join, tell: Tell) -> None:
    read = 0
    async with cluster.reader(settings, full_name(settings.topic_prefix, RECOMMENDATIONS)) as consumer:
        async for record in cluster.everything(consumer):
            if join.wants(record.key):
                join.see(record.value)
            read += 1
            _told(tell, RECOMMENDATIONS, read)


async def _vitals(settings: Settings, join: Join, tell: Tell) -> None:
    """Each partition from the first record that is wanted to the last; what retention has deleted stays unknown."""
    topic = full_name(settings.topic_prefix, VITALS)
    places: Places = {}
    for identifier, cause in join.causes().items():
        if cause.topic == topic:
            at = places.setdefault(TopicPartition(topic, cause.partition), {})
            at.setdefault(cause.offset, []).append(identifier)
    if not places:
        return
    async with cluster.reader(settings, topic) as consumer:
        wanted = {partition: offsets for partition, offsets in places.items() if partition in consumer.assignment()}
        first = await consumer.beginning_offsets(list(wanted))
        ends = await consumer.end_offsets(list(wanted))
        left = {partition: min(max(at) + 1, ends[partition]) for partition, at in wanted.items()}
        consumer.assign(list(wanted))
        for partition, at in wanted.items():
            consumer.seek(partition, max(min(at), first[partition]))
        await _between(consumer, wanted, left, join, tell)


async def _between(
    consumer: AIOKafkaConsumer, wanted: Places, left: dict[TopicPartition, int], join: Join, tell: Tell
) -> None:
    """Read until every partition has come to its end in `left`."""
    read = empty = 0
    while left and empty < _EMPTY_POLLS:
        fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS)
        empty = 0 if fetched else empty + 1
        for partition, records in fetched.items():
            for record in records:
                identifiers = wanted[partition].get(record.offset, [])
                event = _event(VitalsEvent, record) if identifiers else None
                if event is not None:
                    for identifier in identifiers:
                        join.read(identifier, event)
                read += 1
                _told(tell, VITALS, read)
        left = {partition: end for partition, end in left.items() if await consumer.position(partition) < end}


def _event(kind: type[E], record: Any) -> E | None:
    (one,) = decode(kind, [(record.key, record.value)], now_ms=now_ms())
    return one.event if isinstance(one, Decoded) else None


def _told(tell: Tell, topic: str, read: int) -> None:
    if not read % LINES_AT_ONCE:
        tell(topic, read)
