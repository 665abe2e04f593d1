"""Collaborative filtering: y = U V^T, learned from which actions were indicated together.

Implicit-feedback matrix factorisation by alternating least squares (Hu Y, Koren Y, Volinsky C. Collaborative filtering
for implicit feedback datasets. ICDM 2008:263-272). With r the strength of an indication, p = [r > 0] its presence and
c = 1 + alpha r the confidence, it minimises

    sum_ui c_ui (p_ui - u_u . v_i)^2 + regularisation (|U|^2 + |V|^2).

For fixed V each u is the solution of a k x k system, so an unseen patient is folded in from the history alone, exactly
and without training; no patient's factors are kept.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def _solve(factors: Matrix, strength: npt.NDArray[np.floating], alpha: float, regularisation: float) -> Matrix:
    """Least-squares partners of `factors`, closed form.

    Args:
        factors: (A, k) factors of the fixed side.
        strength: (B, A) r of each row with each of them, >= 0.
        alpha: Confidence that one unit of strength adds.
        regularisation: Weight of the squared norm, > 0.

    Returns:
        (B, k): argmin_x sum_i c_i (p_i - x . f_i)^2 + regularisation |x|^2 for each row.
    """
    count, k = factors.shape
    extra: Matrix = alpha * np.asarray(strength, dtype=np.float64)
    outer = (factors[:, :, None] * factors[:, None, :]).reshape(count, k * k)
    left = (extra @ outer).reshape(-1, k, k)
    shared = factors.T @ factors + regularisation * np.eye(k)
    right = np.where(extra > 0, 1.0 + extra, 0.0) @ factors
    solution: Matrix = np.asarray(np.linalg.solve(left + shared, right[:, :, None])[:, :, 0], dtype=np.float64)
    return solution


class CollaborativeFiltering:
    """Scores actions for patients by their histories of actions.

    Attributes:
        action_factors: (A, k) float64, the V of y = U V^T. All zero scores everything 0.
        alpha: Confidence that one unit of history adds.
        regularisation: Weight of the squared norms.
    """

    def __init__(self, action_factors: Matrix, *, alpha: float = 4.0, regularisation: float = 1.0) -> None:
        if alpha <= 0 or regularisation <= 0:
            raise ValueError(f"alpha and regularisation must be above 0, are {alpha} and {regularisation}")
        self.action_factors: Final = np.asarray(action_factors, dtype=np.float64)
        self.alpha: Final = alpha
        self.regularisation: Final = regularisation

    @classmethod
    def fit(
        cls,
        interactions: npt.NDArray[np.floating],
        *,
        factors: int = 8,
        alpha: float = 4.0,
        regularisation: float = 1.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> Self:
        """Learns action factors from the histories of many patients.

        Args:
            interactions: (N, A) strength of each indication, >= 0; 0 where there was none.
            factors: k, the width of the factors.
            alpha: See the class.
            regularisation: See the class.
            iterations: Rounds of solving for U, then for V.
            seed: Of the initial factors; the result depends on nothing else.
        """
        strength: Matrix = np.asarray(interactions, dtype=np.float64)
        if strength.ndim != 2 or not np.isfinite(strength).all() or (strength < 0).any():
            raise ValueError("interactions must be a matrix (patients, actions) of finite numbers >= 0")
        action_factors: Matrix = np.random.default_rng(seed).normal(0.0, 0.1, (strength.shape[1], factors))
        for _ in range(iterations):
            patient_factors = _solve(action_factors, strength, alpha, regularisation)
            action_factors = _solve(patient_factors, strength.T, alpha, regularisation)
        return cls(action_factors, alpha=alpha, regularisation=regularisation)

    def fold_in(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, k) factors of patients from their (B, A) histories, strengths >= 0; an empty history gives zeros."""
        return _solve(self.action_factors, history, self.alpha, self.regularisation)

    def scores(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) scores u . v: near 1 for actions that such patients have, near 0 for those they have not."""
        scores: Matrix = self.fold_in(history) @ self.action_factors.T
        return scores

    def loss(self, interactions: npt.NDArray[np.floating]) -> float:
        """The minimised sum over (N, A) interactions, at the best U for the present V."""
        strength = np.asarray(interactions, dtype=np.float64)
        patients = self.fold_in(strength)
        errors = (1.0 + self.alpha * strength) * ((strength > 0) - patients @ self.action_factors.T) ** 2
        norms = (patients**2).sum() + (self.action_factors**2).sum()
        return float(errors.sum() + self.regularisation * norms)
