"""Answers of clinicians through the decider: what each does to alerts and actions, once, and until it is taken back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.made import ILL, WELL, Ward, feedback, judge, record, vitals
from topics.override_reasons import OVERRIDE_REASONS
from topics.reasons import Reason
from workers.alert_policy import Tier
from workers.context import HOLDS
from workers.control import Control
from workers.records import Applied, Duplicate, Refused

KILL = Control(kill_switch=True)
AILING = WELL | {"pulse": 131, "respiration_rate": 22}  # NEWS2 5, pulse scores 3
DAY = 1440  # minutes; so that the clock stands near the events


def ill(values=ILL) -> tuple[Ward, dict]:
    """A ward with a patient whose alert stands since DAY, and that alert."""
    ward = Ward()
    return ward, ward.body(vitals("patient-1", DAY, values=values), control=KILL)["alert"]


def answered(ward: Ward, minute=DAY + 5, **more):
    (decision,) = ward.decide(record(feedback("patient-1", minute, **more)), control=KILL)
    return decision


def alert(ward: Ward, minute, values=ILL) -> dict:
    return ward.body(vitals("patient-1", minute, values=values), control=KILL)["alert"]


def body(ward: Ward, minute, values=ILL, **more) -> dict:
    return ward.body(vitals("patient-1", minute, values=values, **more), control=KILL)


def listed(made: dict) -> list[str]:
    return [each["action_id"] for each in made["recommendations"]]


def withheld(made: dict) -> dict[str, str]:
    return {each["action_id"]: each["reason"] for each in made["withheld"]}


class TestAlerts:
    def test_an_acknowledgement_stops_the_clocks(self):
        ward, raised = ill()
        decision = answered(ward, alert_id=raised["alert_id"])
        assert isinstance(decision, Applied)
        assert (decision.effect, decision.tier, decision.waited_s) == ("acknowledged", Tier.CRITICAL, 300.0)
        now = alert(ward, DAY + 10)
        assert (now["state"], now["reason"]) == ("suppress", "acknowledged")
        assert (now["ack_by"], now["escalation"], now["answered_at"]) == (None, [], "2026-03-02T08:05:00+00:00")
        assert raised["ack_by"] is not None
        assert [step["role"] for step in raised["escalation"]] == [
            "critical care outreach", "charge nurse", "registrar or critical care outreach",
        ]  # fmt: skip

    def test_worse_breaks_through_and_wants_another_answer(self):
        ward, raised = ill(AILING)
        answered(ward, alert_id=raised["alert_id"])
        now = alert(ward, DAY + 10)
        assert (now["state"], now["tier"], now["answered_at"]) == ("update", "critical", None)

    def test_a_snooze_comes_back(self):
        ward, raised = ill(AILING)
        answered(ward, alert_id=raised["alert_id"], outcome="snoozed", snooze_minutes=20)
        resting = alert(ward, DAY + 10, AILING)
        assert (resting["reason"], resting["snoozed_until"]) == ("snoozed", "2026-03-02T08:25:00+00:00")
        back = alert(ward, DAY + 25, AILING)
        assert (back["state"], back["reason"], back["snoozed_until"]) == ("update", "snooze_over", None)

    def test_a_critical_alert_is_put_off_only_with_a_reason(self):
        ward, _ = ill()
        before = ward.contexts[record(vitals()).patient].tobytes()
        refused = answered(ward, outcome="snoozed", snooze_minutes=20)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.SNOOZE_UNREASONED
        assert ward.contexts[record(vitals()).patient].tobytes() == before
        decision = answered(ward, DAY + 6, outcome="snoozed", snooze_minutes=20, override_reason="need-more-info")
        assert decision.effect == "snoozed"

    def test_a_wrong_addressee_leaves_it_to_the_next(self):
        ward, _ = ill()
        answered(ward, outcome="overridden", override_reason="inappropriate-recipient")
        now = alert(ward, DAY + 10)
        assert (now["state"], now["reason"]) == ("update", "rerouted")
        assert [step["role"] for step in now["escalation"]] == ["charge nurse", "registrar or critical care outreach"]
        assert [step["at"][11:16] for step in now["escalation"]] == ["08:10", "08:25"]

    def test_nothing_is_published_for_an_answer_without_an_alert(self):
        assert answered(Ward()).effect == "no_alert"

    def test_an_id_that_is_no_uuid_is_another_alert(self):
        ward, _ = ill()
        assert answered(ward, alert_id="nonsense").effect == "another_alert"


class TestActions:
    def test_what_was_done_is_not_asked_for_again_for_a_while(self):
        ward, _ = ill()
        assert "lactate" in listed(body(ward, DAY + 1, subject={"age_years": 67}))
        answered(ward, outcome="overridden", override_reason="action-completed", action_id="lactate")
        soon = body(ward, DAY + 30)
        assert "lactate" not in listed(soon)
        assert withheld(soon)["lactate"] == "answered: already done"
        assert "lactate" in listed(body(ward, DAY + 66))

    def test_it_is_asked_for_again_when_the_patient_is_worse(self):
        ward, _ = ill(AILING)
        asked = listed(body(ward, DAY + 1, AILING))[0]
        answered(ward, outcome="overridden", override_reason="action-completed", action_id=asked)
        assert asked not in listed(body(ward, DAY + 10, AILING))
        now = body(ward, DAY + 20)
        assert asked not in withheld(now)

    def test_what_does_not_apply_is_withheld_for_the_encounter(self):
        ward, _ = ill()
        stay = {"encounter_id": "stay-1"}
        answered(ward, outcome="overridden", override_reason="cds-not-applicable", action_id="bloods-core", **stay)
        assert "bloods-core" in withheld(body(ward, DAY + 600, **stay))
        assert "bloods-core" in listed(body(ward, DAY + 610, encounter_id="stay-2"))

    def test_a_contraindication_holds_also_when_worse(self):
        ward, _ = ill(AILING)
        answered(ward, outcome="overridden", override_reason="patient-contraindication", action_id="fluid-bolus")
        now = body(ward, DAY + 10)
        assert withheld(now)["fluid-bolus"] == "answered: contraindicated in this encounter"
        assert "fluid-bolus" not in listed(now)

    def test_a_blocked_call_raises_no_alert_of_its_own_but_what_else_is_reached(self):
        dying = ILL | {"respiration_rate": 4}
        ward = Ward()
        answered(
            ward, DAY - 5, outcome="overridden", override_reason="patient-contraindication",
            action_id="esc-cardiac-arrest-call",
        )  # fmt: skip
        now = body(ward, DAY, dying)
        assert (now["alert"]["state"], now["alert"]["action_id"]) == ("raise", "esc-emergency-team")
        assert body(Ward(), DAY, dying)["alert"]["action_id"] == "esc-cardiac-arrest-call"

    @pytest.mark.parametrize("reason", [code for code, one in OVERRIDE_REASONS.items() if one.effect == "none"])
    def test_reasons_without_effect_only_answer(self, reason):
        ward, _ = ill()
        decision = answered(ward, outcome="overridden", override_reason=reason, action_id="esc-emergency-team")
        assert decision.effect == "acknowledged"
        assert ward.contexts[record(vitals()).patient]["holds"] == 0

    def test_an_unknown_action_is_refused(self):
        refused = answered(Ward(), action_id="dance")
        assert isinstance(refused, Refused)
        assert (refused.reason, "dance" in refused.detail) == (Reason.ACTION_UNKNOWN, False)

    def test_no_more_are_kept_than_there_is_room_for_and_the_oldest_go(self):
        ward, _ = ill()
        actions = [each.id for each in judge().catalogue.actions[: HOLDS + 2]]
        for k, action in enumerate(actions):
            answered(
                ward, DAY + k, event_id=f"f{k}", outcome="overridden", override_reason="patient-refuses",
                action_id=action,
            )  # fmt: skip
        context = ward.contexts[record(vitals()).patient]
        assert context["holds"][0] == HOLDS
        assert context["hold"]["action"][0].tolist() == list(range(2, HOLDS + 2))


class TestOnce:
    def test_a_repeat_changes_nothing(self):
        ward, raised = ill()
        answered(ward, alert_id=raised["alert_id"])
        before = ward.contexts[record(vitals()).patient].tobytes()
        assert isinstance(answered(ward, alert_id=raised["alert_id"]), Duplicate)
        assert ward.contexts[record(vitals()).patient].tobytes() == before

    def test_the_same_id_with_other_content_is_refused(self):
        ward, _ = ill()
        answered(ward)
        refused = answered(ward, outcome="accepted")
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.EVENT_ID_CONFLICT

    def test_an_answer_entered_in_error_is_taken_back(self):
        ward, _ = ill()
        answered(ward, outcome="overridden", override_reason="patient-refuses", action_id="esc-emergency-team")
        wrong = {"status": "entered-in-error", "replaces": f"f-patient-1-{DAY + 5}"}
        decision = answered(
            ward, DAY + 6, outcome="overridden", override_reason="patient-refuses",
            action_id="esc-emergency-team", **wrong,
        )  # fmt: skip
        assert decision.effect == "taken_back"
        now = body(ward, DAY + 10)
        assert now["alert"]["reason"] == "already_raised"
        assert "esc-emergency-team" in listed(now)

    def test_what_was_taken_back_before_it_came_does_nothing(self):
        ward, _ = ill()
        answered(ward, DAY + 6, status="entered-in-error", replaces=f"f-patient-1-{DAY + 5}")
        assert answered(ward).effect == "superseded"
        assert alert(ward, DAY + 10)["reason"] == "already_raised"
        assert isinstance(answered(ward), Duplicate)


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_answers_of_several_patients_do_not_touch_one_another(order):
    ward = Ward()
    for k in range(3):
        ward.decide(record(vitals(f"p{k}", DAY, values=ILL)), control=KILL)
    batch = [record(feedback(f"p{k % 3}", DAY + 1 + k, event_id=f"f{k}")) for k in order]
    alone = Ward()
    alone.contexts = {patient: context.copy() for patient, context in ward.contexts.items()}
    ward.decide(*batch, control=KILL)
    for each in batch:
        alone.decide(each, control=KILL)
    assert {p: c.tobytes() for p, c in ward.contexts.items()} == {p: c.tobytes() for p, c in alone.contexts.items()}


def test_a_lost_comparison_folds_answers_and_events_again_in_order():
    ward, raised = ill(AILING)
    patient = record(vitals()).patient
    answers = record(feedback("patient-1", DAY + 5, alert_id=raised["alert_id"]))
    event = record(vitals("patient-1", DAY + 10, values=AILING))
    stored = ward.contexts[patient].copy()
    ward.decide(answers, control=KILL)
    ward.decide(event, control=KILL)
    ward.decider.refold(stored, [answers, event], KILL)
    assert stored.tobytes() == ward.contexts[patient].tobytes()
