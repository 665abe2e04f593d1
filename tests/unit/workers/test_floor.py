"""The floor: missing is never normal, and whatever a model says, no rule is dropped, demoted or lowered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.actions import Catalogue
from tests.unit.workers.made import Ward, decider, encoded, models, note, record, vitals
from topics.recommendation import RecommendationEvent
from workers.control import Control

RULES_ONLY = Control(kill_switch=True)
TIERS = [None, "info", "warning", "critical"]
RANK = {action.id: action.urgency_rank for action in Catalogue.load().actions}
VALUES = {
    "respiration_rate": st.sampled_from([4, 8, 10, 16, 22, 30]), "spo2": st.sampled_from([80, 86, 91, 93, 95, 99]),
    "systolic_bp": st.sampled_from([70, 90, 95, 105, 120, 230]), "pulse": st.sampled_from([18, 40, 45, 75, 100, 140]),
    "temperature": st.sampled_from([34.0, 35.5, 37.0, 38.5, 40.0]),
}  # fmt: skip
SETS = st.fixed_dictionaries(
    {},
    optional={
        "values": st.fixed_dictionaries({}, optional=VALUES), "spo2_scale": st.sampled_from([1, 2]),
        "acvpu": st.sampled_from(["A", "C", "U", None]),
        "oxygen": st.sampled_from([{"delivery": "air"}, {"delivery": "oxygen"}, None]),
        "flags": st.dictionaries(st.sampled_from(["suspected_infection", "dnacpr"]), st.booleans()),
    },
)  # fmt: skip
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
PROBABILITY = st.one_of(st.floats(0, 1, width=32), st.just(float("nan")))


def scores(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """The published scores of several patients, by the rules alone."""
    records = [record(event | {"patient_id": f"p-{k}"}, offset=k) for k, event in enumerate(events)]
    return [body["clinical_scores"] for body in Ward().bodies(*records, control=RULES_ONLY)]


class TestMissingIsNeverNormal:
    @settings(max_examples=40, deadline=None)
    @given(drawn=SETS)
    def test_leaving_out_a_parameter_never_lowers_the_upper_or_raises_the_lower_bound(self, drawn):
        whole = vitals(**drawn)
        fewer = [
            whole | {"observations": [o for o in whole["observations"] if o is not left_out]}
            for left_out in whole["observations"]
        ] + [whole | {"acvpu": None}, whole | {"oxygen": None}]
        full, *others = scores(whole, *fewer)
        for part in others:
            for name in ("news2", "qsofa"):
                assert part[name]["low"] <= full[name]["low"]
                assert part[name]["high"] >= full[name]["high"]
                assert part[name]["total"] in (None, full[name]["total"])
            assert part["news2"]["any_single_3"] in (None, full["news2"]["any_single_3"])
            assert part["qsofa"]["positive"] in (None, full["qsofa"]["positive"])

    @settings(max_examples=40, deadline=None)
    @given(drawn=SETS, filled=st.fixed_dictionaries(VALUES), acvpu=st.sampled_from("ACVPU"), oxygen=st.booleans())
    def test_the_published_interval_holds_the_total_of_every_completion(self, drawn, filled, acvpu, oxygen):
        partial = vitals(**drawn)
        values = filled | {o["code"]: o["value"] for o in partial["observations"]}
        complete = partial | {
            "observations": [{"code": code, "value": value} for code, value in values.items()],
            "acvpu": partial["acvpu"] or acvpu,
            "oxygen": partial["oxygen"] or {"delivery": "oxygen" if oxygen else "air"},
        }
        open_, closed = scores(partial, complete)
        for name in ("news2", "qsofa"):
            assert closed[name]["total"] is not None
            assert open_[name]["low"] <= closed[name]["total"] <= open_[name]["high"]


class LyingVitals:
    """The vitals network with made-up logits and novelty."""

    def __init__(self, logits: list[float], novelty: float) -> None:
        self._true, self._logits, self._novelty = models().vitals, logits, novelty

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)

    def logits(self, hidden):
        count = len(hidden)
        return np.full((count, 2), self._logits, np.float32), np.full(count, self._novelty, np.float32)


class LyingFusion:
    """A fusion that says anything."""

    limits = models().fusion.limits

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def fuse(self, vitals_logit, notes, images, present, age_h):
        count = len(age_h)
        return np.full(count, self._probability, np.float32), np.zeros((count, 3), np.float32)

    def bands(self, probability):
        return models().fusion.bands(probability)


def assert_not_below(body: dict[str, Any], rules: dict[str, Any]) -> None:
    """Nothing of what the rules say is dropped, demoted or lowered."""
    RecommendationEvent.model_validate_json(json.dumps(body))
    assert body["clinical_scores"] == rules["clinical_scores"]
    assert body["withheld"] == rules["withheld"]
    listed = {each["action_id"]: each for each in body["recommendations"]}
    for each in rules["recommendations"]:
        if each["floor"]:
            ours = listed[each["action_id"]]
            assert (ours["floor"], ours["urgency"], ours["cautions"]) == (True, each["urgency"], each["cautions"])
    ranks = [RANK[each["action_id"]] for each in body["recommendations"]]
    assert ranks == sorted(ranks)
    assert TIERS.index(body["alert"]["tier"]) >= TIERS.index(rules["alert"]["tier"])


class TestModelsAddAndNeverTakeAway:
    @settings(max_examples=40, deadline=None)
    @given(drawn=SETS, logits=st.lists(ANY, min_size=2, max_size=2), novelty=ANY, said=PROBABILITY)
    def test_whatever_networks_say(self, drawn, logits, novelty, said):
        ward = Ward(decider(replace(models(), vitals=LyingVitals(logits, novelty), fusion=LyingFusion(said))))
        with np.errstate(all="ignore"):
            body = ward.body(vitals(**drawn))
        assert_not_below(body, Ward().body(vitals(**drawn), control=RULES_ONLY))

    @pytest.mark.parametrize("filling", [0.0, 1e4, -6e4, np.nan, np.inf])
    def test_whatever_an_embedding_holds(self, filling):
        odd = encoded(1)
        odd.embedding = np.full(32, filling, np.float32)
        event = vitals("patient-1", 5, values={"respiration_rate": 30, "systolic_bp": 85}, acvpu="C")
        bodies = []
        for control in (Control(), RULES_ONLY):
            ward = Ward()
            ward.body(note(), encoded=odd, control=control)
            bodies.append(ward.body(event, control=control))
        assert_not_below(*bodies)
