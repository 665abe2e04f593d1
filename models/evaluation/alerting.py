"""What a policy of alerts is worth: how many go out, how many are right, how early the first right one comes.

Everything is of stays whose onset of sepsis is known afterwards. The words are defined here once:

- An alert is **told** when it is raised or updated: both interrupt somebody.
- **Onset** is six hours after the label turns 1, as the labels of PhysioNet 2019 are made.
- A told alert is **true** when onset lies at most `AHEAD_H` hours ahead, or was at most `BEHIND_H` hours ago. 48 hours
  is how far before suspected infection Sepsis-3 looks for organ dysfunction (Seymour et al., JAMA 315(8):762-774,
  2016); three hours is when an alarm stops earning anything in the 2019 challenge (Reyna et al., Crit Care Med
  48(2):210-217, 2020), whose twelve hours ahead (`NEAR_H`) are shown beside.
- A septic stay is **found** when an alert is told at most `AHEAD_H` hours before onset and not after it.
- **Lead time** runs from the first alert that found the stay to onset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.utility import EARLY_H, LATE_H, OPTIMAL_H
from models.training.metrics import Draws
from models.training.sequences import Course

Floats = NDArray[np.float64]

AHEAD_H: Final = 48.0
NEAR_H: Final = float(-EARLY_H)
BEHIND_H: Final = float(LATE_H)

_HOURS_A_DAY: Final = 24
_QUARTILES: Final = (0.25, 0.75)


@dataclass(frozen=True, slots=True)
class Told:
    """What a policy told about one stay; hours are those of the stay.

    Attributes:
        raised_h: When alerts were raised, ascending.
        told_h: When alerts were raised or updated, ascending.
        reached: Events at which a tier was reached.
        suppressed: Those of them at which nothing went out, because it had been told already.
    """

    raised_h: Sequence[float]
    told_h: Sequence[float]
    reached: int
    suppressed: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The same of N stays, one row each, with what came about.

    Attributes:
        days: (N,) patient-days.
        septic: (N,) 1 where there is an onset.
        raised: (N,) alerts raised.
        told: (N,) alerts raised or updated.
        raised_true: (N,) of `raised`.
        told_true: (N,) of `told`.
        found: (N,) 1 where the stay is septic and found.
        lead_h: (N,) hours; NaN where not found.
        first_h: (N,) hours from the first row to the first alert; NaN without any.
        reached: (N,) events that reached a tier.
        suppressed: (N,) of `reached`.
    """

    days: Floats
    septic: Floats
    raised: Floats
    told: Floats
    raised_true: Floats
    told_true: Floats
    found: Floats
    lead_h: Floats
    first_h: Floats
    reached: Floats
    suppressed: Floats


def onset_h(stay: Course) -> float:
    """Hour of onset; NaN for a stay without. A label that is 1 from the first row on puts it too late by up to 3 h."""
    return float(stay.time_h[np.argmax(stay.label)]) - OPTIMAL_H if stay.label.any() else float("nan")


def counts(stays: Sequence[Course], told: Sequence[Told], ahead_h: float = AHEAD_H) -> Counts:
    """Count what was told of each stay.

    Args:
        stays: One row an hour.
        told: Of each of them.
        ahead_h: How far ahead onset may lie.
    """
    rows = [_row(stay, one, ahead_h) for stay, one in zip(stays, told, strict=True)]
    return Counts(*np.array(rows, np.float64).reshape(len(rows), 11).T)


def _row(stay: Course, told: Told, ahead_h: float) -> tuple[float, ...]:
    """In the order of the attributes of Counts."""
    onset = onset_h(stay)
    leads = [onset - hour for hour in told.told_h]  # NaN without onset, which compares as False
    before = [lead for lead in leads if 0 <= lead <= ahead_h]
    return (
        len(stay.time_h) / _HOURS_A_DAY,
        not np.isnan(onset),
        len(told.raised_h),
        len(told.told_h),
        sum(-BEHIND_H <= onset - hour <= ahead_h for hour in told.raised_h),
        sum(-BEHIND_H <= lead <= ahead_h for lead in leads),
        bool(before),
        before[0] if before else np.nan,
        told.told_h[0] - float(stay.time_h[0]) if told.told_h else np.nan,
        told.reached,
        told.suppressed,
    )


def sensitivity(made: Counts) -> float:
    """Share of septic stays that are found; NaN without any."""
    return float(made.found.sum() / made.septic.sum()) if made.septic.any() else float("nan")


def burden(made: Counts) -> float:
    """Alerts told per 100 patient-days."""
    return float(100 * made.told.sum() / made.days.sum())


def alert_figures(made: Counts, near: Counts, draws: Draws) -> dict[str, object]:
    """How many alerts and how many are right, each [value, lower, upper].

    Args:
        made: Counted with AHEAD_H.
        near: The same alerts counted with NEAR_H.
        draws: Of the patients of the rows.
    """
    hundred = made.days / 100
    return {
        "raised /100 days": draws.ratio(made.raised, hundred),
        "told /100 days": draws.ratio(made.told, hundred),
        "PPV raised": draws.ratio(made.raised_true, made.raised),
        "PPV told": draws.ratio(made.told_true, made.told),
        "sensitivity": draws.ratio(made.found, made.septic),
        "PPV told, 12 h": draws.ratio(near.told_true, near.told),
        "sensitivity, 12 h": draws.ratio(near.found, near.septic),
    }


def time_figures(made: Counts, draws: Draws) -> dict[str, object]:
    """When alerts come and how many are held back; hours as median [value, lower, upper] and quartiles."""
    return {
        "lead h, median": draws.figure(lambda times: median(made.lead_h, times)),
        "lead h, quartiles": _quartiles(made.lead_h),
        "first alert h, median": draws.figure(lambda times: median(made.first_h, times)),
        "first alert h, quartiles": _quartiles(made.first_h),
        "stays with an alert": draws.mean((made.told > 0).astype(np.float64)),
        "suppressed": draws.ratio(made.suppressed, made.reached),
    }


def beside(made: Counts, other: Counts, draws: Draws) -> dict[str, object]:
    """`made` beside `other` on the same drawn patients: share of its alerts, and sensitivity and lead time less its."""
    return {
        "alerts told, as share of the other's": draws.ratio(made.told, other.told),
        "alerts raised, as share of the other's": draws.ratio(made.raised, other.raised),
        "sensitivity ahead by": draws.figure(lambda times: _share(made, times) - _share(other, times)),
        "median lead longer by, h": draws.figure(
            lambda times: median(made.lead_h, times) - median(other.lead_h, times)
        ),
    }


def _share(made: Counts, times: Floats) -> float:
    septic = float(times @ made.septic)
    return float(times @ made.found) / septic if septic else float("nan")


def median(value: Floats, times: Floats) -> float:
    """Of (N,) values, each taken so many times; NaN is left out, and comes out where nothing else is."""
    known = np.repeat(value, times.astype(np.intp))
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else float("nan")


def _quartiles(value: Floats) -> str | None:
    known = value[~np.isnan(value)]
    if not len(known):
        return None
    low, high = np.quantile(known, _QUARTILES)
    return f"{low:.1f} to {high:.1f}"
