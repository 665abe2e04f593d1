"""Encoding notes and images: cache first, then the model, in a thread of its own; never on the event loop.

An encoder's result depends on the content and the model alone, so it is cached by a keyed HMAC of the content with the
model's version in the key. What cannot be encoded is a result too: the event goes on, and says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from topics.imaging import ClaimCheck, ImagingEvent, InlineImage
from topics.notes import NoteEvent
from topics.reasons import Reason
from workers.arms import Suites
from workers.breaker import Breaker
from workers.context import EMBEDDING, UNREADABLE
from workers.control import Control
from workers.identity import Identity
from workers.images.errors import ImageError
from workers.images.pool import DecodePool
from workers.images.source import ImageSource
from workers.inference import ImagingModel, Models, NotesModel
from workers.records import Encoded, Record
from workers.slow_start import Care
from workers.stores import ContextStore, StoreUnavailableError
from workers.threads import Threads

log = structlog.get_logger(__name__)

_SOURCE_DOWN: Final = "image_source_down"
Count = Callable[[str, str, int], None]
Along = Callable[[str, Sequence[Any], Sequence[Encoded], Control], None]
"""Model, inputs, what it made of them, and control."""


class Encoder(Protocol):
    """Gives each record of one modality its `encoded`; `along` hears of it."""

    along: Along | None

    async def encode(self, records: Sequence[Record], control: Control) -> None:
        """Fill in `encoded`; raises nothing that one record alone could cause."""
        ...


class NoteEncoder:
    """Notes through the tokenizer and the notes network.

    Args:
        suites: Where the network comes from, by patient.
        threads: Where it runs.
        store: Of the cache.
        identity: Of the cache's keys.
        count: Of hits and misses.

    Attributes:
        along: Hears what went through the network, for a candidate in shadow.
    """

    def __init__(self, suites: Suites, threads: Threads, store: ContextStore, identity: Identity, count: Count) -> None:
        self._suites, self._threads = suites, threads
        self.along: Along | None = None
        self._cache = _Cache("note", store, identity, count)

    async def encode(self, records: Sequence[Record], control: Control) -> None:
        """See Encoder."""
        todo = _allowed(records, "notes", control)
        for models, some in _by_models(todo, "notes", control, self._suites):
            await self._some(some, models.notes, control)

    async def _some(self, todo: Sequence[Record], model: NotesModel, control: Control) -> None:
        texts = [_text(record).encode() for record in todo]
        missing, keys = await self._cache.fill(todo, texts, model.version)
        if not missing:
            return
        inputs = [_text(todo[i]) for i in missing]
        encoded = await _isolated(self._threads, "notes", model.encode, inputs)
        for i, result in zip(missing, encoded, strict=True):
            todo[i].encoded = result
        if self.along is not None:
            self.along("notes", inputs, encoded, control)
        await self._cache.keep([keys[i] for i in missing], encoded)


class ImageEncoder:
    """Images: fetched by claim check or inline, decoded in their own processes, then the imaging network.

    While the image source is down, images wait behind a breaker; nothing else does. The rest is as for NoteEncoder.
    """

    def __init__(
        self, suites: Suites, threads: Threads, store: ContextStore, identity: Identity, count: Count,
        source: ImageSource, pool: DecodePool, breaker: Breaker,
    ) -> None:  # fmt: skip
        self._suites, self._threads = suites, threads
        self.along: Along | None = None
        self._source, self._pool, self._breaker = source, pool, breaker
        self._cache = _Cache("image", store, identity, count)

    async def encode(self, records: Sequence[Record], control: Control) -> None:
        """See Encoder."""
        todo = _allowed(records, "imaging", control)
        fetched = await asyncio.gather(*(self._bytes(record) for record in todo))
        data = {id(record): content for record, content in zip(todo, fetched, strict=True) if content is not None}
        readable = [record for record in todo if id(record) in data]
        for models, some in _by_models(readable, "imaging", control, self._suites):
            await self._some(some, [data[id(record)] for record in some], models.imaging, control)

    async def _some(
        self, todo: Sequence[Record], data: Sequence[bytes], model: ImagingModel, control: Control
    ) -> None:  # fmt: skip
        missing, keys = await self._cache.fill(todo, data, model.version)
        pixels = await asyncio.gather(*(self._pixels(todo[i], data[i]) for i in missing))
        decoded = [(i, image) for i, image in zip(missing, pixels, strict=True) if image is not None]
        if not decoded:
            return
        images = [image for _, image in decoded]
        encoded = await _isolated(self._threads, "imaging", lambda some: model.encode(np.stack(some)), images)
        for (i, _), result in zip(decoded, encoded, strict=True):
            todo[i].encoded = result
        if self.along is not None:
            self.along("imaging", images, encoded, control)
        await self._cache.keep([keys[i] for i, _ in decoded], encoded)

    async def _bytes(self, record: Record) -> bytes | None:
        """The image's bytes; None when there are none, and the record says why."""
        assert isinstance(record.event, ImagingEvent)
        image = record.event.image
        if isinstance(image, InlineImage):
            if image.sha256 is None or hashlib.sha256(image.data).hexdigest() == image.sha256:
                return image.data
            record.encoded = without_embedding(Reason.IMAGE_HASH_MISMATCH)
            return None
        assert isinstance(image, ClaimCheck)
        while not record.source.ledger.revoked:
            await self._wait_for_source()
            try:
                data = await self._source.fetch(image)
            except ImageError as error:
                if error.reason != _SOURCE_DOWN:
                    self._breaker.success(time.monotonic())
                    record.encoded = without_embedding(Reason(error.reason))
                    return None
                self._breaker.failure(time.monotonic())
                log.warning("image_source_down")
            else:
                self._breaker.success(time.monotonic())
                return data
        return None

    async def _wait_for_source(self) -> None:
        while not self._breaker.allow(time.monotonic()):
            retry_at = self._breaker.retry_at()
            await asyncio.sleep(max(0.05, (retry_at or 0.0) - time.monotonic()))

    async def _pixels(self, record: Record, data: bytes) -> NDArray[np.float32] | None:
        assert isinstance(record.event, ImagingEvent)
        assert record.event.image is not None
        try:
            return await self._pool.decode(data, record.event.image.media_type)
        except ImageError as error:
            name = Reason.IMAGE_UNREADABLE if error.reason == _SOURCE_DOWN else Reason(error.reason)
            record.encoded = without_embedding(name)
            return None


def without_embedding(reason: Reason) -> Encoded:
    """The result for what could not be encoded."""
    return Encoded(np.zeros(EMBEDDING, np.float32), np.zeros(0, np.float32), quality=UNREADABLE, reasons=(reason,))


def _allowed(records: Sequence[Record], model: str, control: Control) -> list[Record]:
    """Records to encode; the others get their result without a model."""
    todo = []
    for record in records:
        if record.event.status == "entered-in-error":
            continue
        if control.kill_switch:
            record.encoded = without_embedding(Reason.KILL_SWITCH)
        elif control.without_models(record.event.unit):
            record.encoded = without_embedding(Reason.RULES_ONLY)
        elif model in control.models_off:
            record.encoded = without_embedding(Reason.MODEL_OFF)
        elif record.source.care >= Care.WITHOUT_MODELS:
            record.encoded = without_embedding(Reason.MODEL_SKIPPED)
        else:
            todo.append(record)
    return todo


def _by_models(
    records: Sequence[Record], model: str, control: Control, suites: Suites
) -> list[tuple[Models, Sequence[Record]]]:  # fmt: skip
    """Records with the models that their patients get; all with the same ones where there is no canary of `model`."""
    switch, picks = control.switches.get(model), suites.standing()
    if switch is None or switch.canary is None:
        return [(picks.live(control).suite.models, records)]
    found: dict[str, tuple[Models, list[Record]]] = {}
    for record in records:
        models = picks.of(record.patient, control).suite.models
        found.setdefault(models.versions[model], (models, []))[1].append(record)
    return list(found.values())


async def _isolated(threads: Threads, name: str, encode: Callable[[list], list[Encoded]], items: list) -> list[Encoded]:  # type: ignore[type-arg]
    """Encode items; one that makes the model fail is found by halving and gets a result without embedding."""
    try:
        return await threads.run(name, lambda: encode(items))
    except Exception as error:  # noqa: BLE001 - a model may raise anything; it costs one record its embedding
        if len(items) == 1:
            log.warning("model_failed", model=name, error=type(error).__name__)
            return [without_embedding(Reason.MODEL_FAILED)]
        half = len(items) // 2
        return await _isolated(threads, name, encode, items[:half]) + await _isolated(
            threads, name, encode, items[half:]
        )


def _text(record: Record) -> str:
    assert isinstance(record.event, NoteEvent)
    return record.event.text


class _Cache:
    """Encoder results by content."""

    def __init__(self, kind: str, store: ContextStore, identity: Identity, count: Count) -> None:
        self._kind = kind
        self._store, self._identity, self._count = store, identity, count

    async def fill(
        self, records: Sequence[Record], data: Sequence[bytes], version: str
    ) -> tuple[list[int], list[bytes]]:  # fmt: skip
        """Give records what is cached of a version of the model; the indices that are not, and all keys."""
        keys = [self._identity.content(f"{self._kind}:{version}", each) for each in data]
        if not keys:
            return [], []
        try:
            found = await self._store.read_embeddings(keys)
        except StoreUnavailableError:
            found = [None] * len(keys)
        missing = []
        for i, (record, value) in enumerate(zip(records, found, strict=True)):
            cached = None if value is None else _unpack(value)
            if cached is None:
                missing.append(i)
            else:
                record.encoded = cached
        self._count(self._kind, "hit", len(keys) - len(missing))
        self._count(self._kind, "miss", len(missing))
        return missing, keys

    async def keep(self, keys: Sequence[bytes], encoded: Sequence[Encoded]) -> None:
        """Cache results of a model; what failed is not cached."""
        good = [(key, _pack(each)) for key, each in zip(keys, encoded, strict=True) if not each.quality & UNREADABLE]
        if not good:
            return
        try:
            await self._store.write_embeddings([key for key, _ in good], [value for _, value in good])
        except StoreUnavailableError:
            self._count(self._kind, "unwritten", len(good))


def _pack(encoded: Encoded) -> bytes:
    heat = encoded.heat_map
    return orjson.dumps(
        {
            "embedding": encoded.embedding.tolist(),
            "probability": encoded.probability.tolist(),
            "labels": encoded.labels,
            "quality": encoded.quality,
            "reasons": encoded.reasons,
            "spans": encoded.spans,
            "heat_map": None if heat is None else heat.tolist(),
            "possible": encoded.possible,
            "certain": encoded.certain,
            "model": encoded.model,
            "version": encoded.version,
        }
    )


def _unpack(value: bytes) -> Encoded | None:
    """The cached result; None where it is not one, as when another release wrote it."""
    try:
        made = _read(orjson.loads(value))
    except (ValueError, TypeError, KeyError):
        return None
    return made if made.embedding.shape == (EMBEDDING,) else None


def _read(data: dict[str, Any]) -> Encoded:
    return Encoded(
        np.array(data["embedding"], np.float32),
        np.array(data["probability"], np.float32),
        tuple(data["labels"]),
        data["quality"],
        tuple(Reason(reason) for reason in data["reasons"]),
        tuple((start, end, weight) for start, end, weight in data["spans"]),
        None if data["heat_map"] is None else np.array(data["heat_map"], np.float32),
        tuple(data["possible"]),
        tuple(data["certain"]),
        data["model"],
        data["version"],
    )
