"""The normalised utility of the PhysioNet/CinC Challenge 2019: what alarms are worth by when they come.

Reyna et al., Crit Care Med 48(2):210-217 (2020), with the constants of the challenge's evaluate_sepsis_score.py. Time
counts in rows, one an hour. 1 is the best that any predictions can reach, 0 is what silence gets; false alarms can go
below 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.training.metrics import Draws
from models.training.sequences import Course

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EARLY_H, OPTIMAL_H, LATE_H = -12, -6, 3
"""From onset: an alarm earns something from EARLY_H on, most at OPTIMAL_H, nothing after LATE_H. Labels turn 1 at
OPTIMAL_H, which is how onset is known."""

MOST: Final = 1.0
"""For an alarm at OPTIMAL_H."""

MISSED: Final = -2.0
"""For no alarm at LATE_H, rising linearly from 0 at OPTIMAL_H."""

FALSE_ALARM: Final = -0.05
"""For an alarm in an hour that is not near an onset."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What each of N hours is worth.

    Attributes:
        alarm: (N,) if there is an alarm.
        silence: (N,) if there is none.
        stay: (N,) number of the stay, from 0.
    """

    alarm: Floats
    silence: Floats
    stay: Ints


def worth(stays: Sequence[NDArray[np.float32]]) -> Worth:
    """Of every hour of stays.

    Args:
        stays: The hourly labels of each, none left out: 1 from six hours before onset on.
    """
    each = [_stay_worth(label) for label in stays]
    return Worth(
        np.concatenate([alarm for alarm, _ in each]),
        np.concatenate([silence for _, silence in each]),
        np.repeat(np.arange(len(stays)), [len(label) for label in stays]),
    )


def _stay_worth(label: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """(T,) with an alarm and (T,) without."""
    silence = np.zeros(len(label))
    if not label.any():
        return np.full(len(label), FALSE_ALARM), silence
    after = np.arange(len(label)) - (int(np.argmax(label)) - OPTIMAL_H)  # hours after onset, negative before
    rising = MOST * (after - EARLY_H) / (OPTIMAL_H - EARLY_H)
    falling = MOST * (LATE_H - after) / (LATE_H - OPTIMAL_H)
    alarm = np.where(after <= OPTIMAL_H, np.maximum(rising, FALSE_ALARM), falling)
    silence = np.where(after <= OPTIMAL_H, 0.0, MISSED * (after - OPTIMAL_H) / (LATE_H - OPTIMAL_H))
    over = after > LATE_H
    return np.where(over, 0.0, alarm), np.where(over, 0.0, silence)


def every_hour(stays: Sequence[Course], risk: Mapping[str, Floats]) -> Floats:
    """Predictions at all N hours of stays: one without an event carries the last, before the first there is 0.

    Args:
        stays: One row an hour.
        risk: By patient, the prediction at each hour with an event, that is with any value.
    """
    none = np.zeros(0)
    return np.concatenate([_carried(stay.values, risk.get(stay.patient_id, none)) for stay in stays])


def _carried(values: NDArray[np.float32], risk: Floats) -> Floats:
    events = np.cumsum(~np.isnan(values).all(1))
    found: Floats = np.concatenate(([0.0], risk))[events]
    return found


def normalised(value: Worth, alarm: NDArray[np.bool_], weight: Floats | None = None) -> float:
    """(observed - silence) / (best - silence); NaN where no stay has an onset.

    Args:
        value: Of N hours.
        alarm: (N,) whether there is one.
        weight: (N,) how often each hour counts, all once where left out.
    """
    times = np.ones(len(alarm)) if weight is None else weight
    gain = times * (value.alarm - value.silence)
    best = gain[gain > 0].sum()
    return float(gain[alarm].sum() / best) if best else float("nan")


def best_threshold(value: Worth, probability: Floats) -> float:
    """The probability from which on an alarm pays most over these hours."""
    levels, place = np.unique(probability, return_inverse=True)
    gain = np.bincount(place, value.alarm - value.silence)
    return float(levels[np.argmax(np.cumsum(gain[::-1])[::-1])])


def interval(value: Worth, alarm: NDArray[np.bool_], *, seed: int = 0) -> list[float | None]:
    """[value, lower, upper] of `normalised`, 95 % by a bootstrap over stays; None where no stay has an onset."""
    return Draws(value.stay.tolist(), seed).figure(lambda times: normalised(value, alarm, times))
