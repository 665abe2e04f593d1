"""The CDS Hooks card, held against the specification (2.0) and against what must not interrupt anybody."""

from __future__ import annotations

import copy
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.alert_page import SEEN, outcome
from tests.unit.projections.published import cleared, made, published, varied
from topics.override_reasons import OVERRIDE_REASONS
from topics.projections.card_detail import escaped
from topics.projections.cds_hooks import card, suggestion_uuid
from topics.recommendation import RecommendationEvent
from topics.schemas import example

REQUIRED = {"summary", "indicator", "source"}
KNOWN = REQUIRED | {"uuid", "detail", "suggestions", "selectionBehavior", "overrideReasons", "links"}


WORSE = {"state": "update", "revision": 2, "reason": "worse: news2_critical"}
ANSWERED = {"state": "suppress", "answered_at": "2026-03-01T07:20:00Z", "ack_by": None, "escalation": []}


def test_says_who_is_told_when_and_that_only_a_model_says_so():
    found = card(published({"evidence": "model"}))["detail"]
    assert "Only a model says so" in found
    assert "critical care outreach from 2026-03-01 07:15 UTC; charge nurse from 2026-03-01 07:30 UTC" in found
    assert "Only a model" not in card(published())["detail"]


def test_an_answered_alert_interrupts_nobody():
    assert card(published(ANSWERED)) is None


def hold_to_the_specification(found: dict[str, Any], event: dict[str, Any]) -> None:
    assert set(found) >= REQUIRED
    assert set(found) <= KNOWN
    assert 0 < len(found["summary"]) < 140
    assert "\n" not in found["summary"]
    assert found["indicator"] in ("info", "warning", "critical")
    assert found["source"]["label"]
    assert str(UUID(found["uuid"])) == found["uuid"] == event["alert"]["alert_id"]
    assert all(set(each) == {"system", "code", "display"} and each["display"] for each in found["overrideReasons"])
    suggestions = found.get("suggestions", [])
    assert ("selectionBehavior" in found) == bool(suggestions)
    assert found.get("selectionBehavior", "any") in ("any", "at-most-one")
    floor = {each["action_id"] for each in event["recommendations"] if each["floor"]}
    uuids = {suggestion_uuid(found["uuid"], action) for action in floor}
    assert {each["uuid"] for each in suggestions if each["isRecommended"]} == uuids
    assert all(each["label"] and str(UUID(each["uuid"])) == each["uuid"] for each in suggestions)
    assert len({each["uuid"] for each in suggestions}) == len(suggestions)


def pages(event: dict[str, Any]) -> bool:
    alert = event["alert"]
    return alert["state"] in ("raise", "update") and not alert["stale"] and alert["alert_id"] is not None


@settings(max_examples=150, deadline=None)
@given(event=varied())
def test_a_card_is_as_specified_and_given_only_where_an_alert_pages(event):
    if any(not each["text"].strip() for each in event["recommendations"]):
        event["recommendations"] = []
    found = card(event)
    assert (found is not None) == pages(event)
    if found is not None:
        hold_to_the_specification(found, event)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=made())
def test_whatever_the_worker_publishes_gives_a_valid_card_or_none(events):
    for event in events:
        found = card(event)
        assert (found is not None) == pages(event)
        if found is not None:
            hold_to_the_specification(found, event)
            assert event["patient_id"] not in json.dumps(found)


class TestWhenNobodyIsInterrupted:
    @pytest.mark.parametrize("state", ["none", "clear", "suppress"])
    def test_no_card_unless_raised_or_worse(self, state):
        assert card(published({"state": state})) is None

    @pytest.mark.parametrize("state", ["raise", "update"])
    def test_a_stale_alert_does_not_page(self, state):
        assert card(published({"state": state})) is not None
        assert card(published({"state": state, "stale": True})) is None

    def test_a_muted_alert_does_not_page(self):
        assert card(published({"state": "suppress", "reason": "muted"})) is None

    def test_a_cleared_alert_gives_none(self):
        assert card(cleared()) is None


class TestCard:
    def test_keeps_its_uuid_and_those_of_its_suggestions_when_the_alert_becomes_worse(self):
        first, later = published(), published(WORSE, recommendation_id="another")
        assert card(first)["uuid"] == card(later)["uuid"] == first["alert"]["alert_id"]
        assert [s["uuid"] for s in card(first)["suggestions"]] == [s["uuid"] for s in card(later)["suggestions"]]
        assert card(later)["summary"].startswith("Critical alert (worse): NEWS2 10 (high), sepsis_6h 31 %")

    @pytest.mark.parametrize(
        ("state", "reason", "head"),
        [
            ("raise", "news2_critical", "Critical alert: "),
            ("update", "worse: news2_critical", "Critical alert (worse): "),
            ("update", "snooze_over", "Critical alert (snooze over): "),
            ("update", "rerouted", "Critical alert (passed on): "),
            ("update", "of_a_later_version", "Critical alert (told again): "),
            ("update", None, "Critical alert (told again): "),
        ],
    )
    def test_its_summary_says_why_it_is_told_again_and_worse_only_where_it_is(self, state, reason, head):
        assert card(published({"state": state, "reason": reason}))["summary"].startswith(head)

    def test_every_reason_for_which_a_worker_tells_again_has_words_of_its_own(self):
        rows = [outcome(seen, phase) for seen in SEEN for phase in seen.phases]
        reasons = {reason for change, reason, _ in rows if change == "update"}
        assert reasons >= {"worse: <why>", "snooze_over", "rerouted"}
        assert not [r for r in reasons if "told again" in card(published({"state": "update", "reason": r}))["summary"]]

    @pytest.mark.parametrize("tier", ["info", "warning", "critical"])
    def test_is_as_urgent_as_the_alert(self, tier):
        assert card(published({"tier": tier}))["indicator"] == tier

    def test_a_floor_action_is_suggested_however_far_down_it_stands(self):
        event = published()
        first = event["recommendations"][1]
        event["recommendations"] = [first | {"rank": k, "action_id": f"a{k}", "floor": k == 9} for k in range(1, 11)]
        shown = card(event)["suggestions"]
        assert [s["uuid"] for s in shown] == [
            suggestion_uuid(event["alert"]["alert_id"], f"a{k}") for k in (1, 2, 3, 4, 5, 9)
        ]
        assert [s["isRecommended"] for s in shown] == [False] * 5 + [True]

    def test_its_summary_names_the_risk_of_the_highest_band_that_is_not_ambiguous(self):
        first = published()["risks"][0]
        low, high, open_ = (
            first | {"name": "calm", "band": "low", "probability": 0.02},
            first | {"name": "deterioration", "band": "high", "probability": 0.25},
            first | {"name": "doubtful", "band": "high", "prediction_set": []},
        )
        assert ", deterioration 25 %. " in card(published(risks=[low, open_, high]))["summary"]
        assert ", calm 2.0 %. " in card(published(risks=[low, open_]))["summary"]

    def test_its_summary_is_one_line_whatever_the_text_of_an_action_holds(self):
        event = published({"state": "raise"})
        for each in event["recommendations"]:
            each["text"] = "first\nsecond\r\nthird "
        assert card(event)["summary"].endswith(". first second third")

    def test_its_summary_names_a_call_for_help_where_the_alert_s_own_action_is_not_listed(self):
        event = published({"action_id": "esc-urgent-review"})
        call, other = event["recommendations"]
        event["recommendations"] = [other, call]
        assert ". Emergency assessment by team" in card(event)["summary"]
        event["recommendations"] = [other]
        assert ". Blood cultures before antibiotics" in card(event)["summary"]
        event["recommendations"] = []
        assert card(event)["summary"].endswith(". See why")

    def test_offers_the_twelve_reasons_for_an_override(self):
        offered = card(published())["overrideReasons"]
        assert [each["code"] for each in offered] == list(OVERRIDE_REASONS)[:12]
        assert offered[6]["display"] == "Recommended action was already completed"

    def test_takes_the_parsed_event_as_well(self):
        event = RecommendationEvent.model_validate_json(example("recommendation"))
        assert card(event) == card(json.loads(example("recommendation")))

    def test_leaves_its_input_as_it_was(self):
        event = published()
        before = copy.deepcopy(event)
        card(event)
        assert event == before

    def test_ignores_fields_of_a_later_minor_version(self):
        assert card(published({"colour": "red"}, schema_version="1.9", more=1)) is not None

    def test_another_major_version_is_refused(self):
        with pytest.raises(ValueError, match="major version 1"):
            card(published(schema_version="2.0"))


class TestDetail:
    def detail(self, **changes: Any) -> str:
        return card(published(**changes))["detail"]

    def test_says_why_with_values_times_models_and_that_it_is_research(self):
        text = self.detail()
        assert "**NEWS2 10 (high); SpO2 scale 1; possible 10 to 10**" in text
        assert "| 2 | 2 | 1 | 2 | 1 | 0 | 2 |" in text
        assert r"| sepsis\_6h | 31 % | 6 h | high | yes | vitals-1.0.0 |" in text
        assert r"| respiration\_rate | 22 /min | 2026-03-01 07:15 UTC | +0.41 |" in text
        assert "Models: vitals vitals-1.0.0, notes notes-1.0.0, fusion fusion-1.0.0, ranker ranker-1.0.0" in text
        assert "Decision support for research. Not a certified medical device." in text
        assert "do not delay antibiotics if cultures are difficult" in text
        assert r"withheld: fluid-bolus, flag.pulmonary\_oedema" in text

    def test_without_a_probability_none_is_said(self):
        assert "| mortality | none: abstains or off | 48 h | indeterminate |" in self.detail()
        event = published()
        for risk in event["risks"]:
            risk |= {"probability": None, "band": None, "prediction_set": None}
        found = card(event)
        assert "%" not in found["summary"]
        assert found["detail"].count("none: abstains or off") == 2

    def test_an_indeterminate_result_says_so_and_no_risk_of_it_is_low(self):
        risk = published()["risks"][0] | {"band": "low", "probability": 0.02}
        for one in (risk | {"prediction_set": ["no", "yes"]}, risk | {"prediction_set": ["no"]}):
            found = card(published(status="indeterminate", reasons=["ambiguous"], risks=[one]))
            assert "result indeterminate" in found["summary"]
            assert "> Indeterminate result: rely on the clinical scores" in found["detail"]
            assert "> ambiguous: The model cannot tell" in found["detail"]
            assert "| 2.0 % | 6 h | indeterminate |" in found["detail"]
            assert "low |" not in found["detail"]

    def test_an_incomplete_score_gives_the_possible_range_and_what_is_unknown(self):
        event = published()
        event["clinical_scores"]["news2"] |= {"total": None, "low": 5, "high": 9, "missing": ["acvpu"]}
        event["clinical_scores"]["news2"]["sub"]["acvpu"] = None
        found = card(event)
        assert "NEWS2 incomplete, 5 to 9 possible" in found["summary"]
        assert "| 2 | 2 | 1 | 2 | 1 | unknown | 2 |" in found["detail"]
        assert "Not known: acvpu" in found["detail"]

    def test_text_cannot_become_markup(self):
        assert escaped("a|b *c* [d](e)\n<f>") == r"a\|b \*c\* \[d\](e) \<f\>"
