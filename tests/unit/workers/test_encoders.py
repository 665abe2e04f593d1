"""Encoders: the cache spares the model, failing items are isolated, missing images are results, a source is awaited."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import structlog

from tests.fakes import FakeStore
from tests.unit.workers.made import IDENTITY, image, judge, models, note, record
from topics.reasons import Reason
from workers.arms import OneSuite, Suite
from workers.breaker import Breaker
from workers.context import EMBEDDING, FOREIGN, UNREADABLE
from workers.control import Control
from workers.encoders import ImageEncoder, NoteEncoder
from workers.images.errors import ImageError
from workers.records import Encoded
from workers.slow_start import Care
from workers.threads import Threads

CONTROL = Control()


@dataclass
class FakeNotes:
    """Encodes a text by its length; a text with "poison" makes the whole call fail."""

    version: str = "1"
    asked: list[list[str]] = field(default_factory=list)

    def encode(self, texts):
        self.asked.append(list(texts))
        if any("poison" in text for text in texts):
            raise RuntimeError(f"cannot read {texts}")
        return [
            Encoded(
                np.full(EMBEDDING, len(text), np.float32), np.array([0.5, 0.25], np.float32), ("a", "b"), FOREIGN,
                (Reason.NOTE_TRUNCATED,), ((0, 3, 0.5),), np.eye(2, dtype=np.float32),
            )
            for text in texts
        ]  # fmt: skip


@dataclass
class FakeImaging:
    version: str = "1"
    asked: list[int] = field(default_factory=list)

    def encode(self, images):
        self.asked.append(len(images))
        if (images == 99).any():
            raise RuntimeError("no")
        return [
            Encoded(
                np.full(EMBEDDING, i.max(), np.float32), np.ones(3, np.float32), heat_map=np.ones((2, 2), np.float32)
            )
            for i in images
        ]


class FakeSource:
    """Images by URI; an exception is raised, a list is worked off first."""

    def __init__(self, **held) -> None:
        self.held = held
        self.asked = 0

    async def fetch(self, claim):
        self.asked += 1
        found = self.held[claim.uri.removeprefix("file:///")]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found


class FakePool:
    """Decodes one byte to an image full of it; b"!" is no image."""

    async def decode(self, data, media_type):
        if data == b"!":
            raise ImageError("image_unreadable")
        return np.full((1, 2, 2), data[0], np.float32)


@pytest.fixture
def threads():
    made = Threads("notes", "imaging")
    yield made
    made.close()


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def counts():
    return []


def suites(**fakes):
    return OneSuite(Suite(SimpleNamespace(**fakes), judge()))


@pytest.fixture
def notes(threads, store, counts):
    model = FakeNotes()
    made = NoteEncoder(suites(notes=model), threads, store, IDENTITY, lambda *counted: counts.append(counted))
    made.model = model
    return made


def image_encoder(threads, store, source, breaker=None):
    model = FakeImaging()
    made = ImageEncoder(
        suites(imaging=model), threads, store, IDENTITY, lambda *_: None, source, FakePool(),
        breaker or Breaker(),
    )  # fmt: skip
    made.model = model
    return made


def film(name: str, minute: int = 0, **more):
    check = {"uri": f"file:///{name}", "sha256": "0" * 64, "size_bytes": 1, "media_type": "image/png"}
    return record(image("patient-1", minute, image=check, **more.pop("event", {})), **more)


class TestNotes:
    async def test_every_note_gets_its_own_result(self, notes):
        records = [record(note("p1", k, "x" * (k + 1))) for k in range(3)]
        await notes.encode(records, CONTROL)
        assert [r.encoded.embedding[0] for r in records] == [1, 2, 3]

    async def test_the_same_text_again_spares_the_model(self, notes, counts):
        first, again = record(note("p1", 0, "same")), record(note("p2", 5, "same"))
        await notes.encode([first], CONTROL)
        await notes.encode([again, record(note("p1", 6, "other"))], CONTROL)
        assert notes.model.asked == [["same"], ["other"]]
        assert ("note", "hit", 1) in counts
        for name in ("labels", "quality", "reasons", "spans"):
            assert getattr(again.encoded, name) == getattr(first.encoded, name)
        np.testing.assert_array_equal(again.encoded.embedding, first.encoded.embedding)
        np.testing.assert_array_equal(again.encoded.heat_map, first.encoded.heat_map)
        np.testing.assert_array_equal(again.encoded.probability, first.encoded.probability)

    async def test_another_version_does_not_read_what_an_older_one_wrote(self, notes, threads, store):
        await notes.encode([record(note("p1", 0, "same"))], CONTROL)
        newer = FakeNotes(version="2")
        made = NoteEncoder(suites(notes=newer), threads, store, IDENTITY, lambda *_: None)
        await made.encode([record(note("p1", 0, "same"))], CONTROL)
        assert newer.asked == [["same"]]

    async def test_a_failing_note_is_isolated(self, notes):
        records = [record(note("p1", k, text)) for k, text in enumerate(["a", "bb", "poison", "dddd", "eeeee"])]
        with structlog.testing.capture_logs() as logs:
            await notes.encode(records, CONTROL)
        assert [r.encoded.embedding[0] for r in records] == [1, 2, 0, 4, 5]
        assert records[2].encoded.reasons == (Reason.MODEL_FAILED,)
        assert records[2].encoded.quality == UNREADABLE
        assert {each["event"] for each in logs} == {"model_failed"}
        assert "poison" not in str(logs)

    async def test_a_failure_is_not_cached(self, notes):
        for _ in range(2):
            await notes.encode([record(note("p1", 0, "poison"))], CONTROL)
        assert notes.model.asked == [["poison"]] * 2

    async def test_without_the_cache_it_goes_on(self, notes, store, counts):
        store.away = True
        made = record(note("p1", 0, "abc"))
        await notes.encode([made], CONTROL)
        assert made.encoded.embedding[0] == 3
        assert ("note", "unwritten", 1) in counts

    @pytest.mark.parametrize("damaged", [b"", b"{}", b"[]", b"nonsense", b'{"embedding": "x"}', b"null"])
    async def test_what_is_in_the_cache_and_cannot_be_read_is_a_miss(self, notes, store, damaged):
        await notes.encode([record(note("p1", 0, "abc"))], CONTROL)
        store.embeddings = dict.fromkeys(store.embeddings, damaged)
        made = record(note("p1", 0, "abc"))
        await notes.encode([made], CONTROL)
        assert made.encoded.embedding[0] == 3

    @pytest.mark.parametrize(
        ("control", "care", "reason"),
        [
            (Control(kill_switch=True), Care.NORMAL, Reason.KILL_SWITCH),
            (Control(models_off=frozenset({"notes"})), Care.NORMAL, Reason.MODEL_OFF),
            (CONTROL, Care.WITHOUT_MODELS, Reason.MODEL_SKIPPED),
        ],
    )
    async def test_where_the_model_must_not_run_the_note_goes_on_without(self, notes, control, care, reason):
        made = record(note(), care=care)
        await notes.encode([made], control)
        assert notes.model.asked == []
        assert made.encoded.reasons == (reason,)

    async def test_a_retraction_is_not_encoded(self, notes):
        made = record(note("p1", 0, "text", status="entered-in-error", replaces="x"))
        await notes.encode([made], CONTROL)
        assert notes.model.asked == []
        assert made.encoded is None

    async def test_nothing_asks_nothing(self, notes, store):
        await notes.encode([], CONTROL)
        assert store.calls == []

    async def test_the_shipped_network_gives_the_same_alone_and_in_a_batch(self, threads):
        made = [
            record(note("p1", k, text)) for k, text in enumerate(["Chest pain.", "Well. " * 50, "?", "Fever " * 900])
        ]
        alone = [record(note("p1", k, r.event.text)) for k, r in enumerate(made)]
        await NoteEncoder(OneSuite(Suite(models(), judge())), threads, FakeStore(), IDENTITY, lambda *_: None).encode(
            made, CONTROL
        )
        for each in alone:
            await NoteEncoder(
                OneSuite(Suite(models(), judge())), threads, FakeStore(), IDENTITY, lambda *_: None
            ).encode([each], CONTROL)
        for one, other in zip(made, alone, strict=True):
            np.testing.assert_allclose(one.encoded.embedding, other.encoded.embedding, atol=1e-4)
            assert one.encoded.labels == other.encoded.labels


class TestImages:
    async def test_every_image_gets_its_own_result(self, threads, store):
        encoder = image_encoder(threads, store, FakeSource(a=b"\x01", b=b"\x02"))
        records = [film("a"), film("b", 1)]
        await encoder.encode(records, CONTROL)
        assert [r.encoded.embedding[0] for r in records] == [1, 2]
        assert encoder.model.asked == [2]

    async def test_the_same_image_again_spares_decoder_and_model(self, threads, store):
        encoder = image_encoder(threads, store, FakeSource(a=b"\x01", b=b"\x01"))
        await encoder.encode([film("a")], CONTROL)
        again = film("b", 1)
        await encoder.encode([again], CONTROL)
        assert encoder.model.asked == [1]
        assert again.encoded.embedding[0] == 1

    @pytest.mark.parametrize(
        "reason",
        ["image_unreadable", "image_too_large", "image_not_found", "image_forbidden", "image_hash_mismatch"],
    )
    async def test_an_image_that_cannot_be_had_is_a_result_and_harms_no_neighbour(self, threads, store, reason):
        encoder = image_encoder(threads, store, FakeSource(a=b"\x01", b=ImageError(reason), c=b"\x03"))
        records = [film("a"), film("b", 1), film("c", 2)]
        await encoder.encode(records, CONTROL)
        assert records[1].encoded.reasons == (Reason(reason),)
        assert records[1].encoded.quality == UNREADABLE
        assert [records[k].encoded.embedding[0] for k in (0, 2)] == [1, 3]

    async def test_bytes_that_are_no_image_are_a_result(self, threads, store):
        encoder = image_encoder(threads, store, FakeSource(a=b"!", b=b"\x02"))
        records = [film("a"), film("b", 1)]
        await encoder.encode(records, CONTROL)
        assert records[0].encoded.reasons == (Reason.IMAGE_UNREADABLE,)
        assert records[1].encoded.embedding[0] == 2

    async def test_an_image_on_which_the_model_fails_is_isolated(self, threads, store):
        encoder = image_encoder(threads, store, FakeSource(a=b"\x01", b=bytes([99]), c=b"\x03"))
        records = [film("a"), film("b", 1), film("c", 2)]
        await encoder.encode(records, CONTROL)
        assert records[1].encoded.reasons == (Reason.MODEL_FAILED,)
        assert [records[k].encoded.embedding[0] for k in (0, 2)] == [1, 3]

    def inline(self, data: bytes, **more):
        return record(image(image={"data": b64encode(data).decode(), "media_type": "image/png"} | more))

    async def test_an_inline_image_needs_no_source(self, threads, store):
        source = FakeSource()
        made = self.inline(b"\x07", sha256=hashlib.sha256(b"\x07").hexdigest())
        await image_encoder(threads, store, source).encode([made], CONTROL)
        assert made.encoded.embedding[0] == 7
        assert source.asked == 0

    async def test_an_inline_image_is_held_against_its_hash(self, threads, store):
        made = self.inline(b"\x07", sha256="0" * 64)
        await image_encoder(threads, store, FakeSource()).encode([made], CONTROL)
        assert made.encoded.reasons == (Reason.IMAGE_HASH_MISMATCH,)

    async def test_a_source_that_is_down_is_waited_for(self, threads, store):
        down = ImageError("image_source_down")
        source = FakeSource(a=[down, down, b"\x05"])
        breaker = Breaker(failures=1, backoff_s=0.01, backoff_max_s=0.02)
        made = film("a")
        await image_encoder(threads, store, source, breaker).encode([made], CONTROL)
        assert made.encoded.embedding[0] == 5
        assert source.asked == 3
        assert breaker.state == "closed"

    async def test_while_the_breaker_is_open_nothing_is_asked(self, threads, store):
        breaker = Breaker(failures=1, backoff_s=1000, backoff_max_s=1000)
        source = FakeSource(a=ImageError("image_source_down"))
        task = asyncio.create_task(image_encoder(threads, store, source, breaker).encode([film("a")], CONTROL))
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.asked == 1
        assert breaker.state == "open"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_an_image_that_is_not_there_says_that_the_source_is_up(self, threads, store):
        breaker = Breaker(failures=2)
        breaker.failure(0.0)
        source = FakeSource(a=ImageError("image_not_found"))
        await image_encoder(threads, store, source, breaker).encode([film("a")], CONTROL)
        breaker.failure(0.0)
        assert breaker.state == "closed"
