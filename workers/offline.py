"""The pipeline over a file: same decoding, encoding, deciding and folding as the worker, without Kafka or Redis.

Records go through in the order of the file, in micro-batches of neighbours of one topic, against an in-memory store.
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from models.bundle import Bundle
from topics import headers as names
from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS
from workers.batcher import Batch
from workers.clock import now_ms
from workers.control import Control, ControlBoard
from workers.ledger import PartitionLedger
from workers.metrics import Metrics
from workers.outbox import dead_letter_headers
from workers.parts import build_parts
from workers.patients import Patients
from workers.pipeline import Pipeline
from workers.records import Publish, Refused, Source
from workers.settings import Settings
from workers.stores import MemoryContexts

TOPICS = (VITALS, NOTES, IMAGING, FEEDBACK)
_TELLING = (("text", NOTES), ("image", IMAGING), ("outcome", FEEDBACK))  # a field that only one kind of event has


class BadLineError(Exception):
    """A line of the file is no record; the message says which and what a line looks like."""


@dataclass(slots=True)
class Line:
    """One record of a file: its topic without prefix, key and value."""

    topic: str
    key: bytes | None
    value: bytes | None


class _Collected:
    """An outbox that keeps what would be published."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, bytes]] = []

    async def publish(self, decided: Sequence[Publish]) -> list[Refused]:
        """See Outbox."""
        self._lines += [(publish.record.source.offset, publish.value) for publish in decided]
        return []

    async def bury(self, refused: Sequence[Refused]) -> None:
        """See Outbox."""
        for each in refused:
            said = {name.removeprefix(names.ERROR_PREFIX): value.decode() for name, value in dead_letter_headers(each)}
            self._lines.append((each.source.offset, orjson.dumps({"dead_letter": said})))

    def take(self) -> list[bytes]:
        """What a batch left, in the order of its records."""
        lines = [line for _, line in sorted(self._lines)]
        self._lines.clear()
        return lines


class Offline:
    """A pipeline in this process.

    Args:
        settings: As for a worker.
        bundle: Models to use instead of the configured ones.
    """

    def __init__(self, settings: Settings, bundle: Bundle | None = None) -> None:
        self.store = MemoryContexts()
        self.metrics = Metrics()
        self._settings = settings
        self._out = _Collected()
        self._parts = build_parts(settings, self.store, self.metrics.count_embedding, bundle)
        patients = Patients(
            self.store, self._refold, self._settle, wait_s=0.0,
            most=settings.context_pinned_max, count=self.metrics.count_context,
        )  # fmt: skip
        self._pipeline = Pipeline(
            settings, self._parts.encoders, self._parts.decider, patients, self._out, ControlBoard(),
            self._parts.threads, self._parts.identity, self.metrics,
        )  # fmt: skip
        self._ledgers: dict[str, PartitionLedger] = {topic: PartitionLedger() for topic in TOPICS}
        self._next: dict[str, int] = dict.fromkeys(TOPICS, 0)

    async def run(self, lines: Iterable[Line]) -> AsyncIterator[bytes]:
        """One line of JSON for each recommendation and dead letter, in the order of the file."""
        for topic, neighbours in groupby(lines, key=lambda line: line.topic):
            for chunk in _chunks(neighbours, self._settings.batch_max_records):
                await self._batch(topic, chunk)
                for line in self._out.take():
                    yield line

    async def close(self) -> None:
        """End threads and processes."""
        await self._parts.close()

    def states(self) -> Iterator[tuple[bytes, bytes]]:
        """Every patient's HMAC and packed context."""
        yield from self.store.values.items()

    async def _batch(self, topic: str, lines: Sequence[Line]) -> None:
        ledger, first = self._ledgers[topic], self._next[topic]
        self._next[topic] += len(lines)
        ledger.deliver(range(first, first + len(lines)))
        received_ms, now = now_ms(), time.monotonic()
        sources = [
            Source(topic, 0, first + i, line.key, line.value, (), ledger, received_ms, now, full_topic=topic)
            for i, line in enumerate(lines)
        ]
        records, refused = self._pipeline.read(sources)
        await self._out.bury(refused)
        self._pipeline.settle_now(each.source for each in refused)
        if not records:
            return
        if topic in self._parts.encoders:
            await self._pipeline.encode_records(topic, records)
        await self._pipeline.decide(Batch(topic, records, [r.patient for r in records], len(records), "full"))

    def _settle(self, sources: Iterable[Source]) -> None:
        self._pipeline.settle_now(sources)

    async def _refold(self, context: Any, records: Any) -> None:
        self._parts.decider.refold(context, records, Control())


def parse(raw: bytes, number: int) -> Line | None:
    """One line of a file; None for an empty one.

    A line is an event as it would lie in Kafka (its topic is told from its fields), or an envelope
    `{"topic": ..., "key": ..., "value": event or null}`; `"value_base64"` carries bytes that are no JSON.

    Raises:
        BadLineError: The line is neither.
    """
    raw = raw.strip()
    if not raw:
        return None
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadLineError(
            f"line {number} is not JSON: {error}. Expected one event, or one envelope with topic and value"
        ) from None
    if not isinstance(data, dict):
        raise BadLineError(f"line {number} is not a JSON object")
    if not {"topic", "value", "value_base64"} & data.keys():
        topic = next((t for field, t in _TELLING if field in data), VITALS)
        return Line(topic, None, raw)
    topic = next((t for t in TOPICS if str(data.get("topic", "")).endswith(t)), "")
    if not topic:
        raise BadLineError(f"line {number} names no input topic; one of {', '.join(TOPICS)} is needed")
    key = data.get("key")
    if "value_base64" in data:
        try:
            value: bytes | None = base64.b64decode(data["value_base64"], validate=True)
        except (ValueError, TypeError):
            raise BadLineError(f"line {number}: value_base64 is not base64") from None
    else:
        value = None if data.get("value") is None else orjson.dumps(data["value"])
    return Line(topic, None if key is None else str(key).encode(), value)


def _chunks(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
