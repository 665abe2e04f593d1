"""The FHIR resources, held against R4 and against what a consumer builds on."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from tests.unit.projections import r4
from tests.unit.projections.published import cleared, illness, made, published, varied
from tests.unit.workers.made import ILL, WELL, Ward, feedback, record, vitals
from topics.projections.cds_hooks import card
from topics.projections.communication_request import communication_request
from topics.projections.detected_issue import detected_issue
from topics.projections.fhir import Systems
from topics.projections.risk_assessment import risk_assessment, superseded

ALERT_ID = published()["alert"]["alert_id"]
ID = published()["recommendation_id"]
KINDS = {kind.__name__: kind for kind in (r4.RiskAssessment, r4.DetectedIssue, r4.CommunicationRequest)}


def all_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    every = [*superseded(event), risk_assessment(event), detected_issue(event), communication_request(event)]
    return [each for each in every if each is not None]


def hold_to_r4(resource: dict[str, Any]) -> None:
    KINDS[resource["resourceType"]].model_validate_json(json.dumps(resource))
    assert resource["meta"]["security"][0]["code"] == "AIAST"
    assert '"reference"' not in json.dumps(resource)


@settings(max_examples=150, deadline=None)
@given(event=varied())
def test_every_resource_is_valid_r4(event):
    found = all_of(event)
    for resource in found:
        hold_to_r4(resource)
    kinds = {each["resourceType"] for each in found}
    alert, known = event["alert"], event["alert"]["alert_id"] is not None
    state, answered = alert["state"], alert["state"] == "suppress" and alert["answered_at"] is not None
    assert ("DetectedIssue" in kinds) == (known and (answered or state in ("raise", "update", "clear")))
    asks = state in ("raise", "update") and not alert["stale"]
    holds = answered and alert["ack_by"] is None
    assert ("CommunicationRequest" in kinds) == (known and (asks or holds or state == "clear"))
    for each in (detected_issue(event, answered=True), communication_request(event, answered=True)):
        if each is not None:
            hold_to_r4(each)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=made())
def test_whatever_the_worker_publishes_gives_valid_r4(events):
    for event in events:
        for resource in all_of(event):
            hold_to_r4(resource)
        predictions = risk_assessment(event)["prediction"]
        assert [("probabilityDecimal" in each) for each in predictions] == [
            risk["probability"] is not None for risk in event["risks"]
        ]


def test_an_illness_is_told_from_raise_to_clear():
    events = illness()
    assert [each["alert"]["state"] for each in events] == [
        "none", "raise", "update", "suppress", "suppress", "clear", "none",
    ]  # fmt: skip
    issues = [detected_issue(each) for each in events]
    requests = [communication_request(each) for each in events]
    assert [each and each["status"] for each in issues] == [
        None, "preliminary", "preliminary", None, None, "final", None,
    ]  # fmt: skip
    assert [each and each["status"] for each in requests] == [None, "active", "active", None, None, "revoked", None]
    assert [card(each) is not None for each in events] == [False, True, True, False, False, False, False]
    assert len({each["identifier"][0]["value"] for each in issues + requests if each}) == 1


def test_the_models_of_r4_refuse_what_r4_refuses():
    found = detected_issue(published())
    for wrong in (
        {"status": "mitigated"},
        {"severity": "critical"},
        {"subject": {}},
        {"identifier": []},
        {"code": None},
    ):
        with pytest.raises(ValidationError):
            r4.DetectedIssue.model_validate(found | wrong)


class TestRiskAssessment:
    def prediction(self, **risk: Any) -> dict[str, Any]:
        changed = published()["risks"][0] | risk
        return risk_assessment(published(risks=[changed]))["prediction"][0]

    def test_probability_is_in_per_cent_for_the_hours_after_the_event(self):
        found = self.prediction()
        assert found["probabilityDecimal"] == 31.0
        assert found["whenPeriod"] == {"start": "2026-03-01T07:15:00Z", "end": "2026-03-01T13:15:00Z"}
        assert found["qualitativeRisk"]["coding"][0]["code"] == "high"
        assert "calibrated probability 31 %, high; not ruled out: yes; vitals-1.0.0" in found["rationale"]
        assert "respiration_rate 22 /min at 2026-03-01 07:15 UTC (+0.41)" in found["rationale"]

    def test_without_a_probability_there_is_none_and_no_grade_but_indeterminate(self):
        found = self.prediction(probability=None, band=None, prediction_set=None)
        assert "probabilityDecimal" not in found
        assert found["qualitativeRisk"] == {"text": "indeterminate"}
        assert "no probability, the model abstains or is off" in found["rationale"]

    @pytest.mark.parametrize("answers", [[], ["no", "yes"]])
    def test_an_ambiguous_risk_keeps_its_probability_and_is_not_called_low(self, answers):
        found = self.prediction(probability=0.01, band="low", prediction_set=answers)
        assert found["probabilityDecimal"] == 1.0
        assert found["qualitativeRisk"] == {"text": "indeterminate"}
        assert "(ambiguous)" in found["rationale"]

    def test_a_risk_of_the_whole_stay_has_no_period(self):
        assert "whenPeriod" not in self.prediction(horizon_h=None)

    @pytest.mark.parametrize(
        ("status", "wanted"),
        [("ok", "final"), ("degraded", "final"), ("indeterminate", "final"), ("retracted", "entered-in-error")],
    )
    def test_status(self, status, wanted):
        assert risk_assessment(published(status=status))["status"] == wanted

    def test_an_indeterminate_result_says_so(self):
        found = risk_assessment(published(status="indeterminate", reasons=["kill_switch"]))
        notes = [each["text"] for each in found["note"]]
        assert any(each.startswith("Indeterminate result") for each in notes)
        assert any(each.startswith("kill_switch: All models were switched off") for each in notes)

    def test_what_it_supersedes_is_entered_in_error_under_its_own_identifier(self):
        found = superseded(published(supersedes=["old-1", "old-2"]))
        assert [each["identifier"][0]["value"] for each in found] == ["old-1", "old-2"]
        assert {each["status"] for each in found} == {"entered-in-error"}
        for each in found:
            hold_to_r4(each)

    def test_the_patient_is_named_as_the_producer_named_it(self):
        mrn = Systems(patient="https://hospital.example/mrn", encounter="urn:x:stay")
        found = risk_assessment(published(), mrn)
        assert found["subject"] == {
            "type": "Patient",
            "identifier": {"system": "https://hospital.example/mrn", "value": "example-patient-17"},
        }
        assert found["encounter"]["identifier"] == {"system": "urn:x:stay", "value": "example-stay-3"}
        assert risk_assessment(published())["subject"]["identifier"] == {"value": "example-patient-17"}

    def test_basis_names_the_events(self):
        basis = risk_assessment(published())["basis"]
        assert [each["identifier"]["value"] for each in basis] == ["vitals-0001", "note-0000"]


class TestDetectedIssue:
    @pytest.mark.parametrize(("tier", "severity"), [("critical", "high"), ("warning", "moderate"), ("info", "low")])
    def test_severity_follows_the_tier(self, tier, severity):
        assert detected_issue(published({"tier": tier}))["severity"] == severity

    def test_stands_from_raise_to_clear_under_one_identifier(self):
        raised, worse, over = (
            detected_issue(event) for event in (published(), published({"state": "update"}), cleared())
        )
        wanted = [{"system": "urn:wardstream:alert", "value": ALERT_ID}]
        assert raised["identifier"] == worse["identifier"] == over["identifier"] == wanted
        assert [each["status"] for each in (raised, worse, over)] == ["preliminary", "preliminary", "final"]
        assert raised["identifiedPeriod"] == {"start": "2026-03-01T07:15:00Z"}
        assert over["identifiedPeriod"] == {"start": "2026-03-01T07:15:00Z", "end": "2026-03-01T16:30:00Z"}
        assert raised["severity"] == over["severity"] == "high"
        assert "mitigation" not in over

    def test_evidence_is_the_assessment_of_the_same_result(self):
        (evidence,) = detected_issue(published())["evidence"]
        assert evidence["detail"][0]["identifier"] == risk_assessment(published())["identifier"][0]
        assert evidence["code"][0] == {"text": "NEWS2 10 (high)"}

    @pytest.mark.parametrize("state", ["suppress", "none"])
    def test_no_news_gives_none(self, state):
        assert detected_issue(published({"state": state})) is None

    def test_a_stale_alert_is_recorded_and_said_to_be(self):
        assert "published after it expired" in detected_issue(published({"stale": True}))["detail"]


class TestCommunicationRequest:
    @pytest.mark.parametrize(("tier", "priority"), [("critical", "stat"), ("warning", "asap"), ("info", "routine")])
    def test_priority_follows_the_tier(self, tier, priority):
        assert communication_request(published({"tier": tier}))["priority"] == priority

    def test_asks_until_it_should_be_acknowledged_and_says_when_it_is_void(self):
        found = communication_request(published())
        assert found["status"] == "active"
        assert found["occurrencePeriod"] == {"start": "2026-03-01T07:15:00Z", "end": "2026-03-01T07:30:00Z"}
        assert found["payload"][-1] == {"contentString": "Void after 2026-03-01 15:15 UTC"}
        assert found["recipient"] == [{"type": "PractitionerRole", "display": "critical care outreach"}]

    def test_without_a_time_to_acknowledge_it_asks_until_the_alert_expires(self):
        found = communication_request(published({"ack_by": None}))
        assert found["occurrencePeriod"]["end"] == "2026-03-01T15:15:00Z"

    @pytest.mark.parametrize("state", ["raise", "update"])
    def test_a_stale_alert_does_not_page(self, state):
        assert communication_request(published({"state": state, "stale": True})) is None

    @pytest.mark.parametrize("state", ["suppress", "none"])
    def test_a_muted_alert_or_none_does_not_page(self, state):
        assert communication_request(published({"state": state, "reason": "muted"})) is None

    def test_a_clear_withdraws_even_after_the_alert_has_expired(self):
        assert cleared()["alert"]["stale"]
        found = communication_request(cleared())
        assert found["status"] == "revoked"
        assert found["identifier"] == communication_request(published())["identifier"]
        assert "priority" not in found
        assert "occurrencePeriod" not in found

    def test_is_about_the_issue_and_the_assessment(self):
        about = communication_request(published())["about"]
        assert [(each["type"], each["identifier"]["value"]) for each in about] == [
            ("DetectedIssue", ALERT_ID),
            ("RiskAssessment", ID),
        ]


class TestAnswers:
    ANSWERED: ClassVar = {
        "state": "suppress", "answered_at": "2026-03-01T07:20:00Z", "snoozed_until": "2026-03-01T07:50:00Z",
        "ack_by": None, "escalation": [],
    }  # fmt: skip

    def test_an_answered_alert_is_noted_in_the_issue(self):
        detail = detected_issue(published(self.ANSWERED))["detail"]
        assert "Answered 2026-03-01 07:20 UTC. Snoozed until 2026-03-01 07:50 UTC" in detail

    def test_a_snoozed_alert_is_on_hold_until_its_snooze_is_over(self):
        found = communication_request(published(self.ANSWERED))
        hold_to_r4(found)
        assert found["status"] == "on-hold"
        assert found["statusReason"]["text"] == "answered 2026-03-01 07:20 UTC, snoozed until 2026-03-01 07:50 UTC"
        assert found["occurrencePeriod"] == {"start": "2026-03-01T07:50:00Z", "end": "2026-03-01T15:15:00Z"}
        assert found["identifier"] == communication_request(published())["identifier"]

    @pytest.mark.parametrize("stale", [False, True])
    def test_an_acknowledged_alert_is_on_hold_without_a_time(self, stale):
        found = communication_request(published({**self.ANSWERED, "snoozed_until": None, "stale": stale}))
        assert (found["status"], found["statusReason"]["text"]) == ("on-hold", "answered 2026-03-01 07:20 UTC")
        assert "occurrencePeriod" not in found

    def test_an_alert_that_was_passed_on_still_asks(self):
        waits = {"ack_by": published()["alert"]["ack_by"], "escalation": published()["alert"]["escalation"][1:]}
        assert communication_request(published({**self.ANSWERED, "snoozed_until": None, **waits})) is None

    def test_an_answer_taken_back_makes_both_what_they_were(self):
        back = published({"state": "suppress", "reason": "already_raised"})
        assert communication_request(back, answered=True)["status"] == "active"
        assert communication_request(back, answered=True)["occurrencePeriod"]["end"] == "2026-03-01T07:30:00Z"
        assert "Answered" not in detected_issue(back, answered=True)["detail"]
        late = published({"state": "suppress", "stale": True})
        assert communication_request(late, answered=True) is None

    def test_a_clear_completes_what_was_answered_and_revokes_what_was_not(self):
        over = cleared()
        assert communication_request(over)["status"] == "revoked"
        over["alert"]["answered_at"] = "2026-03-01T07:20:00Z"
        found = communication_request(over)
        hold_to_r4(found)
        assert (found["status"], found["statusReason"]["text"]) == ("completed", "cleared: better")
        assert not {"priority", "occurrencePeriod", "recipient"} & found.keys()

    def test_what_the_worker_says_of_an_answered_alert(self):
        ward = Ward()
        told = ward.body(vitals("patient-1", 2500, values=ILL))
        ward.decide(record(feedback("patient-1", 2505, alert_id=told["alert"]["alert_id"])))
        later = [(2510, ILL), (2600, WELL), (2700, WELL)]
        bodies = [told, *(ward.body(vitals("patient-1", at, values=values)) for at, values in later)]
        assert [communication_request(each)["status"] for each in bodies] == [
            "active", "on-hold", "on-hold", "completed",
        ]  # fmt: skip

    def test_the_request_goes_to_the_first_role_and_names_the_next_with_their_times(self):
        passed_on = published()["alert"]["escalation"][1:]
        found = communication_request(published({"escalation": passed_on}))
        assert found["recipient"] == [{"type": "PractitionerRole", "display": "charge nurse"}]
        text = " ".join(each["contentString"] for each in found["payload"])
        assert "registrar or critical care outreach from 2026-03-01 07:45 UTC" in text
