"""What a clinician's answer does, at once: to the patient's alert, and to the action that it is about.

An answer is an input like any other: it is recognised when it comes again, it may be corrected or taken back, and it
ends as applied. Nothing is published for it; the patient's next result shows what it did. No model sees it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.clinical.actions import Catalogue
from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS, Effect
from topics.reasons import Reason
from workers import holds, revisions
from workers.alert_policy import MINUTE_MS, Tier
from workers.alerting import Alerting
from workers.alerts import AlertState, Answer
from workers.context import Contexts
from workers.control import Control
from workers.holds import Hold
from workers.identity import encounter_digest
from workers.records import Applied, Duplicate, Record, Refused, conflicting
from workers.seen import Outcome, recognise, remember

_LEAST_DONE_MINUTES: Final = 60  # policy: what was done is not asked for again within the hour


class Feedback:
    """Applies answers to contexts.

    Args:
        catalogue: Care actions.
        alerting: The alerts of the same contexts.
    """

    def __init__(self, catalogue: Catalogue, alerting: Alerting) -> None:
        self._index: Final = catalogue.index
        self._due_ms: Final = [
            max(_LEAST_DONE_MINUTES, action.target_minutes) * MINUTE_MS for action in catalogue.actions
        ]
        self._alerting = alerting

    def apply(self, contexts: Contexts, slot: int, record: Record, control: Control) -> Applied | Duplicate | Refused:
        """Apply one answer to the patient in `contexts[slot]`.

        Returns:
            What became of it; refused where it names an action that does not exist, or puts a critical alert off
            without saying why.
        """
        event = record.event
        assert isinstance(event, FeedbackEvent)
        one = contexts[slot : slot + 1]
        ids, content = np.array([record.id64], np.uint64), np.array([record.content64], np.uint64)
        seen = recognise(one, ids, content, np.zeros((1, 1), np.uint64))
        if seen[0] == Outcome.DUPLICATE:
            return Duplicate(record)
        if seen[0] == Outcome.CONFLICT:
            return conflicting(record)
        if event.action_id is not None and event.action_id not in self._index:
            return Refused(record.source, Reason.ACTION_UNKNOWN, "action_id is not in the catalogue")
        before, effect = self._alerting.current(contexts["alert"], slot), "superseded"
        if seen[0] == Outcome.APPLIED:
            if _unreasoned(event, before):
                return Refused(
                    record.source, Reason.SNOOZE_UNREASONED, "a critical alert is put off only with a reason"
                )
            effect = self._answer(contexts, slot, record, event, control)
        remember(one, ids, content, seen)
        waited_s = max(0, record.event_ms - before.told_ms) / 1000 if effect in _ANSWERED else None
        return Applied(record, event.outcome, effect, event.override_reason, before.tier, waited_s)

    def _answer(self, contexts: Contexts, slot: int, record: Record, event: FeedbackEvent, control: Control) -> str:
        stored = contexts["alert"]
        if record.replaces64:
            self._alerting.take_back(stored, slot, record.replaces64)
            holds.forget(contexts[slot], record.replaces64)
            revisions.forestall(contexts[slot], record.replaces64)
        if event.status == "entered-in-error":
            return "taken_back"
        about = -1 if event.action_id is None else self._index[event.action_id]
        override = "none" if event.override_reason is None else OVERRIDE_REASONS[event.override_reason].effect
        answer = Answer(
            event.outcome, record.event_ms, _uuid_bytes(event.alert_id), about,
            None if event.snooze_minutes is None else event.snooze_minutes * MINUTE_MS,
            override if event.outcome == "overridden" else "none", record.id64,
        )  # fmt: skip
        before, effect = self._alerting.respond(stored, slot, answer, control.policy_of(event.unit))
        if event.outcome == "overridden" and override in holds.KIND_OF:
            meant = about if about >= 0 else before.action if effect in _ANSWERED else -1
            if meant >= 0:
                holds.note(contexts[slot], self._hold(meant, override, record, event))
        return effect

    def _hold(self, action: int, override: Effect, record: Record, event: FeedbackEvent) -> Hold:
        kind = holds.KIND_OF[override]
        lasts_ms = self._due_ms[action] if kind is holds.Kind.DONE else holds.ENCOUNTER_MS
        encounter = 0 if kind is holds.Kind.DONE else encounter_digest(event.encounter_id)
        return Hold(action, kind, record.event_ms + lasts_ms, encounter, record.id64)


_ANSWERED: Final = frozenset({"acknowledged", "snoozed", "rerouted"})


def _unreasoned(event: FeedbackEvent, alert: AlertState) -> bool:
    return (
        event.outcome == "snoozed"
        and event.override_reason is None
        and event.status != "entered-in-error"
        and alert.standing
        and alert.tier is Tier.CRITICAL
    )


def _uuid_bytes(alert_id: str | None) -> bytes | None:
    """The 16 bytes of an alert's id; bytes that no alert has where it is no UUID."""
    if alert_id is None:
        return None
    try:
        return bytes.fromhex(alert_id.replace("-", ""))
    except ValueError:
        return b""
