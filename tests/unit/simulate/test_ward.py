"""The made ward keeps its promises: valid, in order, the same for the same plan."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
import torch
from PIL import Image

from models.bundle import load_bundle
from topics.catalogue import IMAGING, TOPICS, VITALS
from topics.codec import Decoded, Rejected, decode
from topics.readings import readings
from topics.reasons import Reason
from workers.images.decode import resize
from workers.simulate import Record, WardPlan, films, ward
from workers.simulate.course import admit, oxygen_flow, severity, value
from workers.simulate.poison import KINDS, poison

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = round((START + timedelta(days=3)).timestamp() * 1000)
KIND = {topic.name: topic.kind for topic in TOPICS}
REASON = {
    "null_value": Reason.NULL_VALUE,
    "not_utf8": Reason.NOT_UTF8,
    "not_json": Reason.NOT_JSON,
    "missing_field": Reason.EVENT_TIME_MISSING,
    "unknown_field": Reason.SCHEMA,
    "newer_major_version": Reason.SCHEMA_VERSION,
    "naive_time": Reason.EVENT_TIME_NAIVE,
    "future_time": Reason.EVENT_TIME_FUTURE,
    "wrong_key": Reason.KEY_MISMATCH,
    "no_identity": Reason.IDENTITY,
}


def plan(**changes: object) -> WardPlan:
    settings: dict[str, object] = {"seed": 3, "patients": 8, "start": START, "images": False, "poison": 0.0}
    return WardPlan(**(settings | changes))


def decoded(record: Record) -> Decoded | Rejected:
    return decode(KIND[record.topic], [(record.key, record.value)], now_ms=NOW_MS)[0]


def test_every_event_meets_the_contract():
    records = list(ward(plan(images=True, patients=3)))
    assert {record.topic for record in records} == {"patient.vitals", "patient.notes", "patient.imaging"}
    assert [decoded(record) for record in records if not isinstance(decoded(record), Decoded)] == []


def test_the_same_plan_gives_the_same_bytes():
    assert list(ward(plan(images=True, patients=2, hours=10))) == list(ward(plan(images=True, patients=2, hours=10)))


def test_another_seed_gives_another_ward():
    assert list(ward(plan(hours=5))) != list(ward(plan(hours=5, seed=4)))


def test_records_come_in_order_of_arrival_and_late_ones_after_their_time():
    records = list(ward(plan(late=0.3)))
    assert [record.at for record in records] == sorted(record.at for record in records)
    lags = [record.at - datetime.fromisoformat(orjson.loads(record.value)["event_time"]) for record in records]
    assert min(lags) >= timedelta(0)
    late = sum(lag > timedelta(minutes=15) for lag in lags) / len(lags)
    assert 0.2 < late < 0.4


def test_event_ids_are_unique():
    ids = [record.event_id for record in ward(plan(patients=20))]
    assert len(set(ids)) == len(ids) > 500


def test_corrections_and_retractions_name_an_event_that_came_before_them():
    seen: set[str] = set()
    statuses: Counter[str] = Counter()
    for record in ward(plan(corrected=0.1, retracted=0.1, late=0.2)):
        event = orjson.loads(record.value)
        statuses[event["status"]] += 1
        if event["status"] != "final":
            assert event["replaces"] in seen
        seen.add(event["event_id"])
    assert statuses["corrected"] > 5
    assert statuses["entered-in-error"] > 5


def test_slips_are_what_the_readings_call_suspect():
    def suspects(slips: float) -> int:
        events = [decoded(record).event for record in ward(plan(slips=slips)) if record.topic == VITALS]
        return sum(bool(readings(event).suspects) for event in events)

    assert suspects(0.0) == 0
    assert suspects(0.5) > 50


def test_units_are_mixed_and_mean_the_same():
    units = {
        entry["unit"]
        for record in ward(plan(patients=20, hours=6))
        if record.topic == VITALS
        for entry in orjson.loads(record.value)["observations"]
        if entry["code"] in {"temperature", "8310-5"}
    }
    assert units == {"Cel", "[degF]"}


@pytest.mark.parametrize("kind", KINDS)
def test_poison_ends_for_the_reason_it_was_made_for(kind):
    outcome = decoded(poison(kind, START, 1))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == REASON[kind]


def test_poison_is_a_trickle_of_all_kinds():
    outcomes = [decoded(record) for record in ward(plan(poison=0.05, patients=12))]
    rejected = Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Rejected))
    assert set(rejected) == set(REASON.values())
    assert rejected.total() < 0.1 * len(outcomes)


def test_films_by_claim_check_are_kept_under_the_name_of_their_hash():
    kept: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> str:
        kept[name] = data
        return f"file:///films/{name}"

    images = [record for record in ward(plan(images=True, patients=2, hours=12), keep) if record.topic == IMAGING]
    assert images
    for record in images:
        image = decoded(record).event.image
        assert len(kept[f"{image.sha256}.png"]) == image.size_bytes


def test_a_film_fits_inline_and_opacities_make_it_brighter():
    clear, dense = films.draw(5, 0.0), films.draw(5, 1.0)
    assert len(clear) < 256 * 1024

    def lung(png: bytes) -> float:
        picture = Image.open(io.BytesIO(png))
        assert picture.size == (films.SIDE, films.SIDE)
        part = picture.crop((60, 140, 120, 210))
        return sum(part.tobytes()) / (60 * 70)

    assert lung(dense) > lung(clear) + 20


def test_most_drawn_films_are_ordinary_to_the_shipped_network():
    pictures = [Image.open(io.BytesIO(films.draw(seed, seed % 4 / 3))) for seed in range(12)]
    greys = np.stack([resize(np.asarray(picture, np.float32) / 255) for picture in pictures])
    with torch.inference_mode():
        novelty = load_bundle().imaging(torch.from_numpy(greys)).novelty
    assert (novelty <= 1).float().mean() > 0.5


@pytest.mark.parametrize("course", ["sepsis", "respiratory"])
def test_a_deteriorating_patient_gets_worse_and_a_recovering_one_better(course):
    import random

    ill = admit(random.Random(1), "p", course)
    well = admit(random.Random(1), "q", "recovering")
    assert severity(ill, 0) < 0.35 < 0.5 < severity(ill, ill.onset_h + 8)
    assert severity(well, 0) > 2 * severity(well, 40)
    assert value(ill, "respiration_rate", ill.onset_h + 8) > value(ill, "respiration_rate", 0) + 5


def test_oxygen_begins_when_saturation_has_fallen():
    import random

    patient = admit(random.Random(1), "p", "respiratory")
    assert oxygen_flow(patient, 0) == 0
    assert oxygen_flow(patient, patient.onset_h + 8) >= 2
