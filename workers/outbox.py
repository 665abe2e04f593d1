"""What leaves: recommendations and dead letters, through the publisher, in the form each topic promises."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import orjson

from topics import headers as names
from topics.catalogue import DEAD_LETTERS, RECOMMENDATIONS, full_name
from topics.reasons import Reason
from workers import __version__
from workers.output import shed
from workers.publisher import Publisher
from workers.records import Publish, Refused

_VERSION = __version__.encode()


@dataclass(slots=True)
class _Result:
    """A recommendation as an outgoing record."""

    publish: Publish
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def shed(self) -> bool:
        """See Outgoing."""
        body = orjson.loads(self.value or b"")
        if not shed(body):
            return False
        self.value = orjson.dumps(body)
        return True


@dataclass(slots=True)
class _DeadLetter:
    """A dead letter: original key, bytes and headers, and the reason beside them."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def shed(self) -> bool:
        """See Outgoing: without its value, the coordinates and the hash still say which record it was."""
        if self.value is None:
            return False
        self.value = None
        self.headers = [*self.headers, (names.ERROR_VALUE_OMITTED, b"true")]
        return True


class Outlet(Protocol):
    """Where decisions go; returns only when they are safe there."""

    async def publish(self, decided: Sequence[Publish]) -> list[Refused]:
        """Publish recommendations; returns those that cannot be published."""
        ...

    async def bury(self, refused: Sequence[Refused]) -> None:
        """Publish dead letters."""
        ...


class Outbox:
    """Publishes to the output topics of one system.

    Args:
        publisher: Orders, retries, waits.
        prefix: Prefix of topic names.
    """

    def __init__(self, publisher: Publisher, prefix: str) -> None:
        self._publisher = publisher
        self._results = full_name(prefix, RECOMMENDATIONS)
        self._dead = full_name(prefix, DEAD_LETTERS)

    async def publish(self, decided: Sequence[Publish]) -> list[Refused]:
        """Publish recommendations and wait for the acknowledgements; returns those that no broker setting admits."""
        by_partition: defaultdict[int, list[_Result]] = defaultdict(list)
        for publish in decided:
            key = publish.record.event.patient_id.encode()
            by_partition[publish.record.source.partition].append(_Result(publish, key, publish.value, publish.headers))
        refused = await asyncio.gather(
            *(self._publisher.publish(self._results, partition, items) for partition, items in by_partition.items())
        )
        return [
            Refused(item.publish.record.source, Reason.OUTPUT_REFUSED, "the result is larger than the topic admits")
            for items in refused
            for item in items
        ]

    async def bury(self, refused: Sequence[Refused]) -> None:
        """Publish dead letters and wait for the acknowledgements."""
        by_partition: defaultdict[int, list[_DeadLetter]] = defaultdict(list)
        for each in refused:
            by_partition[each.source.partition].append(_dead_letter(each))
        await asyncio.gather(
            *(self._publisher.publish(self._dead, partition, items) for partition, items in by_partition.items())
        )


def _dead_letter(refused: Refused) -> _DeadLetter:
    source = refused.source
    return _DeadLetter(source.key, source.value, [*source.headers, *dead_letter_headers(refused)])


def dead_letter_headers(refused: Refused) -> list[tuple[str, bytes]]:
    """The `x-error-*` headers: why, and which record it was."""
    source = refused.source
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    added = [
        (names.ERROR_REASON, refused.reason.encode()),
        (names.ERROR_DETAIL, refused.detail.encode()),
        (names.ERROR_TOPIC, source.full_topic.encode()),
        (names.ERROR_PARTITION, str(source.partition).encode()),
        (names.ERROR_OFFSET, str(source.offset).encode()),
        (names.ERROR_TIME, now.encode()),
        (names.ERROR_VERSION, _VERSION),
    ]
    if source.value is not None:
        added += [
            (names.ERROR_VALUE_SHA256, hashlib.sha256(source.value).hexdigest().encode()),
            (names.ERROR_VALUE_BYTES, str(len(source.value)).encode()),
        ]
    return added
