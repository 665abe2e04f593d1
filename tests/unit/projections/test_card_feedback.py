"""What a client of CDS Hooks says of a card, as events of patient.feedback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.projections.published import published
from topics.catalogue import FEEDBACK
from topics.codec import Decoded, decode
from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS
from topics.projections.cds_hooks import card
from topics.projections.feedback import feedback_of

CARD = card(published())
NOW_MS = 1_900_000_000_000


def said(outcome="accepted", **more) -> dict[str, Any]:
    return {"card": CARD["uuid"], "outcome": outcome, "outcomeTimestamp": "2026-03-01T07:20:00Z"} | more


def override(code: object = "action-completed", **more) -> dict[str, Any]:
    coding = CARD["overrideReasons"][0] | {"code": code} | more
    return said("overridden", overrideReason={"reason": coding, "userComment": "Mrs Example said no"})


def events(feedback: dict[str, Any]) -> list[dict[str, Any]]:
    return feedback_of(feedback, published(), actor_role="doctor", source="ehr")


def test_an_accepted_suggestion_is_the_acceptance_of_its_action():
    chosen = [{"id": each["uuid"]} for each in CARD["suggestions"][:2]]
    made = events(said(acceptedSuggestions=[*chosen, chosen[0]]))
    assert [each["action_id"] for each in made] == [each["action_id"] for each in published()["recommendations"][:2]]
    assert {each["alert_id"] for each in made} == {CARD["uuid"]}
    assert len({each["event_id"] for each in made}) == 2


def test_a_card_accepted_without_a_suggestion_is_an_answer_to_the_alert():
    (made,) = events(said())
    assert (made["outcome"], made["patient_id"], made["event_time"]) == (
        "accepted", "example-patient-17", "2026-03-01T07:20:00Z",
    )  # fmt: skip
    assert "action_id" not in made


@pytest.mark.parametrize("code", OVERRIDE_REASONS)
def test_an_override_carries_its_code_and_no_free_text(code):
    (made,) = events(override(code))
    assert made["override_reason"] == code
    assert "Example said" not in json.dumps(made)


@pytest.mark.parametrize("feedback", [said(), override()])
def test_a_worker_reads_what_is_made_and_knows_it_again(feedback):
    made = events(feedback)
    assert made == events(feedback)
    value = json.dumps(made[0]).encode()
    (answer,) = decode(FeedbackEvent, [(made[0]["patient_id"].encode(), value)], now_ms=NOW_MS)
    assert isinstance(answer, Decoded), FEEDBACK


@pytest.mark.parametrize(
    ("feedback", "where"),
    [
        (said(card="another"), "card"),
        (said("ignored"), "outcome"),
        (said(outcomeTimestamp=None), "outcomeTimestamp"),
        (said(outcomeTimestamp="2026-03-01T07:20:00"), "outcomeTimestamp"),
        (said("overridden"), "overrideReason"),
        (said("overridden", overrideReason={"userComment": "secret"}), "overrideReason"),
        (override("secret"), "overrideReason.reason"),
        (override(system="secret"), "overrideReason.reason"),
        (said(acceptedSuggestions=[{"id": "secret"}]), "acceptedSuggestions"),
        (said(acceptedSuggestions="secret"), "acceptedSuggestions"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_repeats_no_value(feedback, where):
    with pytest.raises(ValueError, match=f"^{where}") as caught:
        events(feedback)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
