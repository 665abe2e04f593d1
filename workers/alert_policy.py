"""How alerts behave on one ward: when they begin and end, what waits, and for how long.

Every number is a starting value of policy, not evidence, unless a source is named; operators change them by control
events. Benchmarks: NEWS2 makes 1.9 to 5.5 alerts per 100 patient-days in eleven Australian hospitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

MINUTE_MS: Final = 60_000


class Tier(IntEnum):
    """How urgent an alert is; the order matters."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


ACK_MINUTES: Final = {Tier.INFO: 240, Tier.WARNING: 60, Tier.CRITICAL: 15}
"""Minutes in which somebody should have acknowledged: NEWS2's response times for 1-4, 5-6; 15 for 7 and more."""

ESCALATION: Final = ((15, "charge nurse"), (30, "registrar or critical care outreach"))
"""Minutes after which a critical alert that nobody acknowledged goes to whom besides."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The night of a ward: info alerts wait until it is over.

    Attributes:
        start: Minute of the local day at which it begins, 0 to 1439.
        end: Minute at which it ends; before `start` where midnight lies between.
        zone: IANA name of the ward's time zone.
    """

    start: int
    end: int
    zone: str

    def cover(self, ms: int) -> bool:
        """Whether the moment, epoch milliseconds, lies within."""
        local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def _by_tier(info: int, warning: int, critical: int) -> Mapping[Tier, int]:
    minutes = {Tier.NONE: 0, Tier.INFO: info, Tier.WARNING: warning, Tier.CRITICAL: critical}
    return MappingProxyType({tier: count * MINUTE_MS for tier, count in minutes.items()})


@dataclass(frozen=True, slots=True)
class Policy:
    """The alert policy of a ward.

    Attributes:
        news2_raise: NEWS2 at which a warning is raised (RCP: 5, urgent response).
        news2_critical: NEWS2 at which it is critical (RCP: 7, emergency response).
        news2_clear: An alert clears when the highest possible NEWS2 lies below this.
        news2_info: NEWS2 at which an info alert is raised; None for no such alerts.
        model_raise: Fused risk probability that raises a warning by itself, once confirmed. The default is the lowest
            of a grid at which the shipped models add at most 1 % to the alerts that NEWS2 tells, on the stays of
            PhysioNet 2019 that thresholds are chosen on (docs/policy.md).
        confirm_scores: How many of the last three scores must reach `model_raise`.
        confirm_ms: Or for how long all scores must have reached it.
        hold_ms: For how long a patient must be better before it counts: to clear, and to be told anew of a relapse.
        refractory_ms: By the tier told: for how long the same, or less, is not told again.
        snooze_ms: By tier: the longest snooze.
        quiet_hours: When info alerts wait; None for never.
        uncharted: NEWS2 parameters that the ward never charts: missing, they do not keep an alert from clearing.
        budget: Alerts told per 100 patient-days that the ward means to stay below. It is measured, and holds no alert.
    """

    news2_raise: int = 5
    news2_critical: int = 7
    news2_clear: int = 4
    news2_info: int | None = None
    model_raise: float = 0.05
    confirm_scores: int = 2
    confirm_ms: int = 10 * MINUTE_MS
    hold_ms: int = 60 * MINUTE_MS
    refractory_ms: Mapping[Tier, int] = field(default_factory=lambda: _by_tier(720, 240, 60))
    snooze_ms: Mapping[Tier, int] = field(default_factory=lambda: _by_tier(720, 240, 60))
    quiet_hours: QuietHours | None = None
    uncharted: frozenset[str] = frozenset()
    budget: float | None = None

    @property
    def model_clear(self) -> float:
        """Risk below which an alert that only a model raised may clear: hysteresis, four fifths of the raising one."""
        return 0.8 * self.model_raise


DEFAULT: Final = Policy()
