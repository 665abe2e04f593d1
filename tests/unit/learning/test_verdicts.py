"""Which answers teach something."""

from __future__ import annotations

import json

import numpy as np
import pytest
from constructed import answer, moment, recommendation, refusal, vitals_event

from models.clinical.actions import Catalogue
from models.columns import INDEX
from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS
from topics.vitals import VitalsEvent
from workers.cli.learning.joining import Join
from workers.cli.learning.verdicts import verdicts

CATALOGUE = Catalogue.load()
ABOUT = ("r-a-0", "lactate")


def said(*events) -> dict[tuple[str, str], bool]:
    return {about: one.relevant for about, one in verdicts(map(FeedbackEvent.model_validate, events)).by.items()}


class TestVerdicts:
    @pytest.mark.parametrize("code", OVERRIDE_REASONS)
    def test_an_override_teaches_what_its_reason_says_and_nothing_else(self, code):
        relevant = OVERRIDE_REASONS[code].relevant
        assert said(refusal("a", 0, "lactate", code)) == ({} if relevant is None else {ABOUT: relevant})

    def test_accepted_is_relevant_and_other_answers_say_nothing(self):
        assert said(answer("a", 0, "lactate")) == {ABOUT: True}
        for outcome in ("snoozed", "acknowledged"):
            assert said(answer("a", 0, "lactate", outcome)) == {}
        assert said(answer("a", 0, None)) == {}

    def test_the_last_answer_to_an_action_counts_whenever_it_comes(self):
        early = answer("a", 0, "lactate")
        late = refusal("a", 0, "lactate", event_id="late", event_time=moment(50))
        silent = refusal("a", 0, "lactate", "patient-refuses", event_id="later", event_time=moment(55))
        assert said(early, late) == said(late, early) == {ABOUT: False}
        assert said(early, late, silent) == {}

    def test_an_answer_sent_again_changes_nothing(self):
        one, two = answer("a", 0, "lactate"), refusal("a", 0, "abg")
        assert said(one, two, one, two, one) == said(one, two)

    def test_what_was_entered_in_error_does_not_count(self):
        first = answer("a", 0, "lactate")
        back = answer("a", 0, "lactate", event_id="back", status="entered-in-error", replaces=first["event_id"])
        assert said(first, back) == said(back, first) == said(back) == {}

    def test_a_correction_takes_the_place_also_of_an_answer_to_something_else(self):
        first = answer("a", 0, "lactate")
        corrected = {"status": "corrected", "replaces": first["event_id"]}
        other = answer("a", 0, "abg", event_id="other", **corrected)
        assert said(first, other) == {("r-a-0", "abg"): True}
        newer = refusal("a", 0, "lactate", event_id="newer", event_time=moment(90), **corrected)
        assert said(newer, first, other) == {ABOUT: False}
        chain = answer("a", 0, "abg", event_id="chain", status="corrected", replaces="other")
        assert said(first, other, chain) == {("r-a-0", "abg"): True}

    def test_another_source_cannot_take_an_answer_back(self):
        first = answer("a", 0, "lactate")
        back = answer("a", 0, "abg", source="x", event_id="b", status="entered-in-error", replaces=first["event_id"])
        assert said(first, back) == {ABOUT: True}


def joined(feedback, recommendations, vitals=()):
    join = Join(verdicts(map(FeedbackEvent.model_validate, feedback)))
    for one in recommendations:
        join.see(json.dumps(one).encode())
    for event in map(VitalsEvent.model_validate, vitals):
        for identifier in join.causes():
            join.read(identifier, event)
    return join.answers(CATALOGUE)


class TestJoining:
    def test_takes_the_readings_of_the_causing_event_and_what_was_indicated_before(self):
        shown = [recommendation("a", 0, ["abg"]), recommendation("b", 0, ["lactate"]), recommendation("a", 1)]
        shown[0]["withheld"] = [{"action_id": "fluid-bolus", "reason": "pulmonary oedema"}]
        shown[0]["recommendations"].append({"action_id": "sepsis-screen", "floor": False})  # a model's, no rule's
        made, left = joined([answer("a", 1, "lactate")], shown, [vitals_event("a", 0, 70), vitals_event("a", 1, 120)])
        assert not left
        indicated = [CATALOGUE.actions[i].id for i in np.flatnonzero(made.history[0])]
        assert sorted(indicated) == ["abg", "fluid-bolus"]
        assert made.features[0, INDEX["pulse"]] == 120
        assert np.isnan(np.delete(made.features[0], INDEX["pulse"])).all()

    def test_a_result_published_twice_is_one(self):
        shown = [recommendation("a", 0, ["abg"]), recommendation("a", 1), recommendation("a", 1)]
        made, _ = joined([answer("a", 1, "lactate")], shown)
        assert made.history[0, CATALOGUE.index["abg"]] == 1
        assert made.history.sum() == 1

    def test_says_why_answers_are_left_out(self):
        feedback = [
            answer("a", 0, "lactate"), answer("a", 0, "no-such-action"), answer("a", 0, "rewarm"),
            answer("a", 9, "lactate"), answer("b", 0, "abg", recommendation_id="r-a-0"),
        ]  # fmt: skip
        made, left = joined(feedback, [recommendation("a", 0)])
        assert len(made.action) == 1
        assert left == {
            "action not in the recommendation": 2, "recommendation not found": 1,
            "recommendation of another patient": 1,
        }  # fmt: skip

    def test_readings_of_another_record_are_not_taken(self):
        stranger = vitals_event("b", 0, 120) | {"event_id": "v-a-0"}
        made, _ = joined([answer("a", 0, "lactate")], [recommendation("a", 0)], [stranger])
        assert np.isnan(made.features).all()
