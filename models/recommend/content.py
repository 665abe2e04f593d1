"""Content filtering: how a patient's features raise or lower the chance that an item comes next.

For each item a ridge regression, on the patients for whom it could come next, of whether it did (least-squares
classification; Hastie T, Tibshirani R, Friedman J. The Elements of Statistical Learning, 2nd ed. 2009, 3.4.1 and 4.2).
A feature enters as its distance from the mean in standard deviations, and again as far as that exceeds one above and
one below, since both ends of a vital sign may call for something. An unknown feature is 0 after standardisation: it
speaks neither for nor against.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

FARTHEST: Final = 4.0
"""Standardised features are cut here, so that one extreme value does not decide alone."""

BEYOND: Final = 1.0
"""From how many deviations on a feature counts as unusual on its own side."""

TERMS: Final = 3
"""Of a feature: its distance, the excess above and the excess below."""


class ContentFilter:
    """Scores items by features.

    Attributes:
        mean: (F,) of each feature where known.
        scale: (F,) standard deviation of each feature, > 0.
        weights: (A, 3 F) what each term of each feature adds to the chance; a row of zeros adds nothing.
        usual: (A,) chance where nothing is known.
    """

    def __init__(self, mean: Matrix, scale: Matrix, weights: Matrix, usual: Matrix) -> None:
        if not (scale > 0).all():
            raise ValueError("every feature needs a scale above 0")
        if weights.shape != (len(usual), TERMS * len(mean)):
            raise ValueError(f"the weights have shape {weights.shape}, not {(len(usual), TERMS * len(mean))}")
        self.mean: Final = np.asarray(mean, dtype=np.float64)
        self.scale: Final = np.asarray(scale, dtype=np.float64)
        self.weights: Final = np.asarray(weights, dtype=np.float64)
        self.usual: Final = np.asarray(usual, dtype=np.float64)

    @classmethod
    def unfitted(cls, features: int, items: int) -> Self:
        """What has learned nothing: every part is 0."""
        return cls(np.zeros(features), np.ones(features), np.zeros((items, TERMS * features)), np.zeros(items))

    @classmethod
    def fit(
        cls,
        features: npt.NDArray[np.floating],
        target: npt.NDArray[np.floating | np.bool_],
        candidate: npt.NDArray[np.bool_] | None = None,
        *,
        regularisation: float = 100.0,
    ) -> Self:
        """Learns what features precede an item.

        Args:
            features: (N, F), NaN where unknown.
            target: (N, A) above 0 where the item came next.
            candidate: (N, A) where it could; everywhere when left out.
            regularisation: Weight of the squared norm of an item's weights, > 0; it stands beside sums over rows.
        """
        known = ~np.isnan(features)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, features, 0.0).astype(np.float64)
        mean = filled.sum(axis=0) / count
        deviation = np.sqrt((np.where(known, filled - mean, 0.0) ** 2).sum(axis=0) / count)
        blank = cls.unfitted(features.shape[1], target.shape[1])
        scale = np.where(deviation > 0, deviation, 1.0)
        terms = cls(mean, scale, blank.weights, blank.usual).terms(features)
        came = np.asarray(target > 0, dtype=np.float64)
        if candidate is None or candidate.all():
            weights, usual = _ridge(terms, came, regularisation)
            return cls(mean, scale, weights, usual)
        each = [
            _ridge(terms[could], came[could, [item]][:, None], regularisation) for item, could in enumerate(candidate.T)
        ]
        return cls(mean, scale, np.vstack([w for w, _ in each]), np.concatenate([u for _, u in each]))

    def terms(self, features: npt.NDArray[np.floating]) -> Matrix:
        """(B, 3 F): distances from the mean in standard deviations, their excess above `BEYOND`, their excess below."""
        z = (features - self.mean) / self.scale
        np.clip(z, -FARTHEST, FARTHEST, out=z)
        np.copyto(z, 0.0, where=np.isnan(z))
        return np.hstack((z, np.maximum(z - BEYOND, 0.0), np.maximum(-z - BEYOND, 0.0)))

    def parts(self, features: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) what the features add to the usual chance; 0 for a patient of whom nothing is known."""
        parts: Matrix = self.terms(features) @ self.weights.T
        return parts

    def scores(self, features: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) the usual chance and what the features add; linear, so it may leave 0..1."""
        return self.usual + self.parts(features)


def _ridge(terms: Matrix, came: Matrix, regularisation: float) -> tuple[Matrix, Matrix]:
    """(A, 3 F) weights and (A,) value at all terms 0, of least squares with an intercept that is not penalised."""
    if not came.any():
        return np.zeros((came.shape[1], terms.shape[1])), np.zeros(came.shape[1])
    middle, rate = terms.mean(axis=0), came.mean(axis=0)
    centred = terms - middle
    left = centred.T @ centred + regularisation * np.eye(terms.shape[1])
    weights: Matrix = np.linalg.solve(left, centred.T @ (came - rate)).T
    return weights, rate - weights @ middle
