"""What operators have changed at run time: thresholds, models on or off, the kill switch, mutes.

Every worker reads the whole control topic; this is what it holds of it. A snapshot is taken for each batch, so that a
change lies between batches, never inside one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from topics.control import EVERYWHERE, ControlEvent, KillSwitch, ModelSwitch, Mute
from topics.control import Thresholds as UnitThresholds
from workers.alert_policy import DEFAULT, Policy

EFFECTIVE_WITHIN_S: Final = 2.0
"""Promise: from the broker's acknowledgement of a control record until each worker that reaches it has it in the
snapshot of its next batch. The reader's poll returns as soon as there is a record, so it takes
WARDSTREAM_KAFKA_FETCH_WAIT_MS (1 s at most) and what the event loop is busy with; a read that failed is repeated after
0.5 s."""


@dataclass(frozen=True, slots=True)
class Control:
    """What is in force for one batch.

    Attributes:
        offset: Offset of the newest control record applied; None when there was none.
        models_off: Names of models that are switched off.
        kill_switch: Whether all models are off.
        policies: How alerts behave, by unit; EVERYWHERE for the rest.
        mutes: (unit, action id) that must not page.
    """

    offset: int | None = None
    models_off: frozenset[str] = frozenset()
    kill_switch: bool = False
    policies: dict[str, Policy] = field(default_factory=dict)
    mutes: frozenset[tuple[str, str]] = frozenset()

    def policy_of(self, unit: str | None) -> Policy:
        """The alert policy of a ward."""
        return self.policies.get(unit or EVERYWHERE) or self.policies.get(EVERYWHERE) or DEFAULT

    def muted(self, unit: str | None, action_id: str) -> bool:
        """Whether an action must not page on a ward."""
        return bool(self.mutes) and (
            (unit or EVERYWHERE, action_id) in self.mutes or (EVERYWHERE, action_id) in self.mutes
        )


class ControlBoard:
    """The settings read so far, by subject."""

    def __init__(self) -> None:
        self._events: dict[str, ControlEvent] = {}
        self._offset: int | None = None
        self._snapshot: Control | None = None
        self._until_ms: float = 0.0

    def apply(self, subject: str, event: ControlEvent | None, offset: int) -> ControlEvent | None:
        """Apply one record; None (a tombstone) takes the setting back. Returns what was set for the subject before."""
        before = self._events.pop(subject, None)
        if event is not None:
            self._events[subject] = event
        self._offset = offset
        self._snapshot = None
        return before

    def skip(self, offset: int) -> None:
        """Note a record that could not be used: what was in force stays."""
        self._offset = offset
        self._snapshot = None

    def snapshot(self, now_ms: int) -> Control:
        """What is in force now; settings whose time is over have ended."""
        if self._snapshot is None or now_ms >= self._until_ms:
            live = [event for event in self._events.values() if _expiry_ms(event) > now_ms]
            self._until_ms = min((_expiry_ms(event) for event in live), default=float("inf"))
            self._snapshot = _build(live, self._offset)
        return self._snapshot


def _expiry_ms(event: ControlEvent) -> float:
    return float("inf") if event.expires_at is None else event.expires_at.timestamp() * 1000


def _build(events: list[ControlEvent], offset: int | None) -> Control:
    off: set[str] = set()
    kill = False
    changed: defaultdict[str, dict[str, float | int]] = defaultdict(dict)
    mutes: set[tuple[str, str]] = set()
    for event in events:
        setting = event.setting
        if isinstance(setting, ModelSwitch) and not setting.enabled:
            off.add(setting.name)
        elif isinstance(setting, KillSwitch):
            kill = setting.on
        elif isinstance(setting, Mute):
            mutes.add((setting.unit, setting.action_id))
        elif isinstance(setting, UnitThresholds):
            given = setting.model_dump(include={"news2_raise", "news2_clear", "model_raise"}, exclude_none=True)
            changed[setting.unit].update(given)
    everywhere = replace(DEFAULT, **changed.pop(EVERYWHERE, {}))  # type: ignore[arg-type]
    policies = {unit: replace(everywhere, **given) for unit, given in changed.items()}  # type: ignore[arg-type]
    return Control(offset, frozenset(off), kill, {EVERYWHERE: everywhere, **policies}, frozenset(mutes))
