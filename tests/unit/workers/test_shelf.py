"""Versions of models at run time: which one a patient gets, before, while and after it is there."""

from __future__ import annotations

from itertools import count

import pytest
import torch
from pydantic import ValidationError

from models.bundle import ARTEFACTS, load_bundle
from models.weights import read_manifest
from tests.unit.workers.made import ILL, NOW_MS, Ward, encoded, image, note, record, vitals
from tests.unit.workers.versions import another
from topics.control_settings import ModelSwitch
from topics.reasons import Reason
from workers.control import Control
from workers.decide import Decider
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
    def test_until_it_is_loaded_the_one_before_stays_and_results_say_so(self, shelf, versions):
        body = ward(shelf).body(vitals(), control=control(ranker={"version": versions["ranker"]}))
        assert (body["models"]["ranker"], body["status"]) == (SHIPPED["ranker"], "degraded")
        assert Reason.MODEL_VERSION_UNAVAILABLE in body["reasons"]

    def test_what_a_batch_began_with_does_not_change_when_more_is_loaded(self, shelf, versions):
        wanted, begun = control(ranker={"version": versions["ranker"]}), shelf.standing()
        before = begun.live(wanted).suite
        shelf.load(wanted)
        assert begun.live(wanted).suite is before
        assert shelf.standing().live(wanted).suite is not before

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

    @pytest.mark.parametrize("event", [note("patient-1", 70), image("patient-1", 70)])
    def test_the_first_note_or_image_after_it_has_the_risk_of_the_new_model(self, shelf, versions, event):
        wanted = control(vitals={"version": versions["vitals"], "fusion": versions["fusion"]})
        shelf.load(wanted)
        changed, from_the_start = ward(shelf), ward(shelf)
        for minute in range(0, 60, 10):
            changed.body(vitals("patient-1", minute, values=ILL), control=Control())
            from_the_start.body(vitals("patient-1", minute, values=ILL), control=wanted)
        one, two = (made.body(event, control=wanted, encoded=encoded()) for made in (changed, from_the_start))
        assert one["risks"][0]["probability"] == pytest.approx(two["risks"][0]["probability"], abs=1e-4)

    def test_a_damaged_neighbour_harms_no_other_version(self, tmp_path):
        version = another(tmp_path, "ranker")
        (tmp_path / "ranker" / "0-damaged").mkdir()
        (tmp_path / "ranker" / "0-damaged" / "manifest.json").write_text("{")
        made = Shelf(load_bundle(), tmp_path, torch.device("cpu"))
        made.load(control(ranker={"version": version}))
        assert not made.absent

    @pytest.mark.parametrize("damage", ["manifest.json", "weights.safetensors"])
    def test_a_damaged_version_is_absent(self, tmp_path, damage):
        version = another(tmp_path, "ranker")
        (tmp_path / "ranker" / version / damage).write_bytes(b"{")
        made = Shelf(load_bundle(), tmp_path, torch.device("cpu"))
        made.load(control(ranker={"version": version}))
        assert made.absent == {("ranker", version)}

    def test_a_version_on_which_a_model_fails_is_absent(self, tmp_path, monkeypatch):
        version = another(tmp_path, "vitals")
        made = Shelf(load_bundle(), tmp_path, torch.device("cpu"))
        own = made.base.models.vitals.hidden
        monkeypatch.setattr("workers.shelf.HIDDEN", own - 1)
        made.load(control(vitals={"version": version}))
        assert made.absent == {("vitals", version)}


class TestFusionThatFits:
    def test_strangers_are_not_fused(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert Reason.FUSION_MISFIT in body["reasons"]
        assert (Reason.MODEL_OFF in body["reasons"], body["control"]["models_off"]) == (False, [])
        assert (body["models"]["fusion"], body["status"]) == (None, "degraded")
        risks = {risk["name"]: risk["probability"] for risk in body["risks"]}
        assert risks["deterioration"] == risks["sepsis_6h"]

    def test_the_fusion_that_was_trained_with_it_is(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"]}, fusion={"version": versions["fusion"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert Reason.FUSION_MISFIT not in body["reasons"]
        assert body["models"]["fusion"] == versions["fusion"]

    def test_one_setting_changes_both(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"], "fusion": versions["fusion"]})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert (body["models"]["vitals"], body["models"]["fusion"]) == (versions["vitals"], versions["fusion"])
        assert body["reasons"] == ward(shelf).body(vitals(values=ILL))["reasons"]

    def test_without_its_fusion_a_version_is_not_used(self, shelf, versions):
        wanted = control(vitals={"version": versions["vitals"], "fusion": "9.9.9+00000000"})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert (body["models"]["vitals"], body["models"]["fusion"]) == (SHIPPED["vitals"], SHIPPED["fusion"])
        assert Reason.MODEL_VERSION_UNAVAILABLE in body["reasons"]

    @pytest.mark.parametrize(
        "given",
        [
            {"name": "vitals", "fusion": "1"},
            {"name": "ranker", "version": "1", "fusion": "2"},
            {"name": "fusion", "version": "1", "fusion": "2"},
            {"name": "notes", "shadow": "1", "shadow_fusion": "2"},
            {"name": "vitals", "version": "1", "canary_fusion": "2"},
        ],
    )
    def test_a_fusion_goes_with_a_version_of_what_it_reads(self, given):
        with pytest.raises(ValidationError):
            ModelSwitch(**given)

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

    def test_a_candidate_of_vitals_brings_its_fusion(self, shelf, versions):
        wanted = control(vitals={"canary": versions["vitals"], "canary_fusion": versions["fusion"], "share": 1.0})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(values=ILL), control=wanted)
        assert (body["models"]["vitals"], body["models"]["fusion"]) == (versions["vitals"], versions["fusion"])
        assert (Reason.FUSION_MISFIT in body["reasons"], body["control"]["canary"]) == (False, ["vitals"])

    def test_a_candidate_that_is_not_there_leaves_everybody_the_live_version(self, shelf):
        wanted = control(ranker={"canary": "9.9.9+00000000", "share": 1.0})
        shelf.load(wanted)
        body = ward(shelf).body(vitals(), control=wanted)
        assert (body["models"]["ranker"], body["control"]["canary"]) == (SHIPPED["ranker"], [])
        assert Reason.MODEL_VERSION_UNAVAILABLE in body["reasons"]
