"""Boosted trees on what is known of a patient at each event: the yardstick of the network, and its teacher.

They read the same columns as the network, summed up over the stay so far by hand where the network has its state.
As a teacher they are cross-fitted: a patient's rows are judged by trees that never saw the patient, so that what the
network learns from them is what carries over to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.training.outcome import Progress, silent
from models.training.sequences import Events

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]

FOLDS: Final = 5
_STAYS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class TreesPlan:
    """How to grow them.

    Attributes:
        rounds: Trees.
        rate: Learning rate.
        least: Rows a leaf, at least.
        share: Of the rows that may be left out (see `chosen`), the share that stays.
        by_stay: Every stay weighs the same, not every row: for a label that is the same in all rows of a stay.
        seed: Of drawing and splitting.
    """

    rounds: int
    rate: float
    least: int
    share: float
    by_stay: bool
    seed: int = 0


PLANS: Final = (
    TreesPlan(rounds=200, rate=0.05, least=200, share=0.4, by_stay=False),
    TreesPlan(rounds=150, rate=0.06, least=100, share=0.08, by_stay=True),
)
"""Of teachers, in the order of `models.vitals.LABELS`."""

YARDSTICKS: Final = (replace(PLANS[0], rounds=400), replace(PLANS[1], rounds=250))
"""Of the trees that the network is compared with; there is one of each, not one a fold, so they may grow longer."""


def summaries(stay: Events, columns: Ints) -> F32:
    """What is known at each event of a stay.

    Args:
        stay: T events.
        columns: C columns of the table to read.

    Returns:
        (T, 6 C + 4): last value, hours since, change from the one before, mean, lowest and highest so far, by
        column; age, sex, hours since the first event, events so far. NaN where unknown.
    """
    values, carried, gap_h = (one[:, columns] for one in (stay.values, stay.carried, stay.gap_h))
    measured = ~np.isnan(values)
    count = measured.cumsum(0)
    total = np.where(measured, values, 0).cumsum(0, dtype=np.float64)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    lowest = np.fmin.accumulate(values, 0)
    highest = np.fmax.accumulate(values, 0)
    number = np.arange(1, len(values) + 1)[:, None]
    known = (np.where(measured, values, carried), np.where(measured, 0, gap_h), values - carried, mean, lowest, highest)
    return np.concatenate((*known, stay.static, number), 1).astype(np.float32)


class Trees:
    """One label's trees.

    Args:
        stays: To learn from; their labels are 0 or 1.
        columns: Of the clinical table, those to read.
        plan: How.
    """

    def __init__(self, stays: Sequence[Events], columns: Ints, plan: TreesPlan) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._columns = columns
        rows = [chosen(stay, plan, number) for number, stay in enumerate(stays)]
        x = np.concatenate([summaries(stay, columns)[some] for stay, some in zip(stays, rows, strict=True)])
        label = np.concatenate([stay.label[some] for stay, some in zip(stays, rows, strict=True)])
        weight = np.concatenate([_weights(stay, some, plan) for stay, some in zip(stays, rows, strict=True)])
        self._usable = np.array([_varies(column) for column in x.T])
        self._model: Any = float(label.mean())
        if self._usable.any() and label.min() < label.max():
            self._model = HistGradientBoostingClassifier(
                learning_rate=plan.rate, max_iter=plan.rounds, max_leaf_nodes=15, min_samples_leaf=plan.least,
                l2_regularization=10, max_features=0.3, early_stopping=False, random_state=plan.seed,
            ).fit(x[:, self._usable], label, sample_weight=weight / weight.mean())  # fmt: skip

    def probability(self, stays: Sequence[Events]) -> list[F32]:
        """(T,) at each event of each stay; the training rows' mean where nothing could be learned."""
        if isinstance(self._model, float):
            return [np.full(len(stay.label), self._model, np.float32) for stay in stays]
        found: list[F32] = []
        for start in range(0, len(stays), _STAYS_AT_ONCE):
            some = stays[start : start + _STAYS_AT_ONCE]
            x = np.concatenate([summaries(stay, self._columns) for stay in some])
            risk = self._model.predict_proba(x[:, self._usable])[:, 1].astype(np.float32)
            found += np.split(risk, np.cumsum([len(stay.label) for stay in some])[:-1])
        return found


def chosen(stay: Events, plan: TreesPlan, number: int) -> Ints:
    """Rows to learn from: a stay in which the label changes or holds has all, others a drawn share; the last always.

    Of a label that is the same throughout every stay has a share only.
    """
    if not plan.by_stay and stay.label.any():
        return np.arange(len(stay.label))
    kept = np.random.default_rng([plan.seed, number]).random(len(stay.label)) < plan.share
    kept[-1] = True
    return np.flatnonzero(kept)


def _weights(stay: Events, rows: Ints, plan: TreesPlan) -> NDArray[np.float64]:
    """Together as much as the whole stay, or as one."""
    return np.full(len(rows), (1 if plan.by_stay else len(stay.label)) / len(rows))


def _varies(column: F32) -> bool:
    known = column[~np.isnan(column)]
    return len(known) > 0 and bool(known.min() < known.max())


def cross_fitted(
    stays: Sequence[Events], columns: Ints, plan: TreesPlan, progress: Progress = silent, what: str = "teacher"
) -> list[F32]:
    """(T,) probabilities of each stay, from trees grown on the other folds.

    Args:
        stays: One a patient, of the training part alone.
        columns: See `Trees`.
        plan: How.
        progress: Told after each fold.
        what: Named to `progress`.
    """
    fold = np.random.default_rng(plan.seed).permutation(len(stays)) % FOLDS
    found: list[F32] = [stay.label for stay in stays]
    for number in range(FOLDS if len(stays) >= FOLDS else 0):
        trees = Trees([stays[i] for i in np.flatnonzero(fold != number).tolist()], columns, plan)
        others = np.flatnonzero(fold == number).tolist()
        for i, risk in zip(others, trees.probability([stays[i] for i in others]), strict=True):
            found[i] = risk
        progress(f"vitals, {what}", number + 1, FOLDS)
    return found
