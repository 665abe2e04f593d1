"""Candidates that score along: what is compared and counted, and that nothing else notices."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.bundle import load_bundle
from tests.unit.workers.made import IDENTITY, ILL, encoded, record, vitals
from tests.unit.workers.test_shelf import BUILT_ON, control, ward
from tests.unit.workers.versions import another
from topics.control_settings import PatientLimits
from workers.comparison import Agreement, Comparison, add, agree, compare
from workers.context import FOREIGN, UNREADABLE
from workers.control import Control
from workers.metrics import Metrics
from workers.shadow import Shadow
from workers.shelf import Shelf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def versions(folder):
    made = another(folder, "vitals")
    return {
        "vitals": made,
        "fusion": another(folder, "fusion", built_on=BUILT_ON | {"vitals": made}),
        "notes": another(folder, "notes", by=1e-4),
    }


@pytest.fixture
def shelf(folder, versions):
    assert versions
    return Shelf(load_bundle(), folder, torch.device("cpu"))


@pytest.fixture
def wanted(shelf, versions):
    made = control(vitals={"shadow": versions["vitals"], "shadow_fusion": versions["fusion"]})
    shelf.load(made)
    return made


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def shadow(shelf, metrics):
    made = Shadow(shelf, metrics)
    yield made
    made.close()


def judged(shelf: Shelf, count: int = 5):
    """Contexts after a batch, and its records."""
    made, records = ward(shelf), [record(vitals(f"p{k}", 0, values=ILL)) for k in range(count)]
    made.decide(*records)
    return np.concatenate([made.contexts[each.patient] for each in records]), records


async def settled(shadow: Shadow) -> None:
    async with asyncio.timeout(20):
        while shadow._busy:
            await asyncio.sleep(0.01)


class FailsOnce:
    """A shelf whose candidate raises an error on the first batch."""

    def __init__(self, shelf: Shelf) -> None:
        self._standing, self.asked = shelf.standing(), 0
        self.live = self._standing.live

    def standing(self) -> FailsOnce:
        return self

    def shadow(self, wanted: Control):
        self.asked += 1
        suite, names = self._standing.shadow(wanted)
        return (replace(suite, judge=None) if self.asked == 1 else suite), names


class TestComparing:
    def test_changes_no_result_and_no_context(self, shelf, wanted):
        shadowed, plain = ward(shelf), ward(shelf)
        event = vitals(values=ILL)
        with_, without = shadowed.body(event, control=wanted), plain.body(event)
        assert with_ | {"timing": None} == without | {"timing": None}
        assert shadowed.contexts[IDENTITY.patient("patient-1")].tobytes() == (
            plain.contexts[IDENTITY.patient("patient-1")].tobytes()
        )

    def test_a_candidate_is_judged_as_a_promotion_would_have_it(self, shelf, versions, wanted):
        promoted = control(vitals={"version": versions["vitals"], "fusion": versions["fusion"]})
        event = vitals(values=ILL)
        live = ward(shelf).body(event)["risks"][2]
        shelf.load(promoted)
        then = ward(shelf).body(event, control=promoted)["risks"][2]
        shelf.load(wanted)
        contexts, records = judged(shelf, 1)
        suite, names = shelf.standing().shadow(wanted)
        found, differences = compare(contexts, records, shelf.base, suite, wanted)
        assert names == {"vitals": versions["vitals"], "fusion": versions["fusion"]}
        assert (found.patients, found.both, found.one) == (1, 1, 0)
        expected = abs(live["probability"] - then["probability"])
        assert expected > 0
        assert differences == pytest.approx([expected], abs=1e-5)

    def test_a_candidate_equal_to_what_is_live_differs_in_nothing(self, shelf):
        one, differences = compare(*judged(shelf), shelf.base, shelf.base, Control())
        assert (one.patients, one.band, one.alert, differences.max()) == (5, 0, 0, 0.0)
        assert (one.first, one.five, one.listed) == (5, 5.0, 5)
        both = add(add(one, one), one)
        assert (both.batches, both.patients, both.steps[0]) == (3, 15, 15)
        assert both.report()["overlap_of_first_five"] == 1.0

    def test_limits_of_a_patient_hold_for_both(self, shelf):
        contexts, records = judged(shelf, 1)
        who = records[0].patient
        limited = Control(limits={who: PatientLimits(patient=who.hex(), icu_not_appropriate=True)})
        found, _ = compare(contexts, records, shelf.base, shelf.base, limited)
        assert found.first == found.listed == 1

    def test_labels_of_encoders(self):
        same = encoded(0)
        unreadable, foreign = encoded(0, quality=UNREADABLE), encoded(0, quality=FOREIGN)
        other = encoded(0)
        other.probability = 1 - same.probability
        found = agree("2", [same, same, same, same], [same, unreadable, foreign, other])
        assert (found.records, found.labels, found.foreign, found.both) == (3, 2, 1, 3)
        top = float(same.probability.max())
        assert found.difference == pytest.approx(abs(2 * top - 1), abs=1e-6)
        assert add(found, found).report()["same_first_label"] == 4


class TestRunning:
    async def test_without_a_candidate_nothing_is_copied_or_compared(self, shelf, shadow):
        contexts, records = judged(shelf, 1)
        assert shadow.before(contexts, Control()) is None
        shadow.encoded("notes", ["a"], [encoded()], Control())
        absent = control(ranker={"shadow": "9.9.9+00000000"})
        shadow.offer(contexts, {0: records[0]}, shadow.before(contexts, absent), absent)
        assert shadow.report() is None

    async def test_batches_add_up_and_are_measured(self, shelf, shadow, wanted, versions, metrics):
        contexts, records = judged(shelf)
        for _ in range(2):
            shadow.offer(contexts, dict(enumerate(records)), shadow.before(contexts, wanted), wanted)
            await settled(shadow)
        report = shadow.report()
        assert report["candidates"] == {"vitals": versions["vitals"], "fusion": versions["fusion"]}
        assert (report["batches"], report["patients"], report["risks_of_both"]) == (2, 10, 10)
        value = metrics.registry.get_sample_value
        assert value("wardstream_shadow_patients_total") == 10
        assert value("wardstream_shadow_risk_difference_count") == 10

    async def test_what_it_cannot_keep_up_with_is_left_out_and_counted(self, shelf, shadow, wanted, metrics):
        contexts, records = judged(shelf)
        hold = threading.Event()
        shadow._thread.submit(hold.wait)
        for _ in range(3):
            shadow.offer(contexts, dict(enumerate(records)), shadow.before(contexts, wanted), wanted)
        hold.set()
        await settled(shadow)
        assert (shadow.report()["batches"], shadow.report()["skipped_batches"]) == (1, 2)
        assert metrics.registry.get_sample_value("wardstream_shadow_skipped_batches_total") == 2

    async def test_a_candidate_that_fails_is_counted_and_the_next_batch_is_compared(self, shelf, metrics, wanted):
        shadow = Shadow(FailsOnce(shelf), metrics)
        contexts, records = judged(shelf)
        for _ in range(2):
            shadow.offer(contexts, dict(enumerate(records)), shadow.before(contexts, wanted), wanted)
            await settled(shadow)
        shadow.close()
        assert (shadow.report()["failed_batches"], shadow.report()["patients"]) == (1, 5)

    async def test_wards_without_models_are_left_out(self, shelf, shadow, wanted):
        contexts, _ = judged(shelf, 2)
        records = [record(vitals(f"p{k}", 0, unit=unit)) for k, unit in enumerate(["paeds", "icu"])]
        rules = Control(switches=wanted.switches, rules_only=frozenset({"paeds"}))
        shadow.offer(contexts, dict(enumerate(records)), shadow.before(contexts, rules), rules)
        await settled(shadow)
        assert shadow.report()["patients"] == 1

    async def test_an_encoder_reads_the_same_notes(self, shelf, shadow, versions, metrics):
        asked = control(notes={"shadow": versions["notes"]})
        shelf.load(asked)
        texts = ["Chest pain since this morning.", "Fracture of the left wrist.", "Feels well."]
        mine = shelf.base.models.notes.encode(texts)
        shadow.encoded("notes", texts, mine, asked)
        await settled(shadow)
        found = shadow.report()["encoders"]["notes"]
        assert (found["version"], found["records"], found["failed_batches"]) == (versions["notes"], 3, 0)
        assert 0 < found["mean_difference"] < 0.5
        assert shadow.report()["candidates"] == {"notes": versions["notes"]}
        assert metrics.registry.get_sample_value("wardstream_shadow_records_total", {"model": "notes"}) == 3

    async def test_another_candidate_begins_anew(self, shelf, shadow):
        shadow._encoders["notes"] = Agreement("old", batches=9)
        shadow._found = Comparison({"vitals": "old"}, batches=9)
        assert shadow.report()["candidates"] == {"vitals": "old", "notes": "old"}
