"""What the demonstration has seen so far: the newest result of every patient, and the sums.

Plain state that takes times as arguments; knows no Kafka, no terminal and no clock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

_TIERS: Final = {"critical": 3, "warning": 2, "info": 1}
_LATENCIES_MAX: Final = 20_000
_RATE_WINDOW_S: Final = 5.0

Recommendation = Mapping[str, Any]


@dataclass(slots=True)
class Open:
    """The alert that stands for a patient, as the last raise or update left it."""

    tier: str
    reason: str


@dataclass(slots=True)
class Bed:
    """A patient's newest state on the board."""

    newest: Recommendation
    event_time: datetime
    alert: Open | None = None


@dataclass(slots=True)
class Board:
    """All of it. Times named `now_s` are wall-clock epoch seconds."""

    sent: int = 0
    answered: int = 0
    repeated: int = 0
    answers: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    beds: dict[str, Bed] = field(default_factory=dict)
    ward_time: datetime | None = None
    _sent_at: dict[str, float] = field(default_factory=dict)
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES_MAX))
    _arrivals: deque[float] = field(default_factory=deque)
    _seen: set[str] = field(default_factory=set)

    def note_sent(self, event_id: str | None, ward_time: datetime, now_s: float) -> None:
        """A record has been handed to the producer."""
        self.sent += 1
        if self.ward_time is not None and ward_time < self.ward_time:  # another ward begins: the beds are made anew
            self.beds.clear()
            self._seen.clear()
        self.ward_time = ward_time
        if event_id is not None:
            self._sent_at[event_id] = now_s

    def note_recommendation(self, value: Recommendation, published_s: float, now_s: float) -> None:
        """A recommendation has been read.

        Args:
            value: Its decoded value.
            published_s: Timestamp of its Kafka record, epoch seconds.
            now_s: When it was read.
        """
        if value["recommendation_id"] in self._seen:
            self.repeated += 1
            return
        self._seen.add(value["recommendation_id"])
        self.answered += 1
        self.statuses[value["status"]] += 1
        self._arrivals.append(now_s)
        sent_at = self._sent_at.pop(value["caused_by"]["event_id"], None)
        if sent_at is not None:
            self._latencies_ms.append(max(0.0, (published_s - sent_at) * 1000))
        self._place(value)

    def _place(self, value: Recommendation) -> None:
        """Update the patient's bed. A late event's result describes the patient now, so the last published stands."""
        event_time = datetime.fromisoformat(value["caused_by"]["event_time"])
        bed = self.beds.get(value["patient_id"])
        if bed is None:
            bed = self.beds[value["patient_id"]] = Bed(value, event_time)
        bed.newest, bed.event_time = value, max(bed.event_time, event_time)
        alert = value["alert"]
        self.alerts[alert["state"]] += 1
        if alert["state"] in {"raise", "update"}:
            bed.alert = Open(alert["tier"] or "info", alert["reason"] or "")
        elif alert["state"] == "clear":
            bed.alert = None

    def note_dead_letter(self, reason: str) -> None:
        """A dead letter has been read."""
        self.dead_letters[reason] += 1

    @property
    def unanswered(self) -> int:
        """Records that have neither a recommendation nor a dead letter yet."""
        return max(0, self.sent - self.answered - self.dead_letters.total())

    def rate(self, now_s: float) -> float:
        """Recommendations a second over the last seconds."""
        while self._arrivals and self._arrivals[0] < now_s - _RATE_WINDOW_S:
            self._arrivals.popleft()
        return len(self._arrivals) / _RATE_WINDOW_S

    def latency_ms(self, share: float) -> float | None:
        """A quantile of the time from sending to publishing; None before the first.

        Args:
            share: 0.5 for the median, 0.99 for p99.
        """
        ordered = sorted(self._latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def worst_first(self) -> list[Bed]:
        """Beds by open alert, then NEWS2, then name."""
        return sorted(self.beds.values(), key=_severity)


def _severity(bed: Bed) -> tuple[int, int, str]:
    tier = _TIERS.get(bed.alert.tier, 0) if bed.alert else 0
    low = bed.newest["clinical_scores"]["news2"]["low"]
    return (-tier, -(low if low is not None else 0), str(bed.newest["patient_id"]))
