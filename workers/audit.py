"""The audit of control: what one control record changed, and which changes are still to be written.

Every worker reads the whole control topic, and any of them may write a change down. The trail keeps them from all
doing it: a change is held back for a delay that differs from worker to worker, and dropped when another's record of it
is seen first. What was written before this worker started is seen too, so a restart writes nothing twice. Two workers
may still be too quick for each other; readers tell by `audit_id`. Knows no clock and no Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from topics.audit import AuditEvent
from topics.control import ControlEvent, Reasoning
from topics.control_settings import SUBJECT
from topics.events import Identifier
from workers.control_record import Change

_IDENTIFIER: Final[TypeAdapter[str]] = TypeAdapter(Identifier)
_LATEST_MS: Final = 253_402_300_799_000  # 9999-12-31; timestamps are the producer's, and may be anything
_REASONING: Final[TypeAdapter[str]] = TypeAdapter(Reasoning)


def audit_event(change: Change, before: ControlEvent | None) -> AuditEvent:
    """What goes into the audit topic about a record.

    Nothing of a record that cannot be used is repeated but its key, and that only where it has the form of a subject:
    a record that came to the control topic by mistake may be about a patient.

    Args:
        change: The record.
        before: What was set for its subject before; no matter for one that is refused.
    """
    written_at = datetime.fromtimestamp(min(max(change.timestamp_ms, 0), _LATEST_MS) / 1000, UTC)
    event, refusal = change.event, change.refusal
    if before is not None and before.expires_at is not None and before.expires_at <= written_at:
        before = None  # it had ended by itself
    return AuditEvent(
        audit_id=f"control/{change.partition}/{change.offset}/{change.timestamp_ms}",
        control_offset=change.offset,
        written_at=written_at,
        subject=change.subject if SUBJECT.fullmatch(change.subject) else None,
        outcome="refused" if refusal else "taken_back" if event is None else "set",
        before=None if before is None or refusal else before.setting,
        after=None if event is None else event.setting,
        actor=_usable(_IDENTIFIER, change.actor) if event is None else event.actor,
        reason=_usable(_REASONING, change.reason) if event is None else event.reason,
        expires_at=None if event is None else event.expires_at,
        refusal=None if refusal is None else refusal.reason,
        detail=None if refusal is None else refusal.detail[:500],
    )


def _usable(kind: TypeAdapter[str], text: str | None) -> str | None:
    """The text of a header, if it is one that an event could say."""
    try:
        return None if text is None else kind.validate_python(text)
    except ValidationError:
        return None


class AuditTrail:
    """Which changes are still to be written.

    Args:
        delay_s: How long a change is held back for another worker to write it. The same for every change, so that a
            worker writes them in order.
    """

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._seen: set[str] = set()
        self._waiting: dict[str, tuple[float, AuditEvent]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, event: AuditEvent, now_s: float) -> None:
        """A control record has been read."""
        if event.audit_id not in self._seen:
            self._waiting[event.audit_id] = (now_s + self._delay_s, event)

    def seen(self, audit_id: str) -> None:
        """The audit topic holds this one, whoever wrote it."""
        self._seen.add(audit_id)
        self._waiting.pop(audit_id, None)

    def due(self, now_s: float) -> Sequence[AuditEvent]:
        """What nobody else has written in time, in the order of the control topic."""
        return [event for due_s, event in self._waiting.values() if due_s <= now_s]
