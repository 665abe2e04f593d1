"""Records of one batch that are not all decided alike: by ward, by patient, and in order for each patient."""

from __future__ import annotations

import pytest

from tests.unit.workers.made import CONTROL, IDENTITY, ILL, WELL, Ward, record, vitals
from topics.control_settings import PatientLimits
from topics.reasons import Reason
from workers.arms import in_share
from workers.control import Control

RULES = Control(rules_only=frozenset({"paeds"}))
WHO = IDENTITY.patient("patient-1")


def limits(patient: str = "patient-1", **more) -> Control:
    who = IDENTITY.patient(patient)
    return Control(limits={who: PatientLimits(patient=who.hex(), **more)})


class TestRulesOnly:
    def test_a_ward_without_models_has_scores_and_rules(self):
        body = Ward().body(vitals(values=ILL, unit="paeds"), control=RULES)
        assert body["status"] == "indeterminate"
        assert Reason.RULES_ONLY in body["reasons"]
        assert {risk["probability"] for risk in body["risks"]} == {None}
        assert body["clinical_scores"]["news2"]["total"] == 14
        assert body["alert"]["state"] == "raise"
        assert set(body["models"].values()) == {None}
        assert body["control"]["rules_only"] is True

    def test_other_wards_of_the_batch_keep_theirs(self):
        alone = Ward().body(vitals("p2", 0, values=ILL, unit="icu"))
        batch = [record(vitals(f"p{k}", 0, values=ILL, unit=unit), offset=k)
                 for k, unit in enumerate(["paeds", "paeds", "icu", "paeds"])]  # fmt: skip
        bodies = Ward().bodies(*batch, control=RULES)
        assert [Reason.RULES_ONLY in body["reasons"] for body in bodies] == [True, True, False, True]
        assert bodies[2]["risks"] == alone["risks"]
        assert bodies[2]["control"]["rules_only"] is False
        assert [body["patient_id"] for body in bodies] == ["p0", "p1", "p2", "p3"]

    def test_a_patient_who_changes_wards_within_a_batch_keeps_the_order(self):
        moves = [("paeds", 0), ("icu", 10), ("paeds", 20)]
        batch = [record(vitals("patient-1", at, unit=unit), offset=k) for k, (unit, at) in enumerate(moves)]
        others = [record(vitals(f"p{k}", 5, unit="icu"), offset=10 + k) for k in range(3)]
        together, one_by_one = Ward(), Ward()
        first = together.bodies(batch[0], *others, *batch[1:], control=RULES)
        for each in (batch[0], *others, *batch[1:]):
            one_by_one.bodies(each, control=RULES)
        assert len(first) == 6
        for field in ("window", "alert", "as_of", "seen_id"):
            assert together.contexts[WHO][field].tobytes() == one_by_one.contexts[WHO][field].tobytes()

    def test_everywhere(self):
        body = Ward().body(vitals(), control=Control(rules_only=frozenset({"*"})))
        assert Reason.RULES_ONLY in body["reasons"]


class TestLimits:
    def test_scale_2_counts_from_control(self):
        breathless = WELL | {"spo2": 90}
        usual = Ward().body(vitals(values=breathless))
        decided = Ward().body(vitals(values=breathless), control=limits(spo2_scale=2))
        assert (usual["clinical_scores"]["news2"]["total"], decided["clinical_scores"]["news2"]["total"]) == (3, 0)
        assert decided["clinical_scores"]["news2"]["spo2_scale"] == 2
        assert decided["control"]["limits"] == ["spo2_scale"]

    def test_scale_1_takes_the_place_of_what_an_event_says(self):
        event = vitals(values=WELL | {"spo2": 90}, spo2_scale=2)
        assert Ward().body(event)["clinical_scores"]["news2"]["total"] == 0
        assert Ward().body(event, control=limits(spo2_scale=1))["clinical_scores"]["news2"]["total"] == 3

    def test_a_ceiling_withholds_what_it_forbids(self):
        usual = Ward().body(vitals(values=ILL))
        assert "esc-critical-care-transfer" in [each["action_id"] for each in usual["recommendations"]]
        body = Ward().body(vitals(values=ILL), control=limits(icu_not_appropriate=True))
        assert "esc-critical-care-transfer" in [each["action_id"] for each in body["withheld"]]
        assert "esc-critical-care-transfer" not in [each["action_id"] for each in body["recommendations"]]

    def test_a_ceiling_holds_whatever_events_say(self):
        event = vitals(values=ILL | {"respiration_rate": 4}, flags={"dnacpr": False})
        assert Ward().body(event)["alert"]["action_id"] == "esc-cardiac-arrest-call"
        body = Ward().body(event, control=limits(dnacpr=True))
        assert body["alert"]["action_id"] == "esc-emergency-team"

    def test_others_of_the_batch_are_not_touched(self):
        batch = [record(vitals(f"p{k}", 0, values=ILL)) for k in range(3)]
        usual = Ward().bodies(*batch)
        set_ = Ward().bodies(*batch, control=limits("p1", icu_not_appropriate=True))
        strip = lambda body: {k: v for k, v in body.items() if k not in ("control", "timing")}
        assert [strip(body) for body in (set_[0], set_[2])] == [strip(body) for body in (usual[0], usual[2])]
        assert set_[1]["withheld"] != usual[1]["withheld"]

    def test_without_limits_nothing_is_said(self):
        body = Ward().body(vitals(), control=CONTROL)
        assert body["control"] == {
            "rules_only": False, "models_off": [], "canary": [], "limits": [], "policy": "*",
        }  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_about_that_large_steady_and_grows(share):
    patients = [k.to_bytes(16, "little") for k in range(4000)]
    inside = {p for p in patients if in_share(p, "ranker", share)}
    assert len(inside) / len(patients) == pytest.approx(share, abs=0.03)
    assert inside <= {p for p in patients if in_share(p, "ranker", share + 0.2)}
    assert inside != {p for p in patients if in_share(p, "vitals", share)}
    assert not any(in_share(p, "ranker", 0.0) for p in patients)
    assert all(in_share(p, "ranker", 1.0) for p in patients)
