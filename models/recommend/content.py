"""Content filtering: how much a patient looks like those for whom an action was indicated.

An action's profile is the mean of the standardised features of its patients (Rocchio's relevance feedback without the
negative term); the score is the cosine between patient and profile. An unknown feature is 0 after standardisation: it
speaks neither for nor against.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

FARTHEST: Final = 4.0
"""Standardised features are cut here, so that one extreme value does not decide alone."""


class ContentFilter:
    """Scores actions by features.

    Attributes:
        mean: (F,) of each feature where known.
        scale: (F,) standard deviation of each feature, > 0.
        profiles: (A, F) action profiles of unit length; a row of zeros scores 0.
    """

    def __init__(self, mean: Matrix, scale: Matrix, profiles: Matrix) -> None:
        if not (scale > 0).all():
            raise ValueError("every feature needs a scale above 0")
        self.mean: Final = np.asarray(mean, dtype=np.float64)
        self.scale: Final = np.asarray(scale, dtype=np.float64)
        self.profiles: Final = _unit(np.asarray(profiles, dtype=np.float64))

    @classmethod
    def fit(cls, features: npt.NDArray[np.floating], indicated: npt.NDArray[np.floating]) -> Self:
        """Learns profiles from (N, F) features, NaN where unknown, and (N, A) indications, above 0 where given."""
        known = ~np.isnan(features)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, features, 0.0).astype(np.float64)
        mean = filled.sum(axis=0) / count
        deviation = np.sqrt((np.where(known, filled - mean, 0.0) ** 2).sum(axis=0) / count)
        scale = np.where(deviation > 0, deviation, 1.0)
        blank = cls(mean, scale, np.zeros((indicated.shape[1], features.shape[1])))
        members = np.asarray(indicated > 0, dtype=np.float64)
        return cls(mean, scale, members.T @ blank.standardise(features))

    def standardise(self, features: npt.NDArray[np.floating]) -> Matrix:
        """(B, F) features in standard deviations from the mean, 0 where unknown, cut at `FARTHEST`."""
        z = (features - self.mean) / self.scale
        np.clip(z, -FARTHEST, FARTHEST, out=z)
        np.copyto(z, 0.0, where=np.isnan(z))
        return z

    def scores(self, features: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) cosines in [-1, 1]; 0 for a patient of whom nothing is known."""
        z = self.standardise(features)
        norm = np.sqrt(np.einsum("bf,bf->b", z, z))
        cosines: Matrix = (z @ self.profiles.T) / np.where(norm > 0, norm, 1.0)[:, None]
        return cosines


def _unit(rows: Matrix) -> Matrix:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Matrix = rows / np.where(norm > 0, norm, 1.0)
    return unit
