"""Whom scores and models apply to: age, pregnancy, and what is not known of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.workers.made import ILL, WELL, Ward, decider, encoded, image, models, vitals
from topics.reasons import Reason
from topics.recommendation import RecommendationEvent

ME = "patient-1"
CHILD = {"age_years": 9}
PREGNANT = {"age_years": 30, "pregnant": True}
OF_NEWS2 = {"obs-repeat-1h", "obs-repeat-4h", "obs-repeat-12h", "obs-complete-set", "monitor-continuous",
            "esc-nurse-assess", "esc-ward-doctor-review", "esc-urgent-review", "esc-emergency-team", "goc-review",
            "no-action-continue"}  # fmt: skip
"""Actions that a rule gives by NEWS2 and nothing else."""


class Sure:
    """A fusion that is sure of the worst."""

    limits = models().fusion.limits

    def fuse(self, vitals_logit, notes, images, present, age_h):
        return np.full(len(age_h), 0.99, np.float32), np.full((len(age_h), 3), 1 / 3, np.float32)

    def bands(self, probability):
        return ["high"] * len(probability)


def alarmist() -> Ward:
    return Ward(decider(replace(models(), fusion=Sure())))


def probabilities(body: dict[str, Any]) -> list[float | None]:
    RecommendationEvent.model_validate_json(json.dumps(body))
    return [risk["probability"] for risk in body["risks"]]


class TestNotApplicable:
    @pytest.mark.parametrize("subject", [CHILD, PREGNANT, {"pregnant": True}, {"age_years": 15.99}])
    def test_no_score_no_action_of_the_score_and_no_probability(self, subject):
        body = alarmist().body(vitals(values=ILL, subject=subject))
        assert (body["status"], Reason.NOT_APPLICABLE in body["reasons"]) == ("indeterminate", True)
        assert Reason.AGE_UNKNOWN not in body["reasons"]
        assert body["clinical_scores"]["news2"]["total"] is None
        assert body["clinical_scores"]["qsofa"] == {"total": None, "low": 0, "high": 3, "positive": None}
        assert body["clinical_scores"]["shock_index"]["value"] is None
        assert not OF_NEWS2 & {each["action_id"] for each in body["recommendations"]}
        assert probabilities(body) == [None] * 3
        assert body["alert"]["state"] == "none"

    @pytest.mark.parametrize("subject", [CHILD, PREGNANT])
    def test_rules_that_know_no_age_hold(self, subject):
        body = Ward().body(vitals(values=ILL | {"pulse": 999}, acvpu="U", subject=subject))
        given = {each["action_id"] for each in body["recommendations"]}
        assert {"esc-cardiac-arrest-call", "obs-verify-artefact", "o2-titrate-94-98", "glucose-bedside"} <= given
        assert (body["alert"]["state"], body["alert"]["tier"]) == ("raise", "critical")
        assert body["alert"]["reason"] == "peri_arrest"

    def test_what_a_film_shows_is_still_said(self):
        ward = Ward()
        ward.body(vitals(ME, 0, subject=CHILD))
        body = ward.body(image(ME, 5), encoded=encoded(1))
        assert len(body["findings"]) == 3
        assert probabilities(body) == [None] * 3

    @pytest.mark.parametrize("subject", [{"age_years": 16}, {"age_years": 30, "pregnant": None}, {"age_years": 30}])
    def test_a_pregnancy_that_is_unknown_is_none(self, subject):
        body = Ward().body(vitals(values=WELL, subject=subject))
        assert body["clinical_scores"]["news2"]["total"] == 0
        assert None not in probabilities(body)


class TestUnknownAge:
    @pytest.mark.parametrize("subject", [None, {"sex": "male"}, {"age_years": 900}, {"pregnant": False}])
    def test_the_score_stands_and_the_models_abstain(self, subject):
        body = alarmist().body(vitals(values=ILL, subject=subject))
        assert body["status"] == "indeterminate"
        assert Reason.AGE_UNKNOWN in body["reasons"]
        assert Reason.NOT_APPLICABLE not in body["reasons"]
        assert body["clinical_scores"]["news2"]["total"] >= 11
        assert (body["alert"]["state"], body["alert"]["tier"]) == ("raise", "critical")
        assert probabilities(body) == [None] * 3

    def test_it_raises_no_alert_by_a_model(self):
        assert alarmist().body(vitals(values=WELL, subject=None))["alert"]["state"] == "none"

    def test_it_is_not_reassuring(self):
        given = {each["action_id"] for each in Ward().body(vitals(values=WELL, subject=None))["recommendations"]}
        assert "no-action-continue" not in given
        assert "obs-repeat-12h" in given

    def test_it_is_not_asked_where_there_are_no_vital_signs(self):
        assert Reason.AGE_UNKNOWN not in Ward().body(image(), encoded=encoded(1))["reasons"]


class TestCarried:
    def test_a_stated_age_is_carried_on(self):
        ward = Ward()
        ward.body(vitals(ME, 0))
        body = ward.body(vitals(ME, 60, subject=None))
        assert Reason.AGE_UNKNOWN not in body["reasons"]
        assert None not in probabilities(body)

    def test_an_age_that_comes_late_counts(self):
        ward = Ward()
        ward.body(vitals(ME, 60, subject=None))
        body = ward.body(vitals(ME, 0))
        assert Reason.AGE_UNKNOWN not in body["reasons"]

    @pytest.mark.parametrize(("wrong", "right"), [(CHILD, {"age_years": 90}), ({"age_years": 90}, CHILD)])
    def test_a_corrected_age_counts(self, wrong, right):
        ward = Ward()
        ward.body(vitals(ME, 0, subject=wrong, event_id="o"))
        ward.body(vitals(ME, 30, subject=None))
        body = ward.body(vitals(ME, 0, subject=right, event_id="c", status="corrected", replaces="o"))
        assert (Reason.NOT_APPLICABLE in body["reasons"]) == (right is CHILD)
        assert (None in probabilities(body)) == (right is CHILD)

    def test_a_pregnancy_ends_when_it_is_said(self):
        ward = Ward()
        ward.body(vitals(ME, 0, subject=PREGNANT))
        assert Reason.NOT_APPLICABLE in ward.body(vitals(ME, 10, subject={"age_years": 30}))["reasons"]
        assert Reason.NOT_APPLICABLE not in ward.body(vitals(ME, 20, subject={"pregnant": False}))["reasons"]
