"""How well scores put what comes next first: recall and NDCG of the first few, with intervals over patients.

Jarvelin K, Kekalainen J. Cumulated gain-based evaluation of IR techniques. ACM TOIS 20(4):422-446 (2002), with gain 1
for a wanted item. An interval is of 200 bootstrap samples of patients, whose rows are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.training.metrics import REPEATS, rounded

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Gains = Mapping[str, Array]

AT: Final = (1, 3, 5)
"""How many of the best are looked at."""

CHOSEN_BY: Final = "ndcg@5"
"""What choices on validation patients go by."""


def gains(score: Array, candidate: Bools, wanted: Bools, at: Sequence[int] = AT) -> dict[str, Array]:
    """Recall and NDCG of each row.

    Args:
        score: (N, A), higher first; ties go to the earlier column.
        candidate: (N, A) what may be suggested.
        wanted: (N, A) what should come first; at least one a row, all of them candidates.
        at: How many of the best count, one or several times.

    Returns:
        For each k, "recall@k": (N,) share of the wanted that are among the first k, and "ndcg@k": (N,) discounted gain
        of the first k over that of the best order.
    """
    order = np.argsort(np.where(candidate, -score, np.inf), axis=1, kind="stable")[:, : max(at)]
    hit = np.take_along_axis(wanted, order, 1)
    discount = 1 / np.log2(np.arange(2, order.shape[1] + 2))
    best = np.concatenate(([0.0], np.cumsum(discount)))
    count = wanted.sum(1)
    recall = {f"recall@{k}": hit[:, :k].sum(1) / count for k in at}
    ndcg = {f"ndcg@{k}": hit[:, :k] @ discount[:k] / best[np.minimum(count, min(k, len(discount)))] for k in at}
    return recall | ndcg


def figures(
    gain: Mapping[str, Gains], patient: Sequence[str], *, against: tuple[str, str] | None = None, seed: int = 0
) -> dict[str, object]:
    """Mean gains of several methods on the same rows.

    Args:
        gain: For each method, for each metric, (N,).
        patient: (N,) of each row.
        against: Two methods to compare, the second being the one to beat.
        seed: Of the bootstrap; all methods are measured on the same samples.

    Returns:
        For each method and metric [mean, lower, upper]. With `against`, "A minus B" and "A over B" likewise, whose
        intervals are of the difference and the ratio.
    """
    names, member = np.unique(np.asarray(patient), return_inverse=True)
    random = np.random.default_rng(seed)
    times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS).astype(np.float64)
    rows = times @ np.bincount(member)

    def drawn(value: Array) -> Array:
        means: Array = times @ np.bincount(member, value) / rows
        return np.concatenate(([value.mean()], means))

    means = {method: {metric: drawn(value) for metric, value in each.items()} for method, each in gain.items()}
    if against is not None:
        ours, theirs = (means[name] for name in against)
        means[" minus ".join(against)] = {metric: value - theirs[metric] for metric, value in ours.items()}
        means[" over ".join(against)] = {
            metric: np.divide(value, theirs[metric], out=np.full_like(value, np.nan), where=theirs[metric] > 0)
            for metric, value in ours.items()
        }
    return {method: {metric: _interval(value) for metric, value in each.items()} for method, each in means.items()}


def _interval(drawn: Array) -> list[float | None]:
    """[value, lower, upper] of the value itself and of each sample."""
    low, high = np.nanquantile(drawn[1:], [0.025, 0.975]) if not np.isnan(drawn[1:]).all() else (np.nan, np.nan)
    return [rounded(x) for x in (drawn[0], low, high)]
