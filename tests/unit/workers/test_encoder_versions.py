"""Versions of notes and imaging at run time: which encoder a record goes through, and what its result says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.bundle import ARTEFACTS, load_bundle
from models.weights import read_manifest
from tests.fakes import FakeStore
from tests.unit.workers.made import IDENTITY, ILL, encoded, note, record, vitals
from tests.unit.workers.test_shelf import BUILT_ON, control, ward
from tests.unit.workers.versions import another
from topics.reasons import Reason
from workers.breaker import Breaker
from workers.control import Control
from workers.encoders import ImageEncoder, NoteEncoder
from workers.shelf import Shelf
from workers.threads import Threads

SHIPPED = read_manifest(ARTEFACTS / "notes").version
TEXT = "Chest pain since this morning, short of breath."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def versions(folder):
    """Notes, and a fusion that was trained with them."""
    made = another(folder, "notes")
    return {"notes": made, "fusion": another(folder, "fusion", built_on=BUILT_ON | {"notes": made})}


@pytest.fixture
def shelf(folder, versions):
    assert versions
    return Shelf(load_bundle(), folder, torch.device("cpu"))


@pytest.fixture
def threads():
    made = Threads("notes", "imaging")
    yield made
    made.close()


@pytest.fixture
def notes(shelf, threads):
    return NoteEncoder(shelf, threads, FakeStore(), IDENTITY, lambda *_: None)


async def test_a_promoted_version_encodes_and_the_cache_of_the_other_is_not_read(shelf, versions, notes):
    wanted = control(notes={"version": versions["notes"], "fusion": versions["fusion"]})
    shelf.load(wanted)
    before, after, back = (record(note("p1", k, TEXT)) for k in range(3))
    await notes.encode([before], Control())
    await notes.encode([after], wanted)
    await notes.encode([back], Control())
    assert [each.encoded.version for each in (before, after, back)] == [SHIPPED, versions["notes"], SHIPPED]
    assert not np.array_equal(before.encoded.embedding, after.encoded.embedding)
    np.testing.assert_array_equal(before.encoded.embedding, back.encoded.embedding)


async def test_a_share_of_the_patients_is_encoded_by_the_candidate(shelf, versions, notes):
    wanted = control(notes={"canary": versions["notes"], "canary_fusion": versions["fusion"], "share": 0.5})
    shelf.load(wanted)
    records = [record(note(f"p{k}", 0, f"{TEXT} {k}")) for k in range(20)]
    await notes.encode(records, wanted)
    used = [each.encoded.version for each in records]
    assert set(used) == {SHIPPED, versions["notes"]}
    made = ward(shelf)
    for each, version in zip(records, used, strict=True):
        (body,) = made.bodies(each, control=wanted)
        assert body["models"]["notes"] == version
        assert body["control"]["canary"] == (["notes"] if version != SHIPPED else [])
        assert Reason.FUSION_MISFIT not in body["reasons"]


async def test_a_stored_note_of_the_version_before_is_left_out_until_the_next_note(shelf, versions, notes):
    wanted = control(notes={"version": versions["notes"], "fusion": versions["fusion"]})
    shelf.load(wanted)
    made, earlier, later = ward(shelf), record(note("p1", 0, TEXT)), record(note("p1", 20, TEXT))
    await notes.encode([earlier], Control())
    await notes.encode([later], wanted)
    shares = []
    for each, used in ((earlier, Control()), (record(vitals("p1", 10, values=ILL)), wanted), (later, wanted)):
        (body,) = made.bodies(each, control=used)
        shares.append(body["explanation"]["modality_shares"]["notes"] > 0)
    assert shares == [False, False, True]  # without vital signs there is no fused risk, so the first has no share
    (body,) = made.bodies(record(vitals("p1", 30, values=ILL)), control=Control())
    assert body["explanation"]["modality_shares"]["notes"] == 0


def test_a_note_encoded_just_before_a_promotion_names_the_version_that_read_it(shelf, versions):
    wanted = control(notes={"version": versions["notes"], "fusion": versions["fusion"]})
    shelf.load(wanted)
    own = shelf.base.models.notes
    body = ward(shelf).body(
        note("p1", 0, TEXT), control=wanted, encoded=encoded(model=own.digest, version=own.version)
    )  # fmt: skip
    assert body["models"]["notes"] == SHIPPED
    assert body["models"]["fusion"] == versions["fusion"]


async def test_what_goes_through_a_network_is_heard_once(shelf, threads, notes):
    heard = []
    notes.along = lambda name, inputs, results, _: heard.append((name, list(inputs), len(results)))
    await notes.encode([record(note("p1", 0, TEXT))], Control())
    await notes.encode([record(note("p1", 1, TEXT))], Control())  # from the cache
    assert heard == [("notes", [TEXT], 1)]
    images = ImageEncoder(
        shelf, threads, FakeStore(), IDENTITY, lambda *_: None, SimpleNamespace(), SimpleNamespace(), Breaker()
    )
    assert images.along is None
