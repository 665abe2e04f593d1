"""What operators have changed at run time: alert policies, models, mutes, and decisions about single patients.

Every worker reads the whole control topic; this is what it holds of it. A snapshot is taken for each batch, so that a
change lies between batches, never inside one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from topics.control import ControlEvent
from topics.control_settings import (
    EVERYWHERE,
    KillSwitch,
    ModelSwitch,
    Mute,
    PatientLimits,
    RulesOnly,
    Thresholds,
    TierMinutes,
    WardPolicy,
)
from workers.alert_policy import DEFAULT, MINUTE_MS, Policy, QuietHours, Tier

EFFECTIVE_WITHIN_S: Final = 2.0
"""Promise: from the broker's acknowledgement of a control record until each worker that reaches it has it in the
snapshot of its next batch. The reader's poll returns as soon as there is a record, so it takes
WARDSTREAM_KAFKA_FETCH_WAIT_MS (1 s at most) and what the event loop is busy with; a read that failed is repeated after
0.5 s."""

PROMOTED_WITHIN_S: Final = 10.0
"""Promise: from the broker's acknowledgement of a control record that names a version, which lies whole in the models
folder of the worker, until the worker's batches use it: the bound of control, and what loading takes."""


@dataclass(frozen=True, slots=True)
class Control:
    """What is in force for one batch.

    Attributes:
        offset: Offset of the newest control record applied; None when there was none.
        models_off: Names of models that are switched off.
        kill_switch: Whether all models are off.
        rules_only: Units that are decided without models; EVERYWHERE for all.
        switches: What was set for a model, by its name.
        policies: How alerts behave, by unit; EVERYWHERE for the rest.
        mutes: (unit, action id) that must not page.
        limits: What was decided for single patients, by HMAC.
    """

    offset: int | None = None
    models_off: frozenset[str] = frozenset()
    kill_switch: bool = False
    rules_only: frozenset[str] = frozenset()
    switches: Mapping[str, ModelSwitch] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    mutes: frozenset[tuple[str, str]] = frozenset()
    limits: Mapping[bytes, PatientLimits] = field(default_factory=dict)

    def policy_of(self, unit: str | None) -> Policy:
        """The alert policy of a ward."""
        return self.policies.get(unit or EVERYWHERE) or self.policies.get(EVERYWHERE) or DEFAULT

    def policy_unit(self, unit: str | None) -> str:
        """Whose policy a ward has: its own, or that of everywhere."""
        return unit if unit is not None and unit in self.policies else EVERYWHERE

    def muted(self, unit: str | None, action_id: str) -> bool:
        """Whether an action must not page on a ward."""
        return bool(self.mutes) and (
            (unit or EVERYWHERE, action_id) in self.mutes or (EVERYWHERE, action_id) in self.mutes
        )

    def without_models(self, unit: str | None) -> bool:
        """Whether a ward is decided by rules alone."""
        return bool(self.rules_only) and (EVERYWHERE in self.rules_only or unit in self.rules_only)


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
    switches: dict[str, ModelSwitch] = {}
    kill = False
    mutes: set[tuple[str, str]] = set()
    rules: set[str] = set()
    limits: dict[bytes, PatientLimits] = {}
    changed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for event in events:
        match event.setting:
            case ModelSwitch() as switch:
                switches[switch.name] = switch
            case KillSwitch() as switch:
                kill = switch.on
            case RulesOnly(unit=unit, on=True):
                rules.add(unit)
            case Mute() as mute:
                mutes.add((mute.unit, mute.action_id))
            case PatientLimits() as decided:
                limits[bytes.fromhex(decided.patient)] = decided
            case Thresholds() as lines:
                changed[lines.unit] |= lines.model_dump(exclude={"kind", "unit"}, exclude_none=True)
            case WardPolicy() as behaviour:
                changed[behaviour.unit] |= _behaviour(behaviour)
    off = frozenset(name for name, switch in switches.items() if not switch.enabled)
    return Control(
        offset, off, kill, frozenset(rules), MappingProxyType(switches), _policies(changed), frozenset(mutes),
        MappingProxyType(limits),
    )  # fmt: skip


def _policies(changed: Mapping[str, dict[str, Any]]) -> Mapping[str, Policy]:
    """By unit: what was set for it, over what was set for everywhere, over the defaults."""
    everywhere = _over(DEFAULT, changed.get(EVERYWHERE, {}))
    own = {unit: _over(everywhere, given) for unit, given in changed.items() if unit != EVERYWHERE}
    return MappingProxyType({EVERYWHERE: everywhere, **own})


def _over(base: Policy, given: Mapping[str, Any]) -> Policy:
    """A policy with some fields changed; what is given by tier leaves the other tiers as they were."""
    tiers = {
        name: MappingProxyType({**getattr(base, name), **given[name]}) for name in _BY_TIER if name in given
    }  # fmt: skip
    return replace(base, **{**given, **tiers})


_BY_TIER: Final = ("refractory_ms", "snooze_ms")


def _behaviour(setting: WardPolicy) -> dict[str, Any]:
    """Fields of Policy that a setting names."""
    quiet = setting.quiet_minutes
    found: dict[str, Any] = {
        "quiet_hours": None if quiet is None else QuietHours(*quiet),
        "confirm_scores": setting.confirm_scores,
        "confirm_ms": _ms(setting.confirm_minutes),
        "hold_ms": _ms(setting.hold_minutes),
        "refractory_ms": _by_tier(setting.refractory_minutes),
        "snooze_ms": _by_tier(setting.snooze_max_minutes),
        "uncharted": None if setting.uncharted is None else frozenset(setting.uncharted),
        "budget": setting.budget_per_100_patient_days,
    }
    return {name: value for name, value in found.items() if value is not None}


def _ms(minutes: int | None) -> int | None:
    return None if minutes is None else minutes * MINUTE_MS


def _by_tier(minutes: TierMinutes) -> dict[Tier, int] | None:
    given = minutes.model_dump(exclude_none=True)
    return {Tier[name.upper()]: count * MINUTE_MS for name, count in given.items()} or None
