"""What a result says about how old each value is, and which no longer count."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.variables import READINGS
from models.columns import COLUMNS
from tests.unit.workers.made import CONTROL, ILL, WELL, Ward, encoded, note, record, vitals
from topics.reasons import Reason
from topics.recommendation import RecommendationEvent

ME = "patient-1"
SEVEN = ["respiration_rate", "spo2", "systolic_bp", "pulse", "temperature", "acvpu", "on_oxygen"]
LIMIT_S = {column.name: column.max_age_min * 60 for column in COLUMNS}


def of(body: dict[str, Any]) -> tuple[dict[str, int], list[str]]:
    RecommendationEvent.model_validate_json(json.dumps(body))
    for other in body["inputs"][1:]:
        assert (other["ages_s"], other["aged_out"]) == ({}, [])
    return body["inputs"][0]["ages_s"], body["inputs"][0]["aged_out"]


def lactate(minute: float) -> dict[str, Any]:
    event = vitals(ME, minute, values={"lactate": 2.5}, acvpu=None, oxygen=None)
    event["observations"][0]["unit"] = "mmol/L"
    return event


def test_a_complete_set_is_of_this_very_moment():
    assert of(Ward().body(vitals())) == (dict.fromkeys(SEVEN, 0), [])


def test_each_value_has_its_own_age_and_is_named_once_it_is_too_old():
    ward = Ward()
    ward.body(vitals(ME, 0, values=ILL))
    ward.body(lactate(30))
    ward.body(vitals(ME, 60, values={"pulse": 80}, acvpu=None, oxygen=None))
    assert of(ward.body(note(ME, 90), encoded=encoded(1))) == (
        dict.fromkeys(SEVEN, 90 * 60) | {"pulse": 30 * 60, "lactate": 60 * 60}, []
    )  # fmt: skip
    body = ward.body(note(ME, 241), encoded=encoded(1))
    assert of(body) == (
        {"pulse": 181 * 60, "lactate": 211 * 60}, [name for name in SEVEN if name != "pulse"]
    )  # fmt: skip
    assert sorted(body["clinical_scores"]["news2"]["missing"]) == sorted(of(body)[1])
    assert of(ward.body(note(ME, 60 * 47), encoded=encoded(1))) == ({}, [*SEVEN, "lactate"])


def test_what_was_never_known_is_in_neither():
    ages, aged_out = of(Ward().body(note(), encoded=encoded(1)))
    assert (ages, aged_out) == ({}, [])


def test_what_was_retracted_is_in_neither():
    ward = Ward()
    ward.body(vitals(ME, 0, values={"pulse": 80}, acvpu=None, oxygen=None))
    ward.body(vitals(ME, 10, event_id="o"))
    gone = vitals(ME, 10, values={}, acvpu=None, oxygen=None, event_id="r", status="entered-in-error", replaces="o")
    assert of(ward.body(gone)) == ({"pulse": 600}, [])


@settings(max_examples=20, deadline=None)
@given(gaps=st.lists(st.tuples(st.sampled_from(SEVEN[:5]), st.integers(0, 150)), min_size=1, max_size=10))
def test_ages_and_what_aged_out_are_those_of_the_events_alone_as_in_a_batch(gaps):
    minute, newest, events, expected = 0, {}, [], []
    for k, (name, gap) in enumerate(gaps):
        minute += gap
        newest[name] = minute
        values = {name: WELL[name]}
        events.append(vitals(ME, minute, values=values, acvpu=None, oxygen=None, event_id=f"e{k}"))
        ages = {each: (minute - newest[each]) * 60 for each in SEVEN if each in newest}
        expected.append((
            {each: age for each, age in ages.items() if age <= LIMIT_S[each]},
            [each for each, age in ages.items() if age > LIMIT_S[each]],
        ))  # fmt: skip
    records = [record(event, offset=k) for k, event in enumerate(events)]
    assert [of(body) for body in Ward().bodies(*records, control=CONTROL)] == expected


def test_every_vital_sign_of_the_scores_and_every_laboratory_value_of_a_rule_is_among_them():
    assert set(SEVEN) | {"gcs_total", "map", "lactate", "potassium", "ph", "paco2_kpa", "creatinine"} <= set(READINGS)


class TestStaleVitals:
    def test_models_abstain_once_vital_signs_are_older_than_four_hours(self):
        ward = Ward()
        ward.body(vitals(ME, 0))
        on_time = ward.body(note(ME, 240), encoded=encoded(1))
        late = ward.body(note(ME, 241), encoded=encoded(2))
        again = ward.body(vitals(ME, 250))
        assert [None in [risk["probability"] for risk in body["risks"]] for body in (on_time, late, again)] == [
            False, True, False
        ]  # fmt: skip
        assert [Reason.VITALS_STALE in body["reasons"] for body in (on_time, late, again)] == [False, True, False]
        assert late["status"] == "indeterminate"

    def test_an_implausible_reading_is_asked_about_as_long_as_it_could_count(self):
        ward = Ward()
        ward.body(vitals(ME, 0, values=WELL | {"pulse": 999}))
        bodies = [ward.body(note(ME, at), encoded=encoded(1)) for at in (240, 241)]
        given = [{each["action_id"] for each in body["recommendations"]} for body in bodies]
        assert ["obs-verify-artefact" in actions for actions in given] == [True, False]
