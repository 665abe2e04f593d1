"""Held-out figures with 95 % intervals from a bootstrap over patients.

Rows of one patient are drawn together, because they are not independent: an interval over rows would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.float64] | NDArray[np.float32]
Metric = Callable[[Array, Array, Array], float]

REPEATS: Final = 200
"""Bootstrap samples."""

_BINS = 15


def auroc(label: Array, score: Array, weight: Array) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN without both classes."""
    order = np.argsort(score, kind="stable")
    first = _first_of_ties(score[order])
    positive = np.add.reduceat((weight * label)[order], first)
    negative = np.add.reduceat((weight * (1 - label))[order], first)
    below = np.cumsum(negative) - negative
    total = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / total) if total else float("nan")


def auprc(label: Array, score: Array, weight: Array) -> float:
    """Average precision: the mean precision at the rank of each positive; NaN without positives."""
    order = np.argsort(-score, kind="stable")
    first = _first_of_ties(score[order])
    positive = np.add.reduceat((weight * label)[order], first)
    every = np.add.reduceat(weight[order], first)
    total = positive.sum()
    reached = np.cumsum(every)
    precision = np.divide(np.cumsum(positive), reached, out=np.zeros_like(reached), where=reached > 0)
    return float((positive * precision).sum() / total) if total else float("nan")


def brier(label: Array, probability: Array, weight: Array) -> float:
    """Mean squared error of the probability."""
    return float(np.average((probability - label) ** 2, weights=weight))


def calibration_error(label: Array, probability: Array, weight: Array) -> float:
    """Expected calibration error: mean |observed - predicted| over 15 bins of equal size by predicted probability."""
    edges = np.quantile(probability, np.linspace(0, 1, _BINS + 1)[1:-1])
    chosen = np.searchsorted(edges, probability, side="right")
    gap = np.bincount(chosen, weight * (label - probability), _BINS)
    return float(np.abs(gap).sum() / weight.sum())


def event_1(label: Array, probability: Array, weight: Array) -> float:
    """The best minimum of sensitivity and positive predictive value (PhysioNet/CinC Challenge 2012, event 1)."""
    order = np.argsort(-probability, kind="stable")
    first = _first_of_ties(probability[order])
    hits = np.cumsum(np.add.reduceat((weight * label)[order], first))
    flagged = np.cumsum(np.add.reduceat(weight[order], first))
    if not hits[-1]:
        return float("nan")
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return float(np.minimum(hits / hits[-1], precision).max())


def _first_of_ties(ordered: Array) -> NDArray[np.int64]:
    """Where each run of equal scores begins."""
    return np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


METRICS: Final[dict[str, Metric]] = {
    "auroc": auroc,
    "auprc": auprc,
    "brier": brier,
    "ece": calibration_error,
}

_BLIND_TO_ORDER: Final = frozenset((auroc, auprc, brier, calibration_error, event_1))
"""Metrics that give the same for rows in any order."""


def rounded(value: float) -> float | None:
    """Four digits; None for NaN, which JSON lacks."""
    return None if np.isnan(value) else round(float(value), 4)


def report(label: Numbers, probability: Numbers, group: Sequence[str], *, seed: int = 0) -> dict[str, object]:
    """All figures of one label.

    Args:
        label: (N,) 0 or 1.
        probability: (N,) calibrated.
        group: (N,) patient of each row.
        seed: Of the bootstrap.

    Returns:
        For each metric [value, lower, upper], and rows, patients, positives; None where a metric is not defined.
    """
    return Draws(group, seed).report(label, probability)


class Draws:
    """Bootstrap samples of patients, drawn once and used for every figure.

    Args:
        group: (N,) patient of each row, or the number of the stay.
        seed: Of the drawing.
    """

    def __init__(self, group: Sequence[str] | Sequence[int], seed: int = 0) -> None:
        names, self._member = np.unique(np.asarray(group), return_inverse=True)
        self.patients = len(names)
        random = np.random.default_rng(seed)
        self._draws = [
            np.bincount(random.integers(len(names), size=len(names)), minlength=len(names)) for _ in range(REPEATS)
        ]

    def report(self, label: Numbers, probability: Numbers) -> dict[str, object]:
        """See the function of this name."""
        figures: dict[str, object] = {
            name: self.interval(metric, label, probability) for name, metric in METRICS.items()
        }
        return figures | {"rows": len(label), "patients": self.patients, "positives": int(np.asarray(label).sum())}

    def interval(self, metric: Metric, label: Numbers, score: Numbers) -> list[float | None]:
        """[value, lower, upper] of a metric."""
        return _range(self._each(metric, label, score))

    def difference(self, metric: Metric, label: Numbers, score: Numbers, other: Numbers) -> list[float | None]:
        """[value, lower, upper] of a metric of `score` less that of `other`, on the same rows of each sample."""
        return _range(self._each(metric, label, score) - self._each(metric, label, other))

    def mean(self, value: Numbers) -> list[float | None]:
        """[value, lower, upper] of the mean of (N,) numbers."""
        return self.ratio(value, np.ones(len(value)))

    def ratio(self, part: Numbers, whole: Numbers) -> list[float | None]:
        """[value, lower, upper] of the sum of `part` (N,) over that of `whole` (N,), none of it negative; a share."""
        parts, wholes = (np.bincount(self._member, np.asarray(one, np.float64)) for one in (part, whole))
        times = np.vstack([np.ones(self.patients), *self._draws])
        below = times @ wholes
        return _range(np.divide(times @ parts, below, out=np.full(len(times), np.nan), where=below > 0))

    def figure(self, of: Callable[[Array], float]) -> list[float | None]:
        """[value, lower, upper] of any figure made from how often each row is taken, (N,) whole numbers."""
        drawn = (draw[self._member].astype(np.float64) for draw in self._draws)
        return _range(np.array([of(np.ones(len(self._member))), *(of(times) for times in drawn)]))

    def _each(self, metric: Metric, label: Numbers, score: Numbers) -> Array:
        """A metric of all rows, then of each sample."""
        truth, scores, member = np.asarray(label, np.float64), np.asarray(score, np.float64), self._member
        if metric in _BLIND_TO_ORDER:  # which then sort once more, but what is sorted is quick to sort
            order = np.argsort(scores, kind="stable")
            truth, scores, member = truth[order], scores[order], member[order]
        found = [metric(truth, scores, draw[member].astype(np.float64)) for draw in self._draws]
        return np.array([metric(truth, scores, np.ones_like(truth)), *found])


def _range(found: Array) -> list[float | None]:
    """The first, and the middle 95 % of the others that are defined."""
    defined = found[1:][~np.isnan(found[1:])]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
    return [rounded(x) for x in (found[0], low, high)]


def interval(
    metric: Metric, label: Numbers, score: Numbers, group: Sequence[str], *, seed: int = 0
) -> list[float | None]:
    """[value, lower, upper] of one metric; arguments as for `report`."""
    return Draws(group, seed).interval(metric, label, score)
