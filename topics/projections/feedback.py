"""From the feedback that a CDS Hooks client sends about a card to the events of `patient.feedback`.

Decides what an answer to a card means: an accepted suggestion is the acceptance of its action, a card accepted without
one acknowledges nothing but the alert, and an override must name a coded reason. Free text (`userComment`) is left out.
No clock: the time is the client's `outcomeTimestamp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import ValidationError

from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS, SYSTEM
from topics.projections.cds_hooks import suggestion_uuid
from topics.projections.reading import Published, read
from topics.recommendation import RecommendationEvent

_NAMESPACE: Final = UUID("a3d0a2a4-8f0e-49d0-9f4d-6a1f6f1c6f57")


def feedback_of(
    card_feedback: Mapping[str, Any], published: Published, *, actor_role: str, source: str
) -> list[dict[str, Any]]:
    """The events to write, keyed by `patient_id`: one an accepted suggestion, else one of the card.

    Args:
        card_feedback: One element of the `feedback` array of CDS Hooks 2.0.
        published: The recommendation that the card was made from.
        actor_role: Role of who answered, never a name; CDS Hooks does not say it.
        source: Of the event, such as the name of the client.

    Raises:
        ValueError: The feedback is about another card, or cannot be read. The text repeats no value.
    """
    event = read(published)
    card = event.alert.alert_id
    if card is None or card_feedback.get("card") != card:
        raise ValueError("card: the feedback is about another card than this recommendation's")
    outcome = card_feedback.get("outcome")
    if outcome not in ("accepted", "overridden"):
        raise ValueError("outcome: accepted or overridden")
    reason = _reason(card_feedback) if outcome == "overridden" else None
    accepted = _accepted(card_feedback, event, card) if outcome == "accepted" else [None]
    time = card_feedback.get("outcomeTimestamp")
    return [_event(event, outcome, reason, action, time, actor_role, source) for action in accepted]


def _event(
    event: RecommendationEvent, outcome: str, reason: str | None, action: str | None, time: Any, role: str, source: str
) -> dict[str, Any]:
    """One event; its id is made of what it says, so that feedback that is sent again is a repeat."""
    name = f"{event.recommendation_id}:{event.alert.alert_id}:{outcome}:{reason}:{action}:{time}:{role}"
    made = {
        "schema_version": "1.0", "event_id": str(uuid5(_NAMESPACE, name)), "patient_id": event.patient_id,
        "encounter_id": event.encounter_id, "unit": event.unit, "event_time": time, "source": source,
        "recommendation_id": event.recommendation_id, "alert_id": event.alert.alert_id, "action_id": action,
        "outcome": outcome, "override_reason": reason, "actor_role": role,
    }  # fmt: skip
    made = {key: value for key, value in made.items() if value is not None}
    try:
        FeedbackEvent.model_validate(made)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        where = str(next(iter(first["loc"]), "feedback"))
        where = "outcomeTimestamp" if where == "event_time" else where
        raise ValueError(f"{where}: {first['msg']}") from None
    return made


def _reason(card_feedback: Mapping[str, Any]) -> str:
    given = card_feedback.get("overrideReason")
    coding = given.get("reason") if isinstance(given, Mapping) else None
    coding = coding if isinstance(coding, Mapping) else {}
    code = str(coding.get("code"))
    if coding.get("system") != SYSTEM or code not in OVERRIDE_REASONS:
        raise ValueError("overrideReason.reason: an override needs one of the card's coded reasons")
    return code


def _accepted(card_feedback: Mapping[str, Any], event: RecommendationEvent, card: str) -> list[str | None]:
    """The actions whose suggestions were accepted; None alone where the card was accepted without any."""
    chosen = card_feedback.get("acceptedSuggestions") or []
    if not isinstance(chosen, list) or not all(isinstance(each, Mapping) for each in chosen):
        raise ValueError("acceptedSuggestions: a list of objects with an id")
    actions = {suggestion_uuid(card, each.action_id): each.action_id for each in event.recommendations}
    ids = list(dict.fromkeys(each.get("id") for each in chosen))
    if any(each not in actions for each in ids):
        raise ValueError("acceptedSuggestions: not a suggestion of this card")
    return [actions[each] for each in ids] or [None]
