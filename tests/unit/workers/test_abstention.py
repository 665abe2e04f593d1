"""A model that cannot tell says so; that moves no score, no rule and no alert."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.bundle import load_bundle
from models.conformal import Conformal
from models.recommend.ranker import NO_CHANGE
from tests.unit.workers.made import ILL, Ward, decider, encoded, image, note, vitals
from topics.recommendation import RecommendationEvent
from workers.alert_policy import Policy
from workers.control import Control
from workers.inference import Models

OPEN = Conformal(coverage=0.85, least={"no": 0.0, "yes": 0.0})
RULED_OUT = Conformal(coverage=0.85, least={"no": 0.0, "yes": 1.1})
NOTHING = Conformal(coverage=0.85, least={"no": 1.1, "yes": 1.1})
ONLY_YES = Conformal(coverage=0.85, least={"no": 1.1, "yes": 0.0})
SURGICAL = (
    "PREOPERATIVE DIAGNOSIS: Torn medial meniscus of the left knee. PROCEDURE: Arthroscopy of the left knee with "
    "partial meniscectomy. ANESTHESIA: General. The patient was taken to the operating room, placed supine, prepped "
    "and draped. A tourniquet was inflated. Portals were made, the meniscus was resected, and the wounds were closed."
)
FINDINGS = ("normal", "bacterial", "viral")
SET_OF = {id(OPEN): ["no", "yes"], id(RULED_OUT): ["no"], id(NOTHING): []}


@cache
def bundle():
    torch.set_num_threads(1)
    return load_bundle()


def models_with(**conformal: dict[str, Conformal]) -> Models:
    """The shipped networks with other prediction sets; a model that is not named has none."""
    manifests = {
        name: manifest.model_copy(update={"conformal": conformal.get(name, {})})
        for name, manifest in bundle().manifests.items()
    }
    return Models.of(replace(bundle(), manifests=manifests), torch.device("cpu"))


def ward(sepsis: Conformal, fused: Conformal | None = None) -> Ward:
    sets = {"vitals": {"sepsis_6h": sepsis}} | ({"fusion": {"sepsis_6h": fused}} if fused else {})
    return Ward(decider(models_with(**sets)))


class TestVitals:
    @pytest.mark.parametrize(
        ("sets", "status"), [(OPEN, "indeterminate"), (NOTHING, "indeterminate"), (RULED_OUT, "ok")]
    )
    def test_are_ambiguous_unless_one_answer_alone_is_left(self, sets: Conformal, status: str):
        body = ward(sets).body(vitals())
        assert body["status"] == status
        assert ("ambiguous" in body["reasons"]) == (status == "indeterminate")
        assert body["risks"][0]["prediction_set"] == SET_OF[id(sets)]
        assert body["risks"][0]["probability"] is not None
        RecommendationEvent.model_validate_json(json.dumps(body))

    def test_without_prediction_sets_are_never_ambiguous(self):
        body = Ward(decider(models_with())).body(vitals())
        assert body["status"] == "ok"
        assert [risk["prediction_set"] for risk in body["risks"]] == [None, None, None]

    def test_of_a_model_that_is_off_are_not_called_ambiguous(self):
        body = ward(OPEN).body(vitals(), control=Control(models_off=frozenset({"vitals"})))
        assert "ambiguous" not in body["reasons"]
        assert body["risks"][0]["prediction_set"] is None

    def test_do_not_make_the_patients_notes_ambiguous(self):
        made = ward(OPEN)
        made.body(vitals())
        body = made.body(note("patient-1", 5), encoded=encoded(1))
        assert body["risks"][0]["prediction_set"] == ["no", "yes"]
        assert "ambiguous" not in body["reasons"]


class TestNotesAndImages:
    def pixels(self) -> np.ndarray:
        return np.random.default_rng(0).random((2, 1, 224, 224)).astype(np.float32)

    def test_a_film_shows_every_finding_with_what_is_left_open(self):
        sets = Conformal(coverage=0.85, least={"normal": 1.1, "bacterial": 0.0, "viral": 0.0})
        model = models_with(imaging={"finding": sets}).imaging
        for film in model.encode(self.pixels()):
            film.quality = 0  # noise is foreign, and its findings would not be shown
            body = Ward(decider(models_with())).body(image(), encoded=film)
            shown = body["findings"]
            assert sorted(each["label"] for each in shown) == sorted(FINDINGS)
            assert sum(each["probability"] for each in shown) == pytest.approx(1, abs=2e-4)
            assert [e["probability"] for e in shown] == sorted((e["probability"] for e in shown), reverse=True)
            assert {each["label"]: each["possible"] for each in shown} == {
                "normal": False, "bacterial": True, "viral": True,
            }  # fmt: skip
            assert not any(each["certain"] for each in shown)

    def test_a_film_with_one_finding_left_is_certain(self):
        sets = Conformal(coverage=0.85, least={"normal": 1.1, "bacterial": 0.0, "viral": 1.1})
        film = models_with(imaging={"finding": sets}).imaging.encode(self.pixels())[0]
        assert dict(zip(film.labels, film.certain, strict=True)) == {"normal": False, "bacterial": True, "viral": False}
        assert "ambiguous" not in film.reasons

    def test_a_note_is_ambiguous_when_no_label_is_certain(self):
        labels = bundle().manifests["notes"].labels
        (doubtful,) = models_with(notes=dict.fromkeys(labels, OPEN)).notes.encode([SURGICAL])
        (clear,) = models_with(notes=dict.fromkeys(labels, ONLY_YES)).notes.encode([SURGICAL])
        foreign = bool(doubtful.quality)
        assert ("ambiguous" in doubtful.reasons) != foreign
        assert "ambiguous" not in clear.reasons
        assert doubtful.possible == (True, True, True)
        assert doubtful.certain == (False, False, False)

    def test_a_label_of_a_note_is_certain_only_if_it_is_likely_too(self):
        labels = bundle().manifests["notes"].labels
        (found,) = models_with(notes=dict.fromkeys(labels, ONLY_YES)).notes.encode([SURGICAL])
        assert found.possible == (True, True, True)
        assert found.certain == tuple((found.probability >= 0.5).tolist())
        assert found.certain[0]
        assert not all(found.certain)

    def test_a_foreign_film_shows_no_findings(self):
        body = Ward().body(image(), encoded=encoded(1, quality=1, reasons=("out_of_distribution",)))
        assert body["findings"] == []
        assert body["status"] == "indeterminate"


class TestNothingElseMoves:
    """Prediction sets decide what is said of the model, not what is done for the patient."""

    @settings(max_examples=20, deadline=None)
    @given(
        pulse=st.integers(40, 180), spo2=st.integers(75, 100), breaths=st.integers(6, 40),
        pressure=st.integers(60, 200), warm=st.integers(340, 410),
    )  # fmt: skip
    @example(pulse=51, spo2=96, breaths=12, pressure=111, warm=361)  # nothing scores: "continue as before" is due
    def test_scores_floor_and_rule_alerts_are_those_of_a_sure_model(self, pulse, spo2, breaths, pressure, warm):
        values = {"respiration_rate": breaths, "spo2": spo2, "systolic_bp": pressure, "pulse": pulse,
                  "temperature": warm / 10}  # fmt: skip
        sure, unsure = (ward(sets, sets).body(vitals(values=values)) for sets in (RULED_OUT, OPEN))
        assert unsure["clinical_scores"] == sure["clinical_scores"]
        floors = [[each["action_id"] for each in body["recommendations"] if each["floor"]] for body in (sure, unsure)]
        assert floors[1] == [action for action in floors[0] if action != NO_CHANGE]  # relaxing waits for an answer
        if unsure["alert"]["reason"] != sure["alert"]["reason"]:
            assert sure["alert"]["reason"] == "model_risk"
        else:
            assert unsure["alert"] == sure["alert"] | {"alert_id": unsure["alert"]["alert_id"]}
        assert unsure["risks"][0]["probability"] == sure["risks"][0]["probability"]

    def test_an_ambiguous_risk_raises_no_alert(self):
        low_line = Control(policies={"*": Policy(model_raise=0.0)})
        wards = [ward(RULED_OUT, sets) for sets in (RULED_OUT, OPEN)]
        for made in wards:
            made.body(vitals(), control=low_line)
        sure, unsure = (made.body(vitals("patient-1", 20), control=low_line) for made in wards)
        assert (sure["alert"]["state"], sure["alert"]["reason"]) == ("raise", "model_risk")
        assert sure["alert"]["evidence"] == "model"
        assert unsure["alert"]["state"] == "none"

    def test_an_ambiguous_risk_does_not_clear_the_alert_that_the_model_raised(self):
        low, high = (Control(policies={"*": Policy(model_raise=line)}) for line in (0.0, 1.0))
        raised = ward(RULED_OUT, RULED_OUT)
        for minute in (0, 20):
            raised.body(vitals("patient-1", minute), control=low)

        def later(made: Ward, control: Control) -> list[str]:
            made.contexts = {patient: context.copy() for patient, context in raised.contexts.items()}
            return [made.body(vitals("patient-1", at), control=control)["alert"]["state"] for at in (90, 150)]

        assert later(ward(RULED_OUT, OPEN), high) == ["suppress", "suppress"]
        off = Control(policies=high.policies, models_off=frozenset({"vitals"}))
        assert later(ward(RULED_OUT, OPEN), off) == ["suppress", "clear"]
        assert later(ward(RULED_OUT, RULED_OUT), high) == ["suppress", "clear"]

    def test_an_ambiguous_risk_clears_what_news2_raised_as_if_there_were_no_model(self):
        made = ward(OPEN, OPEN)
        assert made.body(vitals(values=ILL))["alert"]["state"] == "raise"
        assert [made.body(vitals("patient-1", at))["alert"]["state"] for at in (30, 90)] == ["suppress", "clear"]
