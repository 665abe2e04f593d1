"""Versions of models at run time: which one a patient gets, before, while and after it is there."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from models.bundle import ARTEFACTS, load_bundle
from models.weights import read_manifest
from tests.unit.workers.made import IDENTITY, ILL, NOW_MS, Ward, encoded, note, record, vitals
from tests.unit.workers.versions import another
from topics.control_settings import ModelSwitch
from topics.reasons import Reason
from workers.control import Control
from workers.decide import Decider
from workers.shadow import add, compare
from workers.shelf import Shelf

BUILT_ON = read_manifest(ARTEFACTS / "fusion").built_on
SHIPPED = {name: read_manifest(ARTEFACTS / name).version for name in ("vitals", "fusion", "ranker")}


def control(**switches) -> Control:
    return Control(switches={name: ModelSwitch(name=name, **given) for name, given in switches.items()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def versions(folder):
    """A ranker; vitals; a fusion that fits these vitals; a ranker that was never trained."""
    vitals_version = another(folder, "vitals")
    return {
        "ranker": another(folder, "ranker"),
        "vitals": vitals_version,
        "fusion": another(folder, "fusion", built_on=BUILT_ON | {"vitals": vitals_version}),
        "untrained": another(folder, "ranker", by=2e-3, trained=False),
    }


@pytest.fixture
def shelf(folder, versions):
    return Shelf(load_bundle(), folder, torch.device("cpu"))


def ward(shelf: Shelf) -> Ward:
    made = Decider(
        shelf.base.judge, shelf.base.models, run="live", output_topic="hospital.patient.recommendations",
        expires_ms=8 * 3_600_000, now_ms=lambda: NOW_MS, suites=shelf,
    )  # fmt: skip
    return Ward(made)


class TestPromotion:
    def test_until_it_is_loaded_the_one_before_stays_and_nothing_is_wrong(self, shelf, versions):
        body = ward(shelf).body(vitals(), control=control(ranker={"version": versions["ranker"]}))
        assert (body["models"]["ranker"], body["status"]) == (SHIPPED["ranker"], "ok")

    def test_then_results_are_of_the_new_one(self, shelf, versions):
        wanted = control(ranker={"version": versions["ranker"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(), control=wanted)
        assert (body["models"]["ranker"], body["models"]["vitals"]) == (versions["ranker"], SHIPPED["vitals"])
        assert Reason.MODEL_VERSION_UNAVAILABLE not in body["reasons"]

    def test_rolling_back_is_one_setting_more(self, shelf, versions):
        made, minutes = ward(shelf), count()
        for wanted, expected in (
            (control(ranker={"version": versions["ranker"]}), versions["ranker"]),
            (control(ranker={"version": SHIPPED["ranker"]}), SHIPPED["ranker"]),
            (control(ranker={"version": versions["ranker"]}), versions["ranker"]),
            (Control(), SHIPPED["ranker"]),
        ):
            shelf.load(wanted)
            assert made.body(vitals("patient-1", next(minutes)), control=wanted)["models"]["ranker"] == expected

    @pytest.mark.parametrize("which", ["9.9.9+00000000", "untrained"])
    def test_what_cannot_be_loaded_leaves_the_version_in_use_and_is_said(self, shelf, versions, which):
        first = control(ranker={"version": versions["ranker"]})
        shelf.load(first)
        second = control(ranker={"version": versions.get(which, which)})
        shelf.load(second)
        assert len(shelf.absent) == 1
        body = ward(shelf).body(vitals(), control=second)
        assert body["models"]["ranker"] == versions["ranker"]
        assert (body["status"], Reason.MODEL_VERSION_UNAVAILABLE in body["reasons"]) == ("degraded", True)
        shelf.load(Control())
        assert not shelf.absent
        assert ward(shelf).body(vitals(), control=Control())["models"]["ranker"] == SHIPPED["ranker"]

    def test_a_new_vitals_model_folds_the_window_anew(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"]}, fusion={"version": versions["fusion"]})
        shelf.load(wanted)
        changed, from_the_start = ward(shelf), ward(shelf)
        for minute in range(0, 60, 10):
            changed.body(vitals("patient-1", minute, values=ILL), control=Control())
            from_the_start.body(vitals("patient-1", minute, values=ILL), control=wanted)
        one = changed.body(vitals("patient-1", 60, values=ILL), control=wanted)
        two = from_the_start.body(vitals("patient-1", 60, values=ILL), control=wanted)
        assert one["models"]["vitals"] == versions["vitals"]
        assert one["risks"][0]["probability"] == pytest.approx(two["risks"][0]["probability"], abs=1e-4)


class TestFusionThatFits:
    def test_strangers_are_not_fused(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert Reason.FUSION_MISFIT in body["reasons"]
        assert (body["models"]["fusion"], body["status"]) == (None, "degraded")
        risks = {risk["name"]: risk["probability"] for risk in body["risks"]}
        assert risks["deterioration"] == risks["sepsis_6h"]

    def test_the_fusion_that_was_trained_with_it_is(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"]}, fusion={"version": versions["fusion"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert Reason.FUSION_MISFIT not in body["reasons"]
        assert body["models"]["fusion"] == versions["fusion"]

    def test_an_embedding_of_another_encoder_counts_as_absent(self):
        made = Ward()
        made.body(vitals(values=ILL))
        fits = made.decider.models.notes.digest
        present = made.body(note("patient-1", 0), encoded=encoded(model=fits))
        assert next(one for one in present["inputs"] if one["modality"] == "notes")["freshness"] == "fresh"
        other = Ward()
        other.body(vitals(values=ILL))
        absent = other.body(note("patient-1", 0), encoded=encoded(model=fits + 1))
        assert absent["explanation"]["modality_shares"]["notes"] == 0


class TestCanary:
    def test_a_share_of_the_patients_has_the_candidate_always_the_same_ones(self, shelf, versions):
        wanted = control(ranker={"canary": versions["ranker"], "share": 0.4})
        shelf.load(wanted)
        batch = [record(vitals(f"p{k}", 0, values=ILL), offset=k) for k in range(60)]
        made = ward(shelf)
        decisions = made.decide(*batch, control=wanted)
        inside = [each.arm == "canary" for each in decisions]
        assert 10 < sum(inside) < 40
        later = [record(vitals(f"p{k}", 5, values=ILL), offset=k) for k in range(60)]
        assert [each.arm == "canary" for each in made.decide(*later, control=wanted)] == inside
        bodies = ward(shelf).bodies(*batch, control=wanted)
        for body, chosen in zip(bodies, inside, strict=True):
            assert body["models"]["ranker"] == (versions["ranker"] if chosen else SHIPPED["ranker"])
            assert body["control"]["canary"] == (["ranker"] if chosen else [])

    def test_patients_outside_have_what_they_would_have_without(self, shelf, versions):
        wanted = control(vitals={"canary": versions["vitals"], "share": 0.4})
        shelf.load(wanted)
        batch = [record(vitals(f"p{k}", 0, values=ILL), offset=k) for k in range(20)]
        for one, other in zip(ward(shelf).bodies(*batch, control=wanted), ward(shelf).bodies(*batch), strict=True):
            if not one["control"]["canary"]:
                assert one["risks"][0]["probability"] == pytest.approx(other["risks"][0]["probability"], abs=1e-4)
                assert [a["action_id"] for a in one["recommendations"]] == [
                    a["action_id"] for a in other["recommendations"]
                ]

    def test_a_candidate_that_is_not_there_leaves_everybody_the_live_version(self, shelf):
        wanted = control(ranker={"canary": "9.9.9+00000000", "share": 1.0})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(), control=wanted)
        assert (body["models"]["ranker"], body["control"]["canary"]) == (SHIPPED["ranker"], [])
        assert Reason.MODEL_VERSION_UNAVAILABLE in body["reasons"]


class TestShadow:
    def test_changes_no_result_and_no_context(self, shelf, versions):
        wanted = control(vitals={"shadow": versions["vitals"]}, fusion={"shadow": versions["fusion"]})
        shelf.load(wanted)
        shadowed, plain = ward(shelf), ward(shelf)
        event = vitals(values=ILL)
        with_, without = shadowed.body(event, control=wanted), plain.body(event)
        assert with_ | {"timing": None} == without | {"timing": None}
        contexts = shadowed.contexts[IDENTITY.patient("patient-1")]
        before = contexts.tobytes()
        suite, names = shelf.shadow(wanted)
        found = compare(contexts.copy(), shelf.base, suite, wanted)
        assert contexts.tobytes() == before
        assert names == {"vitals": versions["vitals"], "fusion": versions["fusion"]}
        assert (found.patients, found.both) == (1, 1)
        assert 0 < found.largest < 0.2

    def test_a_candidate_equal_to_what_is_live_differs_in_nothing(self, shelf):
        made = ward(shelf)
        for k in range(5):
            made.body(vitals(f"p{k}", 0, values=ILL))
        contexts = np.concatenate(list(made.contexts.values()))
        one = compare(contexts, shelf.base, shelf.base, Control())
        assert (one.patients, one.band, one.alert, one.largest) == (5, 0, 0, 0.0)
        assert (one.first, one.five, one.listed) == (5, 5.0, 5)
        both = add(add(one, one), one)
        assert (both.batches, both.patients, both.steps[0]) == (3, 15, 15)
        assert both.report()["overlap_of_first_five"] == 1.0

    def test_without_a_candidate_there_is_none(self, shelf):
        assert shelf.shadow(Control()) is None
        assert shelf.shadow(control(ranker={"shadow": "9.9.9+00000000"})) is None
