"""Cases to fit and judge recommenders by: what was there before, what could come next, what did.

Every set comes down to this form: indications of rules, drugs at the next encounter, prescriptions of the next day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.hybrid import Hybrid
from models.recommend.recommenders import Recommenders
from models.training.outcome import Progress, silent
from models.training.ranking_figures import AT, CHOSEN_BY, figures, gains
from models.training.split import Part, rows_of

Floats = NDArray[np.float32] | NDArray[np.float64]
Bools = NDArray[np.bool_]
Array = NDArray[np.float64]

AGAINST: Final = ("hybrid", "popularity")
"""What figures compare."""

BEST: Final = "best possible"
"""The order that puts first what came: with more wanted than looked at, its recall is below 1."""


@dataclass(frozen=True, slots=True)
class Cases:
    """N moments of patients.

    Attributes:
        patient: (N,) whose, as named to `models.training.split`.
        history: (N, H) strength of what was there before, >= 0; the first A columns are the items themselves. A row of
            zeros is a cold start.
        features: (N, F), NaN where unknown.
        candidate: (N, A) what could come next.
        target: (N, A) what did.
    """

    patient: NDArray[np.str_]
    history: Floats
    features: Floats
    candidate: Bools
    target: Bools

    @property
    def cold(self) -> Bools:
        """(N,) without history."""
        cold: Bools = ~(self.history != 0).any(axis=1)
        return cold

    def of(self, rows: NDArray[np.int64] | Bools) -> Cases:
        """Only these rows."""
        return Cases(*(getattr(self, field.name)[rows] for field in fields(Cases)))

    def among(self, candidate: Bools) -> Cases:
        """With fewer candidates, (N, A) or (A,); rows to which nothing of them came are left out."""
        fewer = self.candidate & candidate
        narrowed = replace(self, candidate=fewer, target=self.target & fewer)
        return narrowed.wanted()

    def wanted(self) -> Cases:
        """The rows to which anything came."""
        return self.of(np.flatnonzero(self.target.any(axis=1)))

    def parts(self) -> dict[Part, Cases]:
        """By patient: training, validation and test."""
        return {part: self.of(rows) for part, rows in rows_of(self.patient.tolist()).items()}


@dataclass(frozen=True, slots=True)
class Grid:
    """What to try; chosen by NDCG on validation patients.

    Attributes:
        factors: Widths of the collaborative part.
        alphas: Its confidences.
        item_regularisations: Weights of the squared norm of its items; they stand beside sums over all rows.
        content_regularisations: Weights of the squared norms of the content part.
        content_weights: Weights of the content part in the hybrid.
        collaborative_weights: Weights of the collaborative part.
    """

    factors: tuple[int, ...]
    alphas: tuple[float, ...]
    item_regularisations: tuple[float, ...]
    content_regularisations: tuple[float, ...]
    content_weights: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    collaborative_weights: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 1.0)

    @property
    def filters(self) -> int:
        """How many collaborative parts that is."""
        return len(self.factors) * len(self.alphas) * len(self.item_regularisations)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of fitting.

    Attributes:
        recommenders: Of the grid, the ones that put first what came next to validation patients.
        chosen: The grid's values that they were made with.
        history: Loss of the collaborative part after each round.
    """

    recommenders: Recommenders
    chosen: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]


@dataclass(frozen=True, slots=True)
class _Filter:
    """A collaborative part after each round, with what it was made with."""

    rounds: tuple[CollaborativeFiltering, ...]
    chosen: Mapping[str, float]

    def losses(self, training: Cases) -> tuple[Mapping[str, float], ...]:
        item = self.chosen["item_regularisation"]
        columns = training.history, training.target, training.candidate
        return tuple(
            {"epoch": float(number), "loss": model.loss(*columns, item_regularisation=item)}
            for number, model in enumerate(self.rounds, start=1)
        )


def _filters(training: Cases, grid: Grid, iterations: int, seed: int) -> Iterator[_Filter]:
    for factors, alpha, item in product(grid.factors, grid.alphas, grid.item_regularisations):
        rounds = CollaborativeFiltering.rounds(
            training.history, training.target, training.candidate, factors=factors, alpha=alpha,
            item_regularisation=item, iterations=iterations, seed=seed,
        )  # fmt: skip
        yield _Filter(tuple(rounds), {"factors": factors, "alpha": alpha, "item_regularisation": item})


def _weighed(hybrid: Hybrid, judged: Cases, grid: Grid) -> tuple[float, Hybrid]:
    """The best weights of the two parts, and what they reach."""
    parts = replace(hybrid, content_weight=1.0, collaborative_weight=1.0).parts(judged.history, judged.features)

    def reached(weights: tuple[float, float]) -> float:
        score = hybrid.content.usual + weights[0] * parts[0] + weights[1] * parts[1]
        return float(gains(score, judged.candidate, judged.target)[CHOSEN_BY].mean())

    tried = [(reached(weights), weights) for weights in product(grid.content_weights, grid.collaborative_weights)]
    best, (by_content, by_history) = max(tried, key=itemgetter(0))
    return best, replace(hybrid, content_weight=by_content, collaborative_weight=by_history)


def fit(
    training: Cases,
    validation: Cases,
    grid: Grid,
    *,
    iterations: int,
    seed: int,
    progress: Progress = silent,
    what: str = "ranker",
) -> Fitted:
    """Fit every hybrid of the grid on training patients and keep the best on validation; the first of equals.

    Args:
        training: With at least one target.
        validation: Likewise.
        grid: What to try.
        iterations: Rounds of alternating least squares.
        seed: Of the initial factors.
        progress: Told after each collaborative part.
        what: Its name there.
    """
    judged = validation.wanted()
    contents = [
        (each, ContentFilter.fit(training.features, training.target, training.candidate, regularisation=each))
        for each in grid.content_regularisations
    ]
    found = []
    for done, by_history in enumerate(_filters(training, grid, iterations, seed), start=1):
        for strength, content in contents:
            reached, hybrid = _weighed(Hybrid(content, by_history.rounds[-1]), judged, grid)
            found.append((reached, hybrid, by_history, strength))
        progress(what, done, grid.filters)
    _, hybrid, by_history, strength = max(found, key=itemgetter(0))
    return Fitted(
        Recommenders.of(hybrid, training.history, training.target, training.candidate),
        {
            **by_history.chosen,
            "content_regularisation": strength,
            "content_weight": hybrid.content_weight,
            "collaborative_weight": hybrid.collaborative_weight,
        },
        by_history.losses(training),
    )


def gains_by_method(recommenders: Recommenders, cases: Cases, at: Sequence[int] = AT) -> dict[str, dict[str, Array]]:
    """(N,) recall and NDCG of every method, and of the best possible order, which shows how much room there is.

    Popularity by possession is left out where it is plain popularity.

    Args:
        recommenders: Fitted on other patients.
        cases: To each of which something came.
        at: How many of the best count.
    """
    scores = recommenders.scores(cases.history, cases.features)
    if np.array_equal(scores["popularity by possession"], scores["popularity"]):
        del scores["popularity by possession"]
    scores[BEST] = cases.target.astype(np.float64)
    return {method: gains(score, cases.candidate, cases.target, at) for method, score in scores.items()}


def measured(recommenders: Recommenders, cases: Cases, *, seed: int = 0) -> dict[str, object]:
    """Figures of every method on the rows to which anything came.

    Returns:
        For each method recall and NDCG as [mean, lower, upper]; difference and ratio of the hybrid to popularity; and
        how many rows and patients that is. Nothing but the counts where there is no such row.
    """
    wanted = cases.wanted()
    counts: dict[str, object] = {
        "rows": len(wanted.patient),
        "patients": len(np.unique(wanted.patient)),
        "rows_without": len(cases.patient) - len(wanted.patient),
    }
    if not len(wanted.patient):
        return counts
    gain = gains_by_method(recommenders, wanted)
    counts["wanted_a_row"] = round(float(wanted.target.sum(axis=1).mean()), 2)
    return figures(gain, wanted.patient.tolist(), against=AGAINST, seed=seed) | counts
