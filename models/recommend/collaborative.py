"""Collaborative filtering: y = U V^T, learned from which items went together and followed in others.

Implicit-feedback matrix factorisation by alternating least squares (Hu Y, Koren Y, Volinsky C. Collaborative filtering
for implicit feedback datasets. ICDM 2008:263-272), for the question "what comes next". Its columns are what was there
before (the history), what came next (the items to score), and one that everybody has, which carries how common each
item is. With r the strength of an entry, p = [r > 0] its presence and c = 1 + alpha r the confidence, it minimises

    sum_ui c_ui (p_ui - u_u . v_i)^2 + regularisation |U|^2 + item_regularisation |V|^2,

where the sum leaves out items that could not come next (c = 0). For fixed V each u is the solution of a k x k system,
so an unseen patient is folded in from the history alone, exactly and without training; no patient's factors are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


_BLOCK: Final = 4096
"""Rows and columns solved at once: k x k numbers of each are held."""


def _solve(factors: Matrix, weight: Matrix, wanted: Matrix, regularisation: float) -> Matrix:
    """Least-squares partners of `factors`, closed form.

    Args:
        factors: (C, k) factors of the fixed side.
        weight: (B, C) c, >= 0.
        wanted: (B, C) p.
        regularisation: Weight of the squared norm, > 0.

    Returns:
        (B, k): argmin_x sum_i c_i (p_i - x . f_i)^2 + regularisation |x|^2 for each row.
    """
    solution = np.empty((len(weight), factors.shape[1]))
    for start in range(0, len(weight), _BLOCK):
        rows = slice(start, start + _BLOCK)
        right = (weight[rows] * wanted[rows]) @ factors
        solution[rows] = np.linalg.solve(_normal(factors, weight[rows], regularisation), right[:, :, None])[:, :, 0]
    return solution


def _normal(factors: Matrix, weight: Matrix, regularisation: float) -> Matrix:
    """(B, k, k) sum_i c_i f_i f_i' + regularisation I."""
    count, k = factors.shape
    left = np.tile(regularisation * np.eye(k).ravel(), (len(weight), 1))
    for start in range(0, count, _BLOCK):
        some = factors[start : start + _BLOCK]
        outer = (some[:, :, None] * some[:, None, :]).reshape(len(some), k * k)
        left += weight[:, start : start + _BLOCK] @ outer
    return left.reshape(-1, k, k)


class CollaborativeFiltering:
    """Scores what may come next for patients by their histories.

    Attributes:
        history_factors: (H, k) float64, of what was there before.
        item_factors: (A, k), of what may come next. All zero scores everything 0.
        everyone: (k,) of the column that everybody has. With zeros, a patient without history scores 0 for all.
        alpha: Confidence that one unit of strength adds.
        regularisation: Weight of the squared norm of a patient's factors.
        usual: (A,) scores of a patient without history.
    """

    def __init__(
        self,
        history_factors: Matrix,
        item_factors: Matrix,
        everyone: Matrix,
        *,
        alpha: float = 1.0,
        regularisation: float = 10.0,
    ) -> None:
        if not (alpha > 0 and regularisation > 0):
            raise ValueError(f"alpha and regularisation must be above 0, are {alpha} and {regularisation}")
        widths = {history_factors.shape[1:], item_factors.shape[1:], everyone.shape}
        if len(widths) > 1 or everyone.ndim != 1:
            raise ValueError(f"factors of history, items and everyone have different widths: {sorted(widths)}")
        self.history_factors: Final = np.asarray(history_factors, dtype=np.float64)
        self.item_factors: Final = np.asarray(item_factors, dtype=np.float64)
        self.everyone: Final = np.asarray(everyone, dtype=np.float64)
        self.alpha: Final = alpha
        self.regularisation: Final = regularisation
        self._known: Final = np.vstack((self.everyone, self.history_factors))
        self.usual: Final = self.scores(np.zeros((1, len(self.history_factors))))[0]

    @classmethod
    def unfitted(cls, history: int, items: int) -> Self:
        """What has learned nothing of `history` columns and `items`: every score is 0."""
        return cls(np.zeros((history, 1)), np.zeros((items, 1)), np.zeros(1))

    @classmethod
    def fit(
        cls,
        history: npt.NDArray[np.floating],
        target: npt.NDArray[np.floating | np.bool_],
        candidate: npt.NDArray[np.bool_] | None = None,
        *,
        factors: int = 8,
        alpha: float = 1.0,
        regularisation: float = 10.0,
        item_regularisation: float = 100.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> Self:
        """Learns factors from the histories of many patients and what came next; arguments as for `rounds`."""
        *_, last = cls.rounds(
            history, target, candidate, factors=factors, alpha=alpha, regularisation=regularisation,
            item_regularisation=item_regularisation, iterations=iterations, seed=seed,
        )  # fmt: skip
        return last

    @classmethod
    def rounds(
        cls,
        history: npt.NDArray[np.floating],
        target: npt.NDArray[np.floating | np.bool_],
        candidate: npt.NDArray[np.bool_] | None = None,
        *,
        factors: int = 8,
        alpha: float = 1.0,
        regularisation: float = 10.0,
        item_regularisation: float = 100.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> Iterator[Self]:
        """The model after each round of solving for U, then for V.

        Args:
            history: (N, H) strength of what was there before, >= 0.
            target: (N, A) strength of what came next, >= 0.
            candidate: (N, A) what could come next; everything when left out.
            factors: k, the width of the factors.
            alpha: See the class.
            regularisation: See the class.
            item_regularisation: Weight of the squared norm of V; it stands beside sums over all rows.
            iterations: Rounds.
            seed: Of the initial factors; the result depends on nothing else.
        """
        weight, wanted = _cells(history, target, candidate, alpha)
        split = 1 + history.shape[1]
        columns: Matrix = np.random.default_rng(seed).normal(0.0, 0.1, (wanted.shape[1], factors))
        for _ in range(iterations):
            patients = _solve(columns, weight, wanted, regularisation)
            columns = _solve(patients, weight.T, wanted.T, item_regularisation)
            yield cls(columns[1:split], columns[split:], columns[0], alpha=alpha, regularisation=regularisation)

    def fold_in(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, k) factors of patients from their (B, H) histories, strengths >= 0."""
        strength = np.column_stack((np.ones(len(history)), np.asarray(history, dtype=np.float64)))
        return _solve(self._known, 1.0 + self.alpha * strength, (strength > 0).astype(np.float64), self.regularisation)

    def scores(self, history: npt.NDArray[np.floating]) -> Matrix:
        """(B, A) scores u . v: the higher, the more often such patients had it next."""
        scores: Matrix = self.fold_in(history) @ self.item_factors.T
        return scores

    def loss(
        self,
        history: npt.NDArray[np.floating],
        target: npt.NDArray[np.floating | np.bool_],
        candidate: npt.NDArray[np.bool_] | None = None,
        *,
        item_regularisation: float = 100.0,
    ) -> float:
        """The minimised sum over N patients, at the best U for the present V; arguments as for `rounds`."""
        weight, wanted = _cells(history, target, candidate, self.alpha)
        columns = np.vstack((self._known, self.item_factors))
        patients = _solve(columns, weight, wanted, self.regularisation)
        errors = (weight * (wanted - patients @ columns.T) ** 2).sum()
        norms = self.regularisation * (patients**2).sum() + item_regularisation * (columns**2).sum()
        return float(errors + norms)


def _cells(
    history: npt.NDArray[np.floating],
    target: npt.NDArray[np.floating | np.bool_],
    candidate: npt.NDArray[np.bool_] | None,
    alpha: float,
) -> tuple[Matrix, Matrix]:
    """(N, 1 + H + A) confidence and presence of every cell.

    Raises:
        ValueError: These are no strengths.
    """
    every = np.ones((len(history), 1))
    strength: Matrix = np.hstack((every, np.asarray(history, np.float64), np.asarray(target, np.float64)))
    if not np.isfinite(strength).all() or (strength < 0).any():
        raise ValueError("history and target must be matrices of finite numbers >= 0")
    weight = 1.0 + alpha * strength
    if candidate is not None:
        weight[:, -target.shape[1] :] *= candidate
    return weight, (strength > 0).astype(np.float64)
