"""What a recommender must beat: popularity, and the neighbours of what a patient had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_TIE: Final = 1e-6
"""Weight of popularity where neighbours tie."""


@dataclass(frozen=True, slots=True)
class Popularity:
    """How often each item came next in training, of the rows where it could.

    Attributes:
        with_history: (A,) among patients who had a history.
        without_history: (A,) among those who had none, who are asked a different question.
        not_held: (A,) as `with_history`, of the rows whose history did not hold the item itself.
        held: (A,) of those whose history did.
    """

    with_history: Matrix
    without_history: Matrix
    not_held: Matrix
    held: Matrix

    @classmethod
    def fit(cls, history: npt.NDArray[np.floating], target: Bools, candidate: Bools) -> Self:
        """Counts (N, A) targets among candidates; the first A columns of (N, H) history are the items themselves."""
        some = _some(history)
        held = history[:, : target.shape[1]] > 0
        overall = _rate(target, candidate, np.zeros(target.shape[1]))

        def among(rows: Bools, otherwise: Matrix) -> Matrix:
            return _rate(target, candidate & rows, otherwise)

        warm = among(some, overall)
        return cls(warm, among(~some, overall), among(some & ~held, warm), among(held, warm))

    def scores(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, A), the same for everybody with a history, and for everybody without."""
        return np.where(_some(history), self.with_history, self.without_history)

    def scores_by_possession(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, A), each item's rate among those who had it before, or had it not: the stronger baseline."""
        held = np.where(history[:, : len(self.held)] > 0, self.held, self.not_held)
        return np.where(_some(history), held, self.without_history)


def _some(history: npt.NDArray[np.floating]) -> Bools:
    """(N, 1) whether a patient has any history."""
    some: Bools = (history != 0).any(axis=1, keepdims=True)
    return some


def _rate(target: Bools, candidate: Bools, otherwise: Matrix) -> Matrix:
    count = candidate.sum(axis=0)
    return np.where(count > 0, (target & candidate).sum(axis=0) / np.maximum(count, 1), otherwise)


@dataclass(frozen=True, slots=True)
class ItemNeighbours:
    """Item-kNN: cosine between what was there before and what came next, over training patients.

    Deshpande M, Karypis G. Item-based top-N recommendation algorithms. ACM TOIS 22(1):143-177 (2004). All neighbours
    count: there are few items. Ties, as of a patient without history, go by popularity.

    Attributes:
        similarity: (H, A) cosines in 0..1.
        popularity: What breaks ties.
    """

    similarity: Matrix
    popularity: Popularity

    @classmethod
    def fit(cls, history: npt.NDArray[np.floating], target: Bools, popularity: Popularity) -> Self:
        """Cosines of the columns of (N, H) history with those of (N, A) target."""
        before, after = np.asarray(history > 0, np.float64), np.asarray(target, np.float64)
        norms = np.sqrt(np.outer(before.sum(axis=0), after.sum(axis=0)))
        return cls((before.T @ after) / np.where(norms > 0, norms, 1.0), popularity)

    def scores(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) summed cosine to everything in the history."""
        summed = np.asarray(history > 0, np.float64) @ self.similarity
        return summed + _TIE * self.popularity.scores(history)
