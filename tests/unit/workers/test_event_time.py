"""The patient as of the newest event time, whatever order vitals, notes and images came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.made import ILL, WELL, Ward, encoded, image, note, record, vitals
from topics.reasons import Reason
from workers.records import Duplicate

ME = "patient-1"
ERROR = {"status": "entered-in-error"}
STAY = [
    vitals(ME, 0, values={"pulse": 88, "systolic_bp": 124, "lactate": None}, flags={"chest_pain": True}, acvpu=None),
    vitals(ME, 30, values=ILL, event_id="wrong", flags={"suspected_infection": True}),
    vitals(ME, 32, values=WELL | {"pulse": 104}, event_id="right", status="corrected", replaces="wrong"),
    vitals(ME, 60, values=ILL, event_id="nobody", spo2_scale=2, subject={"age_years": 9, "pregnant": True}),
    vitals(ME, 61, values={}, status="entered-in-error", replaces="nobody", event_id="taken-back"),
    note(ME, 20, "Crushing chest pain.", flags={"chest_pain": False, "seizure": True}),
    note(ME, 45, "Fitted twice.", flags={"seizure": False}),
    note(ME, 46, "Did not fit.", status="corrected", replaces=f"n-{ME}-45", flags={"syncope": True}),
    image(ME, 40),
    image(ME, 50),
    image(ME, 51, status="entered-in-error", replaces=f"i-{ME}-50"),
]
SEEDS = {event["event_id"]: seed for seed, event in enumerate(STAY)}


def send(ward: Ward, event: dict[str, Any]) -> dict[str, Any]:
    made = None if "observations" in event else encoded(SEEDS.get(event["event_id"], 99))
    return ward.body(event, encoded=made)


def state(ward: Ward) -> dict[str, Any]:
    """What the context says of the patient: all but what depends on arrival (ids seen, alert)."""
    (context,) = ward.contexts.values()
    head = context["head"][0]
    said = {name: head[name].tolist() for name in head.dtype.names if name != "hidden" and name[0] != "f"}
    said |= {name: head[name].tolist() for name in ("flags_known", "flags_true", "flags_at", "first_ms")}
    said |= {"as_of": int(context["as_of"][0]), "indicated": int(context["indicated"][0])}
    for field, count in (("window", "rows"), ("note", "notes"), ("image", "images")):
        said[field] = context[field]["id"][0, : int(context[count][0])].tolist()
    return said


def patient(body: dict[str, Any]) -> dict[str, Any]:
    """What a result says about the patient, not about its own event."""
    return {
        "scores": body["clinical_scores"],
        "actions": {each["action_id"]: (each["floor"], each["cautions"]) for each in body["recommendations"]},
        "withheld": body["withheld"],
        "inputs": [(i["modality"], i["event_time"], i["age_s"], i["freshness"]) for i in body["inputs"]],
        "shares": list(body["explanation"]["modality_shares"].values()),
        "risks": [risk["probability"] for risk in body["risks"]],
    }


def in_order() -> tuple[Ward, dict[str, Any]]:
    ward = Ward()
    return ward, [send(ward, event) for event in STAY][-1]


class TestAnyOrder:
    @settings(max_examples=30, deadline=None)
    @given(order=st.permutations(STAY))
    def test_state_and_last_result_are_those_of_the_order_in_time(self, order):
        expected, _ = in_order()
        ward = Ward()
        for event in order:
            last = send(ward, event)
        assert repr(state(ward)) == repr(state(expected))
        (ours,), (theirs,) = ward.contexts.values(), expected.contexts.values()
        np.testing.assert_allclose(ours["head"]["hidden"], theirs["head"]["hidden"], atol=1e-5)
        said, wanted = patient(last), patient(send(expected, note(ME, 61, "Probe.", **ERROR, replaces="none")))
        for loose in ("shares", "risks"):
            assert said.pop(loose) == pytest.approx(wanted.pop(loose), abs=1e-4)
        assert said == wanted

    def test_what_was_taken_back_is_nowhere(self):
        ward, last = in_order()
        (context,) = ward.contexts.values()
        head = context["head"][0]
        assert head["static"].tolist() == [67.0, 0.0]
        assert (int(head["pregnant"]), int(head["spo2_scale"])) == (-1, 0)
        assert last["clinical_scores"]["news2"]["total"] == 1  # the corrected set: a pulse of 104
        assert last["clinical_scores"]["news2"]["applicable"]

    def test_a_late_result_describes_the_patient_as_of_now(self):
        ward = Ward()
        now = ward.body(vitals(ME, 120, values=ILL))
        late = ward.body(vitals(ME, 0, values=WELL))
        assert late["clinical_scores"] == now["clinical_scores"]
        assert late["inputs"][0]["event_time"] == "2026-03-01T10:00:00+00:00"

    def test_a_note_that_comes_late_leaves_the_newer_one_in_place(self):
        ward = Ward()
        send(ward, note(ME, 60, "Newer."))
        late = send(ward, note(ME, 0, "Older."))
        assert late["inputs"][1]["event_time"] == "2026-03-01T09:00:00+00:00"


class TestTimeOfJudgement:
    def test_time_does_not_run_back_when_the_newest_is_taken_back(self):
        ward = Ward()
        ward.body(vitals(ME, 0, values=ILL))
        ward.body(vitals(ME, 300, values={"temperature": 37.0}, acvpu=None, oxygen=None))
        body = ward.body(vitals(ME, 300, values={}, event_id="e", replaces=f"v-{ME}-300", **ERROR))
        assert (body["clinical_scores"]["news2"]["low"], body["clinical_scores"]["news2"]["high"]) == (0, 20)

    def test_an_original_after_its_correction_counts_as_a_clock_and_no_more(self):
        events = [vitals(ME, 60, values=ILL, event_id="o"),
                  vitals(ME, 0, values=WELL, event_id="c", status="corrected", replaces="o")]  # fmt: skip
        wards = [Ward(), Ward()]
        for ward, order in zip(wards, (events, events[::-1]), strict=True):
            for event in order:
                ward.body(event)
        assert repr(state(wards[0])) == repr(state(wards[1]))


class TestFlags:
    def said(self, *events: dict[str, Any]) -> tuple[bool, bool]:
        """Whether chest pain leads to an ECG, and the same for all orders."""
        found = set()
        for order in (events, events[::-1]):
            ward = Ward()
            for event in order:
                send(ward, event)
            body = send(ward, vitals(ME, 900, values={}, acvpu=None, oxygen=None))
            found.add("ecg-12" in {each["action_id"] for each in body["recommendations"]})
        (answer,) = found
        return answer

    def test_a_vitals_event_without_flags_does_not_undo_what_a_note_said(self):
        said_no = vitals(ME, 0, flags={"chest_pain": False})
        assert self.said(said_no, note(ME, 10, flags={"chest_pain": True}), vitals(ME, 20))
        assert not self.said(said_no, note(ME, 10), vitals(ME, 20))

    def test_the_newest_statement_holds_whoever_made_it(self):
        yes, no = {"flags": {"chest_pain": True}}, {"flags": {"chest_pain": False}}
        assert not self.said(note(ME, 0, **yes), vitals(ME, 10, **no))
        assert not self.said(note(ME, 0, **yes), vitals(ME, 10, **yes), note(ME, 20, **no), vitals(ME, 30))
        assert self.said(note(ME, 0, **no), vitals(ME, 10, **no), vitals(ME, 20, **yes))

    def test_of_one_moment_the_note_holds(self):
        assert self.said(vitals(ME, 0, flags={"chest_pain": False}), note(ME, 0, flags={"chest_pain": True}))
        assert not self.said(vitals(ME, 0, flags={"chest_pain": True}), note(ME, 0, flags={"chest_pain": False}))

    def test_what_a_note_said_holds_after_four_newer_ones(self):
        ward = Ward()
        send(ward, vitals(ME, 0, flags={"dnacpr": False}))
        for k in range(7):
            send(ward, note(ME, 10 + k, flags={"dnacpr": True} if k == 0 else {}))
        for k in range(14):  # and after its time has left the window of vitals
            body = send(ward, vitals(ME, 20 + k, acvpu="U"))
        assert "esc-cardiac-arrest-call" in {each["action_id"] for each in body["withheld"]}
        send(ward, vitals(ME, 60, flags={"dnacpr": False}))
        body = send(ward, vitals(ME, 61, acvpu="U"))
        assert "esc-cardiac-arrest-call" not in {each["action_id"] for each in body["withheld"]}

    def test_what_a_retracted_event_said_is_not_said(self):
        wrong = vitals(ME, 0, event_id="o", flags={"chest_pain": True})
        assert not self.said(wrong, vitals(ME, 1, replaces="o", **ERROR))
        wrong = note(ME, 0, flags={"chest_pain": True})
        assert not self.said(wrong, note(ME, 1, replaces=f"n-{ME}-0", **ERROR), vitals(ME, 5))


class TestRetraction:
    @pytest.mark.parametrize("order", [1, -1])
    def test_of_the_only_event_leaves_a_patient_without_vitals(self, order):
        ward = Ward()
        only = vitals(ME, 0, values=ILL, acvpu="U", spo2_scale=2, event_id="o", flags={"chest_pain": True})
        for event in [only, vitals(ME, 0, values={}, acvpu=None, oxygen=None, event_id="r", replaces="o", **ERROR,
                                   subject=None)][::order]:  # fmt: skip
            body = ward.body(event)
        news2 = body["clinical_scores"]["news2"]
        assert (news2["total"], news2["low"], news2["high"], news2["any_single_3"]) == (None, 0, 20, None)
        assert body["clinical_scores"]["qsofa"]["positive"] is None
        assert [risk["probability"] for risk in body["risks"]] == [None] * 3
        assert [each["action_id"] for each in body["recommendations"]] == ["obs-complete-set"]
        (context,) = ward.contexts.values()
        head = context["head"][0]
        assert np.isnan(head["static"]).all()
        assert (int(head["pregnant"]), int(head["spo2_scale"]), int(head["flags_known"])) == (-1, 0, 0)

    @pytest.mark.parametrize("make", [note, image])
    def test_of_a_note_or_image_lists_what_it_withdraws(self, make):
        ward = Ward()
        first = send(ward, make(ME, 0))
        body = send(ward, make(ME, 5, replaces=first["caused_by"]["event_id"], **ERROR))
        assert (body["status"], body["supersedes"]) == ("retracted", [first["recommendation_id"]])
        assert all(each["freshness"] == "absent" for each in body["inputs"])


def revised(k: int, minute: float, make=vitals, **more: Any) -> dict[str, Any]:
    """The `k`-th revision of the event `o`."""
    values = {"values": WELL | {"pulse": 60 + k}} if make is vitals else {}
    return make(ME, minute, event_id=f"c{k}", **({"status": "corrected", "replaces": "o"} | values | more))


class TestSeveralRevisionsOfOneEvent:
    def pulse(self, ward: Ward) -> float:
        (context,) = ward.contexts.values()
        return float(context["head"]["value"][0, 3])

    def test_that_of_the_later_event_time_has_the_place_in_any_order(self):
        o, one, two = vitals(ME, 0, values=ILL, event_id="o"), revised(1, 1), revised(2, 2)
        for order in ([o, one, two], [o, two, one], [one, two, o], [two, one, o], [two, o, one], [one, o, two]):
            ward = Ward()
            reasons = {event["event_id"]: ward.body(event)["reasons"] for event in order}
            assert self.pulse(ward) == 62
            (context,) = ward.contexts.values()
            assert context["rows"][0] == 1
            assert (Reason.SUPERSEDED in reasons["c1"]) == (order.index(two) < order.index(one))
            assert not any(Reason.TOO_LATE in said for said in reasons.values())

    def test_at_the_same_event_time_the_one_that_comes_later_has_it(self):
        ward = Ward()
        first, second, third = (ward.body(e) for e in (vitals(ME, 0, event_id="o"), revised(2, 0), revised(1, 0)))
        assert self.pulse(ward) == 61
        assert second["supersedes"] == [first["recommendation_id"]]
        assert third["supersedes"] == [first["recommendation_id"], second["recommendation_id"]]

    def test_a_retraction_takes_the_corrections_with_it(self):
        for order in (1, -1):
            ward = Ward()
            ward.body(vitals(ME, 0, event_id="o"))
            for event in [revised(1, 1), revised(2, 2, **ERROR)][::order]:
                body = ward.body(event)
            assert body["inputs"][0]["freshness"] == "absent"

    def test_a_correction_after_a_retraction_brings_the_event_back(self):
        ward = Ward()
        _, gone, back = (ward.body(e) for e in (vitals(ME, 0, event_id="o"), revised(1, 1, **ERROR), revised(2, 2)))
        assert self.pulse(ward) == 62
        assert gone["recommendation_id"] in back["supersedes"]

    @settings(max_examples=30, deadline=None)
    @given(data=st.data(), make=st.sampled_from([vitals, note]))
    def test_any_order_of_revisions_and_of_their_corrections_gives_the_same_state(self, data, make):
        chain = [
            make(ME, 0, event_id="o"), revised(1, 1, make), revised(2, 2, make), revised(3, 3, make, replaces="c1"),
            revised(4, 4, make, replaces="c2", status=data.draw(st.sampled_from(["corrected", "entered-in-error"]))),
        ]  # fmt: skip
        expected, ward = Ward(), Ward()
        for event in chain:
            send(expected, event)
        for event in data.draw(st.permutations(chain)):
            send(ward, event)
        assert repr(state(ward)) == repr(state(expected))

    def test_a_repeat_of_the_one_that_lost_is_a_duplicate(self):
        ward = Ward()
        for event in (vitals(ME, 0, event_id="o"), revised(2, 2), revised(1, 1)):
            ward.body(event)
        (again,) = ward.decide(record(revised(1, 1)))
        assert isinstance(again, Duplicate)


def test_a_correction_of_what_is_past_mending_is_too_late_and_withdraws_nothing():
    ward = Ward()
    for k in range(14):
        ward.body(vitals(ME, 10 * k, event_id="o" if k == 0 else f"v{k}"))
    body = ward.body(revised(1, 0))
    assert Reason.TOO_LATE in body["reasons"]
    assert body["supersedes"] == []
