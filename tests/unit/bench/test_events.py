from __future__ import annotations

import base64
import io

import orjson
import pytest
from PIL import Image

from bench.events import SPACING_MS, Load, images, notes, number_of, numbered_jpeg, vitals
from topics.codec import Decoded, decode
from topics.imaging import ImagingEvent
from topics.notes import NoteEvent
from topics.readings import readings
from topics.vitals import VitalsEvent

NOW_MS = 1_772_000_000_000


def test_every_vitals_event_is_valid_and_wholly_believed():
    made = list(vitals(Load(9_000, 700, NOW_MS)))

    decoded = decode(VitalsEvent, made, now_ms=NOW_MS)

    assert all(isinstance(each, Decoded) for each in decoded)
    read = [readings(each.event) for each in decoded]
    assert not any(each.suspects or each.conflict for each in read)
    assert {len(each.values) for each in read} == {10}  # eight observations, oxygen, consciousness


def test_a_vitals_event_is_as_large_as_the_budget_assumes():
    sizes = [len(value) for _, value in vitals(Load(1_000, 100, NOW_MS))]

    assert min(sizes) >= 650
    assert max(sizes) <= 730


def test_a_patients_events_come_in_order_and_end_now():
    made = decode(VitalsEvent, list(vitals(Load(30, 10, NOW_MS))), now_ms=NOW_MS)

    assert [each.event_ms for each in made] == [
        NOW_MS - (2 - turn) * SPACING_MS for turn in range(3) for _ in range(10)
    ]
    assert [number_of(each.event.event_id) for each in made] == list(range(30))


def test_some_patients_deteriorate_and_most_do_not():
    made = [orjson.loads(value) for _, value in vitals(Load(4_000, 200, NOW_MS))]

    on_oxygen = {event["patient_id"] for event in made if event["oxygen"]["delivery"] == "oxygen"}
    assert 5 < len(on_oxygen) < 40


def test_same_seed_same_bytes():
    assert list(vitals(Load(500, 50, NOW_MS, 3))) == list(vitals(Load(500, 50, NOW_MS, 3)))
    assert list(vitals(Load(500, 50, NOW_MS, 3))) != list(vitals(Load(500, 50, NOW_MS, 4)))


def test_one_patient_has_one_partition():
    load = Load(10_000, 997, NOW_MS)
    keys = [key for key, _ in vitals(load)]

    found = {(key, load.partition(number, 6)) for number, key in enumerate(keys)}

    assert len(found) == 997
    assert {partition for _, partition in found} == set(range(6))


def test_notes_are_valid_and_all_different():
    made = decode(NoteEvent, list(notes(300, NOW_MS)), now_ms=NOW_MS)

    assert all(isinstance(each, Decoded) for each in made)
    assert len({each.event.text for each in made}) == 300


def test_films_are_valid_and_all_different_as_files():
    made = list(images(12, NOW_MS))
    decoded = decode(ImagingEvent, made, now_ms=NOW_MS)

    assert all(isinstance(each, Decoded) for each in decoded)
    assert len({each.event.image.data for each in decoded}) == 12


def test_a_numbered_film_shows_the_same_pixels():
    ((_, value),) = images(1, NOW_MS)
    jpeg = base64.b64decode(orjson.loads(value)["image"]["data"])

    other = numbered_jpeg(jpeg, 77)

    assert other != jpeg
    assert Image.open(io.BytesIO(other)).tobytes() == Image.open(io.BytesIO(jpeg)).tobytes()


@pytest.mark.parametrize("events", [1, 4_095, 4_097])
def test_as_many_events_as_asked_for(events):
    assert sum(1 for _ in vitals(Load(events, 64, NOW_MS))) == events
