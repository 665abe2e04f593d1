"""Figures of notes that are no yes-or-no question: one class of several, several labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.conformal import NO, YES, answers, certain
from models.training.metrics import Array, Draws, auprc, auroc, rounded

Floats = NDArray[np.float64]


class Organs(NamedTuple):
    """Which of the specialties name an organ system.

    Attributes:
        systems: All that do.
        classes: Those among them that are frequent enough to be judged as one of several classes.
    """

    systems: Sequence[str]
    classes: Sequence[str]

    def single(self, specialties: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that carry exactly one organ system, one of the classes, and the number of it."""
        own = [[name for name in dict.fromkeys(of) if name in self.systems] for of in specialties]
        rows = [row for row, names in enumerate(own) if len(names) == 1 and names[0] in self.classes]
        numbers = [list(self.classes).index(own[row][0]) for row in rows]
        return np.array(rows, np.int64), np.array(numbers, np.int64)

    def chosen(self, probability: Floats, labels: Sequence[str]) -> NDArray[np.int64]:
        """The class of highest probability: (N, L) in the order of `labels`; one that is no label is never chosen."""
        columns = np.full((len(probability), len(self.classes)), -1.0)
        for number, name in enumerate(self.classes):
            if name in labels:
                columns[:, number] = probability[:, list(labels).index(name)]
        return np.asarray(columns.argmax(1), np.int64)


def _f1(hit: Array, said: Array, real: Array) -> Array:
    """Twice the hits over what was said and what is real; NaN where there is neither."""
    both = said + real
    return np.divide(2 * hit, both, out=np.full_like(both, np.nan), where=both > 0)


def _each_f1(truth: NDArray[np.int64], said: NDArray[np.int64], weight: Array) -> Array:
    """F1 by class number; NaN where the class does not stand in `truth`."""
    classes = int(max(truth.max(), said.max())) + 1
    real = np.bincount(truth, weight, classes).astype(float)
    hit = np.bincount(truth, weight * (truth == said), classes).astype(float)
    return np.where(real > 0, _f1(hit, np.bincount(said, weight, classes).astype(float), real), np.nan)


def _mean(values: Array) -> float:
    """Of those that are defined; NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def accuracy(truth: Array, said: Array, weight: Array) -> float:
    """Share of rows whose class number is the right one."""
    return float((weight * (truth == said)).sum() / weight.sum())


def macro_f1(truth: Array, said: Array, weight: Array) -> float:
    """Mean F1 of the classes that stand in `truth`; arguments are class numbers."""
    return _mean(_each_f1(truth.astype(int), said.astype(int), weight))


def one_of(
    truth: NDArray[np.int64], said: NDArray[np.int64], draws: Draws, classes: Sequence[str]
) -> dict[str, object]:
    """Accuracy and macro-F1 with intervals, and the F1 of each class.

    Args:
        truth: (N,) class numbers.
        said: (N,) class numbers.
        draws: Of the rows.
        classes: Names by number.
    """
    t, s = truth.astype(float), said.astype(float)
    each, real = _each_f1(truth, said, np.ones(len(t))), np.bincount(truth, minlength=len(classes))
    return {
        "accuracy": draws.interval(accuracy, t, s),
        "macro_f1": draws.interval(macro_f1, t, s),
        "rows": len(truth),
        "f1_of_each": {name: rounded(each[k]) for k, name in enumerate(classes) if real[k]},
        "rows_of_each": {name: int(real[k]) for k, name in enumerate(classes) if real[k]},
    }


def prediction_sets(truth: Floats, probability: Floats, limits: Floats, who: Sequence[str]) -> dict[str, object]:
    """Whether the sets of all labels together keep what they promise, and what they leave of a note.

    Args:
        truth: (N, L) 0 or 1.
        probability: (N, L) calibrated.
        limits: (2, L) of `models.conformal.limits`; every label has a set.
        who: (N,) whose row.

    Returns:
        Shares with intervals: of the labels that hold, those whose set has yes, and of the others, those whose set has
        no; of the notes, those without a label that is certain; of the labels that are certain, those that hold.
    """
    left, draws = answers(probability, limits), Draws(list(who))
    sure = certain(left, probability)
    return {
        "coverage_of_yes": draws.ratio((truth * (left & YES != 0)).sum(1), truth.sum(1)),
        "coverage_of_no": draws.ratio(((1 - truth) * (left & NO != 0)).sum(1), (1 - truth).sum(1)),
        "notes_without_a_certain_label": draws.mean((~sure.any(1)).astype(float)),
        "certain_labels_that_hold": draws.ratio((sure * truth).sum(1), sure.sum(1)),
    }


def several(truth: Floats, probability: Floats, least: Floats, who: Sequence[str]) -> dict[str, object]:
    """Macro and micro F1, AUROC and AUPRC with intervals over rows.

    Args:
        truth: (N, L) 0 or 1; labels that no row has are left out of the macro figures.
        probability: (N, L).
        least: (L,) probability from which a label counts as said.
        who: (N,) whose row.
    """
    said = (probability >= least).astype(float)
    rows = np.arange(len(truth), dtype=float)
    draws = Draws(list(who))
    seen = truth.any(0) & ~truth.all(0)

    def over(one: object) -> object:
        return draws.interval(one, rows, rows)  # type: ignore[arg-type]

    def per_label(metric: object) -> object:
        def mean(_label: Array, _score: Array, weight: Array) -> float:
            each = [metric(truth[:, k], probability[:, k], weight) for k in np.flatnonzero(seen)]  # type: ignore[operator]
            return _mean(np.array(each))

        return mean

    def mean_f1(_label: Array, _score: Array, weight: Array) -> float:
        w = weight[:, None]
        return _mean(_f1((w * truth * said).sum(0), (w * said).sum(0), (w * truth).sum(0))[seen])

    def micro_f1(_label: Array, _score: Array, weight: Array) -> float:
        w = weight[:, None]
        return float(2 * (w * truth * said).sum() / (w * (truth + said)).sum())

    def pooled(metric: object) -> object:
        def flat(_label: Array, _score: Array, weight: Array) -> float:
            spread = np.repeat(weight, truth.shape[1])
            return float(metric(truth.ravel(), probability.ravel(), spread))  # type: ignore[operator]

        return flat

    return {
        "macro_f1": over(mean_f1),
        "micro_f1": over(micro_f1),
        "macro_auroc": over(per_label(auroc)),
        "macro_auprc": over(per_label(auprc)),
        "micro_auroc": over(pooled(auroc)),
        "micro_auprc": over(pooled(auprc)),
        "labels": int(seen.sum()),
        "rows": len(truth),
    }


def best_threshold(label: Floats, probability: Floats) -> float:
    """Probability of the best F1, between 0.2 and 0.8: an extreme one, read off few rows, would not hold."""
    steps = np.linspace(0.2, 0.8, 25)
    each = [
        float((2 * label * (probability >= one)).sum() / max((label + (probability >= one)).sum(), 1)) for one in steps
    ]
    return round(float(steps[int(np.argmax(each))]), 3)
