"""Deciding batches: the same alone as in company, whatever fails beside it, and rules that no model talks down."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.made import (
    CONTROL,
    ILL,
    WELL,
    Ward,
    decider,
    encoded,
    image,
    models,
    note,
    record,
    vitals,
)
from topics import headers as names
from topics.reasons import Reason
from topics.recommendation import RecommendationEvent
from workers.alert_policy import Policy
from workers.context import SKIP_MODEL, UNREADABLE, blank
from workers.control import Control
from workers.encoders import without_embedding
from workers.folding import rounds
from workers.identity import recommendation_id
from workers.records import Duplicate, Publish, Refused
from workers.slow_start import Care

KILL = Control(kill_switch=True)


class FailingVitals:
    """The vitals network, but it raises whenever a batch holds the pulse 111; the exception quotes the values."""

    POISON = np.float32(111.0)

    def __init__(self) -> None:
        self._true = models().vitals

    def __getattr__(self, name):
        return getattr(self._true, name)

    def step(self, h, values, carried, gap_h, static):
        self._check(values)
        return self._true.step(h, values, carried, gap_h, static)

    def explain(self, h, values, carried, gap_h, static, first=None):
        self._check(values)
        return self._true.explain(h, values, carried, gap_h, static, first=first)

    def _check(self, values):
        if (values == self.POISON).any():
            raise RuntimeError(f"cannot step {values}")


def fragile() -> Ward:
    return Ward(decider(replace(models(), vitals=FailingVitals())))


def essence(body: dict) -> dict:
    """What a result says about the patient, without coordinates and clocks."""
    return {
        "risks": [round(r["probability"], 4) if r["probability"] is not None else None for r in body["risks"]],
        "bands": [r["band"] for r in body["risks"]],
        "scores": body["clinical_scores"],
        "order": [r["action_id"] for r in body["recommendations"]],
        "alert": {k: v for k, v in body["alert"].items() if k != "stale"},
        "status": body["status"],
        "reasons": body["reasons"],
    }


def assert_alike(one: dict, other: dict) -> None:
    """Scores to 1e-4; order of actions and alert exactly."""
    for a, b in zip(one["risks"], other["risks"], strict=True):
        assert (a["probability"] is None) == (b["probability"] is None)
        if a["probability"] is not None:
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-4)
    for a, b in zip(one["recommendations"], other["recommendations"], strict=True):
        assert a["action_id"] == b["action_id"]
        assert a["score"] == pytest.approx(b["score"], abs=1e-3)
    for name in ("clinical_scores", "alert", "status", "reasons", "recommendation_id", "withheld"):
        assert one[name] == other[name], name


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "respiration_rate": st.integers(4, 45), "spo2": st.integers(70, 100), "systolic_bp": st.integers(60, 230),
        "pulse": st.integers(30, 180), "temperature": st.floats(33, 42).map(lambda t: round(t, 1)),
        "lactate": st.just(None), "gcs_total": st.integers(3, 15),
    },
)  # fmt: skip


@st.composite
def wards(draw) -> list[dict]:
    """Up to a dozen events of up to four patients, in order of time."""
    events = []
    for k in range(draw(st.integers(1, 12))):
        patient = f"patient-{draw(st.integers(1, 4))}"
        events.append(vitals(patient, 15 * k, values=draw(VALUES), acvpu=draw(st.sampled_from(["A", "C", "U", None]))))
    return events


class TestAloneAsInAnyBatch:
    @settings(max_examples=25, deadline=None)
    @given(events=wards())
    def test_a_record_alone_gives_what_it_gives_in_a_batch(self, events):
        records = [record(event, offset=i) for i, event in enumerate(events)]
        together = Ward().bodies(*records)
        alone_ward = Ward()
        alone = [alone_ward.bodies(each)[0] for each in records]
        for one, other in zip(alone, together, strict=True):
            assert_alike(one, other)

    @settings(max_examples=15, deadline=None)
    @given(events=wards(), cut=st.integers(0, 12))
    def test_nobody_elses_data_changes_a_result(self, events, cut):
        """Patient 1's results stay when everything about the others changes, or they are absent."""
        mine = [i for i, e in enumerate(events) if e["patient_id"] == "patient-1"]
        changed = [
            e if i in mine else vitals(e["patient_id"], 15 * i, values=ILL, acvpu="U") for i, e in enumerate(events)
        ]
        before = Ward().bodies(*(record(e, offset=i) for i, e in enumerate(events)))
        after = Ward().bodies(*(record(e, offset=i) for i, e in enumerate(changed)))
        only = Ward().bodies(*(record(events[i], offset=i) for i in mine)) if mine else []
        for k, i in enumerate(mine):
            assert_alike(before[i], after[i])
            assert_alike(before[i], only[k])

    def test_several_records_of_a_patient_in_a_batch_are_stepped_in_order(self):
        records = [record(vitals("patient-1", 10 * k, values={"pulse": 60 + k}), offset=k) for k in range(5)]
        ward = Ward()
        bodies = ward.bodies(*records)
        pulses = [v["value"] for b in bodies for v in b["explanation"]["vitals"] if v["parameter"] == "pulse"]
        assert pulses == [60, 61, 62, 63, 64]
        (context,) = ward.contexts[records[0].patient]
        assert context["rows"] == 5
        assert context["head"]["ms"] == records[-1].event_ms


def test_rounds_hold_every_patient_once_and_keep_the_order():
    made = [r.tolist() for r in rounds(np.array([0, 1, 0, 2, 0, 1]))]
    assert made == [[0, 1, 3], [2, 5], [4]]
    assert [r.tolist() for r in rounds(np.array([2, 0, 1]))] == [[0, 1, 2]]


class TestFailingModel:
    def batch(self) -> list:
        return [
            record(vitals("patient-1", 0, values=WELL), offset=0),
            record(vitals("patient-2", 0, values=ILL | {"pulse": 111}), offset=1),
            record(vitals("patient-3", 0, values=ILL), offset=2),
            record(vitals("patient-4", 0, values=WELL), offset=3),
            record(vitals("patient-2", 5, values=ILL), offset=4),
        ]

    def test_neighbours_keep_their_results(self):
        good, broken = Ward().bodies(*self.batch()), fragile().bodies(*self.batch())
        for i in (0, 2, 3):
            assert_alike(good[i], broken[i])

    def test_the_record_gets_its_clinical_scores_and_no_risk(self):
        body = fragile().bodies(*self.batch())[1]
        assert body["status"] == "indeterminate"
        assert Reason.MODEL_FAILED in body["reasons"]
        assert [r["probability"] for r in body["risks"]] == [None, None, None]
        assert body["models"]["vitals"] is None
        assert body["clinical_scores"]["news2"]["total"] >= 11
        assert body["alert"]["state"] == "raise"
        assert body["alert"]["tier"] == "critical"

    def test_the_patients_next_record_goes_through_the_model_again(self):
        ward = fragile()
        body = ward.bodies(*self.batch())[4]
        assert Reason.MODEL_FAILED not in body["reasons"]
        assert body["risks"][0]["probability"] is not None
        (context,) = ward.contexts[self.batch()[1].patient]
        assert (context["window"]["quality"][:2] & SKIP_MODEL).tolist() == [SKIP_MODEL, 0]

    def test_nothing_is_folded_twice_while_the_record_is_found(self):
        ward = fragile()
        ward.decide(*self.batch())
        good = Ward()
        good.decide(*self.batch())
        for patient, context in ward.contexts.items():
            assert context["rows"] == good.contexts[patient]["rows"]
            assert context["seen_id"].tolist() == good.contexts[patient]["seen_id"].tolist()

    def test_what_a_failed_attempt_had_folded_is_not_taken_for_a_repeat(self):
        """The poison is the patient's second record: the first round of the failed attempt was already in."""
        poison = vitals("patient-1", 5, values=ILL | {"pulse": 111})
        events = [vitals("patient-1", 0), vitals("patient-2", 0), poison, vitals("patient-1", 10)]
        decisions = fragile().decide(*(record(event, offset=i) for i, event in enumerate(events)))
        assert [type(decision) for decision in decisions] == [Publish] * 4
        failed = [Reason.MODEL_FAILED in json.loads(decision.value)["reasons"] for decision in decisions]
        assert failed == [False, False, True, False]

    def test_a_refold_goes_on_without_the_model(self):
        context = blank(1)
        fragile().decider.refold(context, [self.batch()[1], self.batch()[4]], Control())
        assert context["rows"][0] == 2
        assert (context["window"]["quality"][0, :2] & SKIP_MODEL).tolist() == [SKIP_MODEL, 0]


class TestCare:
    def test_a_record_that_ended_processes_skips_the_models(self):
        body = Ward().body(vitals(values=ILL), care=Care.WITHOUT_MODELS)
        assert body["status"] == "indeterminate"
        assert Reason.MODEL_SKIPPED in body["reasons"]
        assert body["risks"][0]["probability"] is None
        assert body["alert"]["tier"] == "critical"

    def test_a_record_alone_under_suspicion_still_gets_the_models(self):
        body = Ward().body(vitals(), care=Care.ALONE)
        assert body["risks"][0]["probability"] is not None
        assert Reason.MODEL_SKIPPED not in body["reasons"]


class TestControl:
    def test_the_kill_switch_leaves_the_rules(self):
        body = Ward().body(vitals(values=ILL), control=KILL)
        assert body["status"] == "indeterminate"
        assert Reason.KILL_SWITCH in body["reasons"]
        assert [r["probability"] for r in body["risks"]] == [None] * 3
        assert {name: v for name, v in body["models"].items() if name != "ranker"} == dict.fromkeys(
            ("vitals", "notes", "imaging", "fusion")
        )
        assert body["alert"]["reason"] == "news2_critical"
        assert any(r["floor"] for r in body["recommendations"])

    def test_after_the_kill_switch_the_models_go_on(self):
        ward = Ward()
        ward.body(vitals("patient-1", 0), control=KILL)
        body = ward.body(vitals("patient-1", 5))
        assert body["risks"][0]["probability"] is not None

    def test_a_model_that_is_off_is_named_and_leaves_the_others(self):
        ward = Ward()
        ward.body(note(), encoded=encoded(1))
        body = ward.body(vitals("patient-1", 5), control=Control(models_off=frozenset({"notes"})))
        assert body["status"] == "degraded"
        assert Reason.MODEL_OFF in body["reasons"]
        assert body["models"]["notes"] is None
        assert body["models"]["vitals"] is not None
        assert body["explanation"]["modality_shares"]["notes"] == 0
        assert body["risks"][0]["probability"] is not None

    def test_without_the_vitals_model_there_is_no_risk(self):
        body = Ward().body(vitals(), control=Control(models_off=frozenset({"vitals"})))
        assert [r["probability"] for r in body["risks"]] == [None] * 3

    def test_without_fusion_the_vitals_risk_stands(self):
        body = Ward().body(vitals(), control=Control(models_off=frozenset({"fusion"})))
        assert body["risks"][2]["probability"] == body["risks"][0]["probability"]
        assert body["models"]["fusion"] is None

    def test_thresholds_of_the_ward_are_used(self):
        control = Control(policies={"icu": Policy(news2_raise=1, model_raise=1.0)}, kill_switch=True)
        slightly = WELL | {"pulse": 95}
        assert Ward().body(vitals(values=slightly, unit="icu"), control=control)["alert"]["state"] == "raise"
        assert Ward().body(vitals(values=slightly, unit="w1"), control=control)["alert"]["state"] == "none"

    def test_a_mute_keeps_an_alert_from_paging_and_says_so(self):
        action = Ward().body(vitals(values=ILL), control=KILL)["alert"]["action_id"]
        muted = Control(kill_switch=True, mutes=frozenset({("icu", action)}))
        alert = Ward().body(vitals(values=ILL, unit="icu"), control=muted)["alert"]
        assert (alert["state"], alert["reason"]) == ("suppress", "muted")
        assert Ward().body(vitals(values=ILL, unit="w1"), control=muted)["alert"]["state"] == "raise"

    def test_the_applied_control_offset_is_echoed(self):
        assert Ward().body(vitals(), control=Control(offset=41))["control_offset"] == 41


class TestRuleFloor:
    @settings(max_examples=25, deadline=None)
    @given(values=VALUES, acvpu=st.sampled_from(["A", "C", "V", "P", "U"]))
    def test_whatever_the_model_says_no_rule_is_dropped_and_no_tier_lowered(self, values, acvpu):
        event = vitals(values=values, acvpu=acvpu)
        with_models, without = Ward().body(event), Ward().body(event, control=KILL)
        floor = [r["action_id"] for r in without["recommendations"] if r["floor"]]
        assert set(floor) <= {r["action_id"] for r in with_models["recommendations"] if r["floor"]}
        order = [None, "info", "warning", "critical"]
        assert order.index(with_models["alert"]["tier"]) >= order.index(without["alert"]["tier"])
        assert with_models["clinical_scores"] == without["clinical_scores"]

    @pytest.mark.parametrize("said", [0.0, 1.0])
    def test_a_model_that_says_all_is_well_or_lost_changes_no_rule(self, said):
        class Saying:
            def fuse(self, vitals_logit, notes, images, present, age_h):
                return np.full(len(age_h), said, np.float32), np.zeros((len(age_h), 3), np.float32)

            def bands(self, probability):
                return ["low" if said == 0 else "high"] * len(probability)

        ward = Ward(decider(replace(models(), fusion=Saying())))
        body = ward.body(vitals(values=ILL))
        rules = Ward().body(vitals(values=ILL), control=KILL)
        floor = [r["action_id"] for r in rules["recommendations"] if r["floor"]]
        assert set(floor) <= {r["action_id"] for r in body["recommendations"]}
        assert body["alert"]["tier"] == "critical"


class TestRepeatsAndRevisions:
    def test_a_repeat_is_a_duplicate_and_changes_nothing(self):
        ward = Ward()
        ward.decide(record(vitals()))
        before = {p: c.tobytes() for p, c in ward.contexts.items()}
        (again,) = ward.decide(record(vitals(), offset=9))
        assert isinstance(again, Duplicate)
        assert {p: c.tobytes() for p, c in ward.contexts.items()} == before

    def test_a_repeat_within_one_batch_is_a_duplicate(self):
        first, again = Ward().decide(record(vitals()), record(vitals(), offset=1))
        assert isinstance(first, Publish)
        assert isinstance(again, Duplicate)

    def test_the_same_id_with_other_content_goes_to_the_dead_letters(self):
        ward = Ward()
        ward.decide(record(vitals()))
        (refused,) = ward.decide(record(vitals(values=ILL)))
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.EVENT_ID_CONFLICT
        assert "patient-1" not in refused.detail

    def test_entered_in_error_retracts_and_supersedes(self):
        ward = Ward()
        first = ward.body(vitals("patient-1", 0, values=ILL))
        body = ward.body(vitals("patient-1", 5, status="entered-in-error", replaces="v-patient-1-0", observations=[]))
        assert body["status"] == "retracted"
        assert body["supersedes"] == [first["recommendation_id"]]
        assert body["clinical_scores"]["news2"]["total"] is None
        assert body["inputs"][0]["freshness"] == "absent"

    def test_a_correction_supersedes_and_describes_the_patient_now(self):
        ward = Ward()
        first = ward.body(vitals("patient-1", 0, values=ILL))
        body = ward.body(vitals("patient-1", 0, status="corrected", replaces="v-patient-1-0", event_id="c"))
        assert body["supersedes"] == [first["recommendation_id"]]
        assert body["clinical_scores"]["news2"]["total"] == 0

    def test_too_late_is_published_with_the_reason_and_moves_no_alert(self):
        ward = Ward()
        for k in range(14):
            ward.body(vitals("patient-1", 10 * k), control=KILL)
        before = ward.contexts[record(vitals()).patient].copy()
        body = ward.body(vitals("patient-1", 5, values=ILL), control=KILL)
        assert Reason.TOO_LATE in body["reasons"]
        assert body["supersedes"] == []
        assert body["alert"]["state"] == "none"
        after = ward.contexts[record(vitals()).patient]
        assert after["head"].tobytes() == before["head"].tobytes()
        assert after["alert"].tobytes() == before["alert"].tobytes()

    def test_an_original_after_its_correction_is_superseded(self):
        ward = Ward()
        ward.body(vitals("patient-1", 0, status="corrected", replaces="v-patient-1-0", event_id="c"))
        body = ward.body(vitals("patient-1", 0, values=ILL))
        assert Reason.SUPERSEDED in body["reasons"]
        assert body["clinical_scores"]["news2"]["total"] == 0

    def test_the_id_is_that_of_topic_source_event_and_run(self):
        body = Ward(decider(run="again")).body(vitals())
        assert body["recommendation_id"] == recommendation_id("patient.vitals", "monitor", "v-patient-1-0", "again")
        assert body["run"] == "again"

    def test_late_in_or_in_order_the_last_result_is_the_same(self):
        events = [vitals("patient-1", 10 * k, values={"pulse": 60 + 10 * k}) for k in range(4)]
        in_order, late = Ward(), Ward()
        for event in events:
            expected = in_order.body(event, control=CONTROL)
        for event in (events[0], events[2], events[1], events[3]):
            body = late.body(event, control=CONTROL)
        assert essence(body)["scores"] == essence(expected)["scores"]
        assert essence(body)["risks"] == pytest.approx(essence(expected)["risks"], abs=1e-4)
        assert essence(body)["order"] == essence(expected)["order"]


class TestContextsAway:
    def test_a_context_that_did_not_come_from_the_store_is_said_to_be_so(self):
        ward = Ward()
        ward.body(vitals("patient-1", 0))
        body = ward.body(vitals("patient-1", 5), degraded=True)
        assert body["status"] == "degraded"
        assert Reason.REDIS_UNAVAILABLE in body["reasons"]
        assert Reason.COLD_CONTEXT not in body["reasons"]

    def test_a_patient_whose_context_is_out_of_reach_is_cold(self):
        body = Ward().body(vitals(), degraded=True)
        assert Reason.COLD_CONTEXT in body["reasons"]

    def test_a_new_patient_is_not_called_cold(self):
        assert Reason.COLD_CONTEXT not in Ward().body(vitals())["reasons"]


class TestModalities:
    def test_all_three_are_fused(self):
        ward = Ward()
        ward.body(note(), encoded=encoded(1, spans=((0, 5, 0.5),)))
        ward.body(image("patient-1", 1), encoded=encoded(2, heat_map=np.eye(3, dtype=np.float32)))
        body = ward.body(vitals("patient-1", 60))
        assert Reason.MISSING_MODALITY not in body["reasons"]
        assert [i["freshness"] for i in body["inputs"]] == ["fresh"] * 3
        shares = body["explanation"]["modality_shares"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)

    def test_the_time_of_every_input_is_exact(self):
        ward = Ward()
        ward.body(note("patient-1", 7), encoded=encoded(1))
        body = ward.body(vitals("patient-1", 60 * 24 * 1.9))
        assert body["inputs"][1]["event_time"] == "2026-03-01T08:07:00+00:00"

    def test_a_note_alone_gives_no_risk_and_no_shares(self):
        body = Ward().body(note(), encoded=encoded(1))
        assert [r["probability"] for r in body["risks"]] == [None] * 3
        assert sum(body["explanation"]["modality_shares"].values()) == 0
        assert body["inputs"][0]["freshness"] == "absent"

    @pytest.mark.parametrize("reason", [Reason.IMAGE_UNREADABLE, Reason.IMAGE_NOT_FOUND, Reason.IMAGE_HASH_MISMATCH])
    def test_an_image_that_could_not_be_read_is_a_result_of_its_own(self, reason):
        ward = Ward()
        ward.body(vitals("patient-1", 0, values=ILL))
        body = ward.body(image("patient-1", 5), encoded=without_embedding(reason))
        assert body["status"] == "indeterminate"
        assert reason in body["reasons"]
        assert body["inputs"][2]["quality"] == ["unreadable"]
        assert body["explanation"]["modality_shares"]["imaging"] == 0
        assert body["clinical_scores"]["news2"]["total"] >= 11

    def test_an_unusable_embedding_changes_no_risk_whatever_it_holds(self):
        risks = []
        for seed in (1, 2):
            ward = Ward()
            ward.body(note(), encoded=encoded(seed, quality=UNREADABLE))
            risks.append([r["probability"] for r in ward.body(vitals("patient-1", 5))["risks"]])
        assert risks[0] == risks[1]

    def test_old_inputs_are_called_stale(self):
        ward = Ward()
        ward.body(vitals("patient-1", 0))
        body = ward.body(note("patient-1", 300), encoded=encoded(1))
        assert [i["freshness"] for i in body["inputs"]] == ["stale", "fresh", "absent"]

    def test_a_retracted_note_takes_its_part_away(self):
        ward = Ward()
        ward.body(note(), encoded=encoded(1))
        body = ward.body(note("patient-1", 5, "", status="entered-in-error", replaces="n-patient-1-0"))
        assert body["status"] == "retracted"
        assert body["inputs"][1]["freshness"] == "absent"


class TestApplicability:
    @pytest.mark.parametrize("subject", [{"age_years": 9}, {"age_years": 30, "pregnant": True}])
    def test_where_news2_does_not_apply_it_is_said_and_does_not_raise(self, subject):
        body = Ward().body(vitals(values=ILL, subject=subject), control=KILL)
        assert Reason.NOT_APPLICABLE in body["reasons"]
        assert body["clinical_scores"]["news2"]["applicable"] is False
        assert body["clinical_scores"]["news2"]["total"] is None

    def test_missing_parameters_give_a_range_and_do_not_clear(self):
        ward = Ward()
        ward.body(vitals("patient-1", 0, values=ILL), control=KILL)
        body = ward.body(vitals("patient-1", 60 * 7, values={}, acvpu=None, oxygen=None), control=KILL)
        news2 = body["clinical_scores"]["news2"]
        assert news2["total"] is None
        assert (news2["low"], news2["high"]) == (0, 20)
        assert body["alert"]["state"] == "suppress"
        assert Reason.INCOMPLETE in body["reasons"]


class TestAlertClocks:
    def test_a_patient_who_gets_worse_long_after_the_raise_still_pages(self):
        ward = Ward()
        start = 60 * 36  # so that the clock stands near the last event
        ward.body(vitals("patient-1", start, values=WELL | {"pulse": 131, "respiration_rate": 22}), control=KILL)
        alert = ward.body(vitals("patient-1", start + 60 * 11, values=ILL), control=KILL)["alert"]
        assert (alert["state"], alert["tier"]) == ("update", "critical")
        assert alert["stale"] is False
        assert alert["ack_by"] == "2026-03-03T07:15:00+00:00"
        assert alert["expires_at"] == "2026-03-03T15:00:00+00:00"
        assert alert["raised_at"] == "2026-03-02T20:00:00+00:00"

    def test_an_alert_of_long_ago_is_stale(self):
        alert = Ward().body(vitals("patient-1", 0, values=ILL), control=KILL)["alert"]
        assert alert["state"] == "raise"
        assert alert["stale"] is True

    def test_an_alert_keeps_its_id_from_raise_to_clear(self):
        ward = Ward()
        series = [(0, ILL), (10, ILL), (30, WELL), (90, WELL), (100, WELL)]
        alerts = [ward.body(vitals("patient-1", at, values=v), control=KILL)["alert"] for at, v in series]
        assert [a["state"] for a in alerts] == ["raise", "suppress", "suppress", "clear", "none"]
        assert len({a["alert_id"] for a in alerts[:4]}) == 1
        assert [a["revision"] for a in alerts] == [1, 1, 1, 2, 0]

    @pytest.mark.parametrize("last", [{}, {"replaces": "told", "status": "corrected"}])
    def test_a_clear_goes_where_the_alert_was_told_also_when_it_counts_for_less_by_then(self, last):
        """Calm for an hour, or a correction, lowers what counts as told in the very event that clears."""
        ward = Ward()
        ward.body(vitals("patient-1", 1440, values=ILL, event_id="told"), control=KILL)
        ward.body(vitals("patient-1", 1450, values=WELL), control=KILL)
        (made,) = ward.decide(record(vitals("patient-1", 1510, values=WELL, **last)), control=KILL)
        alert = json.loads(made.value)["alert"]
        assert (alert["state"], alert["tier"]) == ("clear", "critical")
        assert (dict(made.headers)[names.ALERT_TIER], made.alert_tier) == (b"critical", "critical")

    def test_a_clear_after_an_update_goes_where_that_went(self):
        ward, pulse = Ward(), WELL | {"pulse": 131}
        series = [(1440, ILL), (1450, pulse), (1511, pulse), (1520, pulse | {"spo2": 91}), (1600, WELL), (1661, WELL)]
        alerts = [ward.body(vitals("patient-1", at, values=v), control=KILL)["alert"] for at, v in series]
        assert [(a["state"], a["tier"]) for a in alerts if a["state"] != "suppress"] == [
            ("raise", "critical"), ("update", "warning"), ("clear", "warning"),
        ]  # fmt: skip

    def test_replaying_gives_the_same_alerts(self):
        series = [record(vitals("patient-1", 7 * k, values=[WELL, ILL][k % 3 == 0]), offset=k) for k in range(12)]
        one, other = Ward(), Ward()
        first = [body["alert"] for each in series for body in one.bodies(each)]
        assert first == [body["alert"] for each in series for body in other.bodies(each)]


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.001Z", "1970-01-01T00:00:00Z"])
def test_an_event_of_any_age_is_decided(when):
    """A time that no calendar can shift must not end the process."""
    ward = Ward()
    ward.body(vitals("patient-1", 0, event_time=when))
    body = ward.body(note("patient-1", 30), encoded=encoded(1))
    RecommendationEvent.model_validate_json(json.dumps(body))
    assert body["inputs"][0]["freshness"] == "stale"
