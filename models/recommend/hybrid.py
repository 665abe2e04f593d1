"""The hybrid of content and collaborative filtering: a weighted sum whose two parts stay visible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hybrid:
    """score = content_weight * content + collaborative_weight * collaborative.

    Attributes:
        content: Scores in [-1, 1] by features; serves a patient without history.
        collaborative: Scores by history, cut to [-1, 1]; serves a patient without features.
        content_weight: Finite.
        collaborative_weight: Finite.
    """

    content: ContentFilter
    collaborative: CollaborativeFiltering
    content_weight: float = 0.5
    collaborative_weight: float = 0.5

    def __post_init__(self) -> None:
        by_content, by_history = len(self.content.profiles), len(self.collaborative.action_factors)
        if by_content != by_history:
            raise ValueError(f"content knows {by_content} actions, collaborative {by_history}: fit both on the same")

    def parts(self, history: npt.NDArray[np.floating], features: npt.NDArray[np.floating]) -> tuple[Matrix, Matrix]:
        """(B, A) content part and (B, A) collaborative part of the score.

        Args:
            history: (B, A) strength of recent indications, >= 0.
            features: (B, F), NaN where unknown.
        """
        by_history = np.clip(self.collaborative.scores(history), -1.0, 1.0)
        return self.content_weight * self.content.scores(features), self.collaborative_weight * by_history

    def scores(self, history: npt.NDArray[np.floating], features: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) sum of the parts."""
        by_content, by_history = self.parts(history, features)
        return by_content + by_history
