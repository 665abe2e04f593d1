"""The hybrid of content and collaborative filtering: what is usual, and two parts that stay visible."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hybrid:
    """score = usual + content_weight * content + collaborative_weight * collaborative + acceptance.

    Both parts say how far a patient is from the usual one, so each is 0 where it knows nothing: a patient without
    history is scored by features, one without features by history, and one without both by what is usual.

    Attributes:
        content: By features.
        collaborative: By history.
        content_weight: Finite.
        collaborative_weight: Finite.
        acceptance: (A,) by how much clinicians accept an action more often than the average, in -1..1; zeros where
            nothing was learned from answers.
    """

    content: ContentFilter
    collaborative: CollaborativeFiltering
    content_weight: float = 0.5
    collaborative_weight: float = 0.5
    acceptance: Matrix = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        by_content, by_history = len(self.content.usual), len(self.collaborative.item_factors)
        if by_content != by_history:
            raise ValueError(f"content knows {by_content} items, collaborative {by_history}: fit both on the same")
        if not self.acceptance.size:
            object.__setattr__(self, "acceptance", np.zeros(by_content))
        if self.acceptance.shape != (by_content,) or not (np.abs(self.acceptance) <= 1.0).all():
            raise ValueError(f"acceptance must be {by_content} numbers in -1..1")

    @property
    def learned(self) -> npt.NDArray[np.bool_]:
        """(A,) items of which the data showed any; answers learned later do not change which."""
        learned: npt.NDArray[np.bool_] = self.content.usual != 0
        return learned

    def parts(self, history: npt.NDArray[np.floating], features: npt.NDArray[np.floating]) -> tuple[Matrix, Matrix]:
        """(B, A) content part and (B, A) collaborative part of the score, each within plus or minus its weight.

        Args:
            history: (B, H) strength of what was there before, >= 0.
            features: (B, F), NaN where unknown.
        """
        by_content = np.clip(self.content.parts(features), -1.0, 1.0)
        by_history = np.clip(self.collaborative.scores(history) - self.collaborative.usual, -1.0, 1.0)
        by_history[~history.any(axis=1)] = 0.0  # else the rounding of two equal sums
        return self.content_weight * by_content, self.collaborative_weight * by_history

    def scores(self, history: npt.NDArray[np.floating], features: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) what is usual, both parts, and what is accepted."""
        by_content, by_history = self.parts(history, features)
        return self.content.usual + by_content + by_history + self.acceptance
