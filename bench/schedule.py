"""The arithmetic of an open-loop load: when each record is due, and what the delays say.

A load generator that waits for answers slows down with the system it measures and never sees the worst (coordinated
omission). Here every send time is fixed before the first record goes out, and a delay counts from that time: a stall
of the sender counts as well as one of the worker. Pure: no clock, no Kafka.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Evenly spaced send times.

    Attributes:
        rate: Records a second.
        seconds: How long records are due, warm-up included.
        warm_up_s: Records due before this are sent and not counted.
    """

    rate: float
    seconds: float
    warm_up_s: float = 0.0

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.seconds <= 0 or not 0 <= self.warm_up_s < self.seconds:
            raise ValueError("rate and seconds are above 0, and the warm-up is shorter than the whole")

    @property
    def count(self) -> int:
        """Records to send."""
        return math.ceil(self.rate * self.seconds - 1e-9)

    @property
    def first(self) -> int:
        """The first record that counts."""
        return math.ceil(self.rate * self.warm_up_s - 1e-9)

    def due_s(self, number: int) -> float:
        """Seconds after the start at which record `number` is due."""
        return number / self.rate

    def due(self, now_s: float) -> int:
        """How many records are due by `now_s` seconds after the start: those numbered below the answer."""
        return min(self.count, max(0, math.floor(now_s * self.rate + 1e-9) + 1)) if now_s >= 0 else 0


@dataclass(frozen=True, slots=True)
class Delays:
    """What was seen of the counted records.

    Attributes:
        sorted_s: Delays from due to received, ascending, seconds; infinite for a record that never came.
        missing: Records that never came.
    """

    sorted_s: Sequence[float]
    missing: int

    def percentile(self, percent: float) -> float:
        """The least delay that `percent` % of the records do not exceed (nearest rank); NaN without records."""
        if not self.sorted_s:
            return math.nan
        rank = max(1, math.ceil(len(self.sorted_s) * percent / 100 - 1e-9))
        return self.sorted_s[rank - 1]


def delays(schedule: Schedule, received_s: Mapping[int, float]) -> Delays:
    """Delays of the counted records.

    Args:
        schedule: When they were due.
        received_s: By record number, seconds after the start of its first result.
    """
    found = [
        received_s.get(number, math.inf) - schedule.due_s(number) for number in range(schedule.first, schedule.count)
    ]
    return Delays(sorted(found), sum(math.isinf(delay) for delay in found))


def steady_rate(times_ms: Sequence[int], skip: float = 0.1) -> float:
    """Results a second, once it runs.

    Results come in bursts, a batch at a time, so the burst with which counting begins does not count itself: only what
    is later than the first `skip` of all results counts, over the time since then. NaN where nothing is later.

    Args:
        times_ms: When each result was made, in any order, milliseconds.
        skip: Share of results before counting begins.
    """
    ordered = sorted(times_ms)
    if not ordered:
        return math.nan
    begin = ordered[int(len(ordered) * skip)]
    later = len(ordered) - bisect_right(ordered, begin)
    return later / (ordered[-1] - begin) * 1000 if later else math.nan


def growth_per_million(samples: Sequence[tuple[int, int]]) -> float:
    """Bytes that one million records more would add, by least squares over (records, bytes).

    0 where fewer than two counts differ.
    """
    if len({records for records, _ in samples}) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 1e6 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
