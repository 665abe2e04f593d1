"""Publishing results and dead letters: one unresolved publish an output partition, acknowledged or retried.

A result goes to the output partition with its input's number (modulo the output topic's count), so a patient's results
stay in order and lie beside the inputs. The next publish to a partition waits for the one before, also while that one
is retried: a retry never overtakes. A broker that is away or short of replicas is waited for; a record that it finds
too large is sent leaner, and at last refused; anything else that cannot be retried ends the process unacknowledged.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
    RequestTimedOutError,
    UnknownProducerId,
)

from workers import kafka_clients

log = structlog.get_logger(__name__)

_WAITABLE = (NotEnoughReplicasError, NotEnoughReplicasAfterAppendError, RequestTimedOutError, KafkaTimeoutError)
_SPOILT = (  # after a refused or expired batch an idempotent producer's sequence numbers never fit again
    OutOfOrderSequenceNumber,
    DuplicateSequenceNumber,
    UnknownProducerId,
    InvalidProducerEpoch,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_LONGEST_PAUSE_S = 2.0


class Outgoing(Protocol):
    """What is published: key, value, headers, and how to make it smaller."""

    @property
    def key(self) -> bytes | None:
        """Record key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Record value."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Record headers."""
        ...

    def shed(self) -> bool:
        """Drop the next dispensable part of the value; False when nothing is left to drop."""
        ...


T = TypeVar("T", bound=Outgoing)


class TooLargeError(Exception):
    """One record, at `index` of those to send, is larger than any batch may be."""

    def __init__(self, index: int) -> None:
        super().__init__("record too large for the output topic")
        self.index = index


class Publisher:
    """An AIOKafkaProducer with the order and the patience described above.

    Args:
        make_producer: Builds a producer; called again when one breaks for good.
        on_retry: Told the error's name at each retry.
    """

    def __init__(self, make_producer: Callable[[], AIOKafkaProducer], on_retry: Callable[[str], None]) -> None:
        self._make_producer = make_producer
        self._on_retry = on_retry
        self._producer: AIOKafkaProducer | None = None
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failing = False
        self._replacing = asyncio.Lock()

    async def start(self) -> None:
        """Connect; may be called again where it fails."""
        fresh = self._make_producer()
        await kafka_clients.start(fresh)
        self._producer = fresh

    @property
    def working(self) -> bool:
        """Whether it is connected and its last attempt succeeded."""
        return self._producer is not None and not self._failing

    async def stop(self) -> None:
        """Disconnect; what is unacknowledged stays so."""
        if self._producer is not None:
            await self._producer.stop()

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        assert self._producer is not None
        return len(await self._producer.partitions_for(topic))

    async def publish(self, topic: str, partition: int, items: Sequence[T]) -> list[T]:
        """Publish in order and wait for the broker's acknowledgement of every item.

        Returns:
            The items that are too large even when lean; all others are acknowledged.

        Raises:
            KafkaError: The broker refuses for a reason that waiting does not mend.
        """
        async with self._turns[topic, partition]:
            refused: list[T] = []
            remaining = list(items)
            alone = False  # after the broker found a batch too large: one by one, to see which record it is
            pause = 0.1
            while remaining:
                used, chunk = self._producer, remaining[:1] if alone else remaining
                try:
                    await self._send(topic, partition % max(1, await self.partitions(topic)), chunk)
                    remaining = remaining[1:] if alone else []
                except TooLargeError as error:
                    self._shed_or_refuse(remaining, error.index, refused)
                except _TOO_LARGE:
                    if alone:
                        self._shed_or_refuse(remaining, 0, refused)
                    alone = True
                except (KafkaError, OSError) as error:
                    await self._wait_or_raise(error, pause, used)
                    pause = min(_LONGEST_PAUSE_S, pause * 2)
            return refused

    @staticmethod
    def _shed_or_refuse(remaining: list[T], index: int, refused: list[T]) -> None:
        """Make one item leaner, or give it up."""
        if not remaining[index].shed():
            refused.append(remaining.pop(index))

    async def _send(self, topic: str, partition: int, items: list[T]) -> None:
        """One attempt at all items, in batches one after the other; what was acknowledged is taken out of `items`.

        A batch must not be under way beside the one before it: that one's failure and retry would let it overtake.
        """
        producer = self._producer
        assert producer is not None
        batches = [producer.create_batch()]
        for index, item in enumerate(items):  # all are packed before any is sent: too large stops it before it starts
            if not _append(batches[-1], item):
                if batches[-1].record_count():
                    batches.append(producer.create_batch())
                if batches[-1].record_count() or not _append(batches[-1], item):
                    raise TooLargeError(index)
        for batch in batches:
            sent = batch.record_count()
            await (await producer.send_batch(batch, topic, partition=partition))
            del items[:sent]
        self._failing = False

    async def _wait_or_raise(self, error: Exception, pause: float, used: AIOKafkaProducer | None) -> None:
        """Pause before a retry, with a new producer if this one is spoilt; raise what no retry mends."""
        self._failing = True
        self._on_retry(type(error).__name__)
        spoilt = isinstance(error, _SPOILT)
        retriable = spoilt or isinstance(error, (*_WAITABLE, OSError)) or getattr(error, "retriable", False)
        log.warning("publish_failed", error=type(error).__name__, retry=retriable)
        if not retriable:
            raise error
        if spoilt:
            await self._replace(used)
        await asyncio.sleep(pause)

    async def _replace(self, spoilt: AIOKafkaProducer | None) -> None:
        """Go on with a new producer; whoever else waits for the old one gets its error and comes here too."""
        async with self._replacing:
            if self._producer is not spoilt:
                return
            fresh = self._make_producer()
            await kafka_clients.start(fresh)
            self._producer = fresh
            log.warning("producer_replaced")
        if spoilt is not None:
            await spoilt.stop()


def _append(batch: Any, item: Outgoing) -> bool:
    """Whether the item still fits into the batch."""
    return batch.append(key=item.key, value=item.value, headers=list(item.headers), timestamp=None) is not None
