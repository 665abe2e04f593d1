"""Fit the recommenders on what the rules indicated in stays, and measure how well they foresee what comes next.

Interactions here are indications of published rules, nobody's choices: what is learned is which indications go and
follow together, and which readings precede them. A version that learns from feedback can take its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.clinical.actions import Catalogue
from models.columns import COLUMNS
from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.hybrid import Hybrid
from models.recommend.ranker import Ranker, RankerWeights
from models.training.outcome import Progress, Trained, silent
from models.training.ranking_figures import FIRST, figures, gains
from models.training.replay import Examples, examples
from models.training.sequences import Course
from models.training.split import Part, rows_of
from models.weights import Manifest

Array = NDArray[np.float64]

METHODS: Final = ("collaborative", "content", "hybrid", "popularity")
"""What the figures compare; popularity is the share of training hours without an action after which it came next, the
same for everybody."""

GAIN: Final = "hybrid minus popularity"
"""Name of the paired difference in the figures."""


@dataclass(frozen=True, slots=True)
class RankerPlan:
    """How to fit; what holds several values is chosen by NDCG on validation patients.

    Attributes:
        horizon_h: How far "next" reaches.
        hours_a_stay: Most hours sampled of a stay.
        factors: Widths to try.
        alphas: Confidences to try.
        regularisations: Weights of the squared norms to try. They stand beside sums over tens of thousands of hours.
        content_weights: Weights of the content part to try, above 0: it alone serves a patient without history. The
            collaborative part gets 1 minus it.
        iterations: Rounds of alternating least squares.
        seed: Of sampling and initial factors.
    """

    horizon_h: float = 6.0
    hours_a_stay: int = 4
    factors: tuple[int, ...] = (4, 8)
    alphas: tuple[float, ...] = (0.25, 1.0)
    regularisations: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0)
    content_weights: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5)
    iterations: int = 15
    seed: int = 0


def _fit(part: Examples, plan: RankerPlan) -> Iterator[Hybrid]:
    """Every hybrid of the plan. Content learns what readings precede, collaborative what history precedes."""
    content = ContentFilter.fit(part.features, part.target.astype(np.float64))
    together = (part.history | part.target).astype(np.float64)
    for factors, alpha, regularisation in product(plan.factors, plan.alphas, plan.regularisations):
        by_history = CollaborativeFiltering.fit(
            together,
            factors=factors,
            alpha=alpha,
            regularisation=regularisation,
            iterations=plan.iterations,
            seed=plan.seed,
        )
        for weight in plan.content_weights:
            yield Hybrid(content, by_history, weight, 1.0 - weight)


def _with_target(part: Examples) -> Examples:
    return part.of(np.flatnonzero(part.target.any(1)))


def _candidate(part: Examples) -> NDArray[np.bool_]:
    """(N, A) what the rules do not indicate already, and so may come next."""
    candidate: NDArray[np.bool_] = ~(part.present | part.history)
    return candidate


def _gains(score: Array, part: Examples) -> dict[str, Array]:
    return gains(score, _candidate(part), part.target)


def _popularity(part: Examples) -> Array:
    popularity: Array = part.target.sum(0) / np.maximum(_candidate(part).sum(0), 1)
    return popularity


def _scores(hybrid: Hybrid, popularity: Array, part: Examples) -> dict[str, Array]:
    by_content, by_history = hybrid.parts(part.history.astype(np.float64), part.features)
    same = np.broadcast_to(popularity, by_content.shape)
    return dict(zip(METHODS, (by_history, by_content, by_content + by_history, same), strict=True))


def _unseen(part: Examples, catalogue: Catalogue) -> list[str]:
    """Actions of which nothing can be learned: their learned parts are 0 for everybody."""
    seen = set(np.flatnonzero((part.history | part.target).any(0)).tolist())
    return [action.id for row, action in enumerate(catalogue.actions) if row not in seen]


def _held_out(hybrid: Hybrid, popularity: Array, part: Examples, seed: int) -> dict[str, object]:
    wanted = _with_target(part)
    gain = {method: _gains(score, wanted) for method, score in _scores(hybrid, popularity, wanted).items()}
    gain[GAIN] = {metric: value - gain["popularity"][metric] for metric, value in gain["hybrid"].items()}
    return figures(gain, wanted.patient.tolist(), seed=seed) | {
        "hours": len(wanted.patient),
        "patients": len(np.unique(wanted.patient)),
        "hours_without_anything_new": len(part.patient) - len(wanted.patient),
        "newly_indicated_an_hour": round(float(wanted.target.sum(1).mean()), 2),
        "actions_ever_newly_indicated": int(wanted.target.any(0).sum()),
    }


def _best(part: dict[Part, Examples], plan: RankerPlan, progress: Progress) -> Hybrid:
    """The hybrid of the plan that puts the next actions of validation patients first; the first of equals."""
    validation = _with_target(part["validation"])
    history = validation.history.astype(np.float64)
    total = len(plan.factors) * len(plan.alphas) * len(plan.regularisations) * len(plan.content_weights)
    best: tuple[float, Hybrid] | None = None
    for done, hybrid in enumerate(_fit(part["training"], plan), start=1):
        score = hybrid.scores(history, validation.features)
        reached = float(_gains(score, validation)[f"ndcg@{FIRST}"].mean())
        best = (reached, hybrid) if best is None or reached > best[0] else best
        progress("ranker", done, total)
    if best is None:
        raise ValueError("the plan names nothing to try")
    return best[1]


def train_ranker(stays: Sequence[Course], plan: RankerPlan, progress: Progress = silent) -> Trained:
    """Fit on the training patients, choose on validation, measure on the held-out ones.

    Args:
        stays: Of any part; split by patient here.
        plan: How.
        progress: Told after each candidate.

    Raises:
        ValueError: Some part has no hour after which anything new is indicated.
    """
    catalogue = Catalogue.load()
    every = examples(stays, catalogue, horizon_h=plan.horizon_h, hours_a_stay=plan.hours_a_stay, seed=plan.seed)
    part = {name: every.of(rows) for name, rows in rows_of(every.patient.tolist()).items()}
    for name, one in part.items():
        if not one.target.any():
            raise ValueError(f"too few stays: nothing new is indicated in the {name} part")
    hybrid = _best(part, plan, progress)
    weights = RankerWeights(content=hybrid.content_weight, collaborative=hybrid.collaborative_weight)
    training = part["training"]
    return Trained(
        Ranker(catalogue, hybrid, weights).state_dict(),
        Manifest(
            name="ranker",
            trained=True,
            config={
                "factors": hybrid.collaborative.action_factors.shape[1],
                "alpha": hybrid.collaborative.alpha,
                "regularisation": hybrid.collaborative.regularisation,
                "weights": asdict(weights),
            },
            input={
                "features": [column.name for column in COLUMNS],
                "history": "actions indicated at the patient's event before, 1 or 0",
            },
            labels=tuple(action.id for action in catalogue.actions),
            horizon_h={"next": plan.horizon_h},
            metrics=_held_out(hybrid, _popularity(training), part["test"], plan.seed)
            | {
                "training_hours": len(training.patient),
                "actions": len(catalogue.actions),
                "never_indicated_in_training": ", ".join(_unseen(training, catalogue)),
            },
            notes="Fitted on what rules indicated in intensive care, not on clinicians' choices. Not validated.",
        ),
    )
