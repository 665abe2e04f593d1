"""How well scores put the next actions first: recall and NDCG of the first few, with intervals over patients.

Jarvelin K, Kekalainen J. Cumulated gain-based evaluation of IR techniques. ACM TOIS 20(4):422-446 (2002), with gain 1
for a wanted action. An interval is of 200 bootstrap samples of patients, whose rows are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.training.metrics import REPEATS, rounded

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FIRST: Final = 5
"""How many of the best are looked at."""


def gains(score: Array, candidate: Bools, wanted: Bools, first: int = FIRST) -> dict[str, Array]:
    """Recall and NDCG of each row.

    Args:
        score: (N, A), higher first; ties go to the earlier column.
        candidate: (N, A) what may be suggested.
        wanted: (N, A) what should come first; at least one a row, all of them candidates.
        first: How many of the best count.

    Returns:
        "recall@k": (N,) share of the wanted that are among the first k. "ndcg@k": (N,) discounted gain of the first k
        over that of the best order.
    """
    order = np.argsort(np.where(candidate, -score, np.inf), axis=1, kind="stable")[:, :first]
    hit = np.take_along_axis(wanted, order, 1)
    discount = 1 / np.log2(np.arange(2, order.shape[1] + 2))
    count = wanted.sum(1)
    best = np.concatenate(([0.0], np.cumsum(discount)))[np.minimum(count, order.shape[1])]
    return {f"recall@{first}": hit.sum(1) / count, f"ndcg@{first}": hit @ discount / best}


def figures(gain: Mapping[str, Mapping[str, Array]], patient: Sequence[str], *, seed: int = 0) -> dict[str, object]:
    """Mean gains of several methods on the same rows.

    Args:
        gain: For each method, for each metric, (N,).
        patient: (N,) of each row.
        seed: Of the bootstrap; all methods are measured on the same samples.

    Returns:
        For each method and metric [mean, lower, upper].
    """
    names, member = np.unique(np.asarray(patient), return_inverse=True)
    random = np.random.default_rng(seed)
    times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS).astype(np.float64)
    rows = times @ np.bincount(member)

    def interval(value: Array) -> list[float | None]:
        low, high = np.quantile(times @ np.bincount(member, value) / rows, [0.025, 0.975])
        return [rounded(x) for x in (value.mean(), low, high)]

    return {method: {metric: interval(value) for metric, value in each.items()} for method, each in gain.items()}
