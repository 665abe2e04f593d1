"""How much each section does: one knob scales counts and seconds together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

Progress = Callable[[str], None]
"""Told what happens now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Amounts of a run; at scale 1 the whole takes some six minutes on two cores.

    Attributes:
        null_records: For our parts, section `null`.
        null_faust_records: For the stock agent, which is slower.
        repeats: Runs of each contender, and of each offline measurement; the best counts.
        vitals_records: Section `vitals`.
        patients: Whose they are.
        note_records: Section `models`.
        image_records: Section `models`.
        stage_rounds: Repeats of a stage on a batch of 256; the best counts.
        latency_s: Seconds of load in section `latency`, warm-up included.
        warm_up_s: Of these, not counted.
        memory_records: Section `memory`.
        rate: Records a second in section `latency`; half of the measured throughput when None.
    """

    null_records: int
    null_faust_records: int
    repeats: int
    vitals_records: int
    patients: int
    note_records: int
    image_records: int
    stage_rounds: int
    latency_s: float
    warm_up_s: float
    memory_records: int
    rate: float | None = None

    @classmethod
    def scaled(cls, scale: float, *, memory_records: int, rate: float | None = None) -> Self:
        """The standard plan, all amounts but `memory_records` times `scale`.

        Raises:
            ValueError: The scale is not above 0.
        """
        if scale <= 0:
            raise ValueError("--scale must be above 0")

        def times(amount: int, least: int) -> int:
            return max(least, round(amount * scale))

        return cls(
            null_records=times(200_000, 5_000),
            null_faust_records=min(times(30_000, 2_000), times(200_000, 5_000)),
            repeats=3 if scale >= 0.5 else 1,
            vitals_records=times(40_000, 2_000),
            patients=times(2_000, 500),
            note_records=times(4_000, 200),
            image_records=times(400, 24),
            stage_rounds=times(30, 5),
            latency_s=max(5.0, 30.0 * scale),
            warm_up_s=max(1.0, 3.0 * min(scale, 2.0)),
            memory_records=memory_records,
            rate=rate,
        )
