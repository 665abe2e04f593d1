"""Fit the ranker's recommenders on what the rules indicated in stays, and measure how well they foresee what is next.

Interactions here are indications of published rules, nobody's choices: what is learned is which indications go and
follow together, and which readings precede them. A version that learns from feedback can take its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from models.clinical.actions import Catalogue
from models.columns import COLUMNS
from models.recommend.ranker import Ranker, RankerWeights
from models.training import drugs
from models.training.cases import Cases, Grid, fit, measured
from models.training.outcome import Progress, Trained, silent
from models.training.replay import Examples, examples
from models.training.sequences import Course
from models.weights import Manifest

GRID: Final = Grid(
    factors=(8,),  # a patient's factors are solved for at every event: twice the width costs four times as much
    alphas=(0.25, 1.0),
    item_regularisations=(100.0, 300.0),
    content_regularisations=(30.0, 100.0, 300.0),
)


@dataclass(frozen=True, slots=True)
class RankerPlan:
    """How to replay and fit.

    Attributes:
        horizon_h: How far "next" reaches.
        hours_a_stay: Most hours sampled of a stay.
        care: What to try for care actions.
        drugs: What to try for drugs.
        iterations: Rounds of alternating least squares.
        seed: Of sampling and initial factors.
    """

    horizon_h: float = 6.0
    hours_a_stay: int = 4
    care: Grid = GRID
    drugs: Grid = drugs.GRID
    iterations: int = 10
    seed: int = 0


def cases_of(found: Examples) -> Cases:
    """Replayed hours as cases: an action may come next where it is indicated neither now nor at the event before."""
    return Cases(
        found.patient, found.history.astype(np.float64), found.features, ~(found.present | found.history), found.target
    )


def care_cases(stays: Sequence[Course], plan: RankerPlan) -> Cases:
    """Sampled hours of stays as cases.

    Raises:
        ValueError: No stay has three events within reach of one another.
    """
    return cases_of(
        examples(stays, Catalogue.load(), horizon_h=plan.horizon_h, hours_a_stay=plan.hours_a_stay, seed=plan.seed)
    )


def _unseen(training: Cases, catalogue: Catalogue) -> list[str]:
    """Actions of which nothing can be learned: their learned parts are 0 for everybody."""
    seen = set(np.flatnonzero(((training.history > 0) | training.target).any(axis=0)).tolist())
    return [action.id for row, action in enumerate(catalogue.actions) if row not in seen]


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
    part = care_cases(stays, plan).parts()
    for name, one in part.items():
        if not one.target.any():
            raise ValueError(f"too few stays: nothing new is indicated in the {name} part")
    fitted = fit(
        part["training"], part["validation"], plan.care,
        iterations=plan.iterations, seed=plan.seed, progress=progress, what="care actions",
    )  # fmt: skip
    weights = RankerWeights()
    training = part["training"]
    return Trained(
        Ranker(catalogue, fitted.recommenders, weights).state_dict(),
        Manifest(
            name="ranker",
            trained=True,
            config={**fitted.chosen, "weights": asdict(weights)},
            input={
                "features": [column.name for column in COLUMNS],
                "history": "actions indicated at the patient's event before, 1 or 0",
            },
            labels=tuple(action.id for action in catalogue.actions),
            horizon_h={"next": plan.horizon_h},
            metrics=measured(fitted.recommenders, part["test"], seed=plan.seed)
            | {
                "actions_ever_newly_indicated": int(part["test"].target.any(0).sum()),
                "training_hours": len(training.patient),
                "actions": len(catalogue.actions),
                "never_indicated_in_training": ", ".join(_unseen(training, catalogue)),
            },
            notes="Fitted on what rules indicated in intensive care, not on clinicians' choices. Not validated.",
        ),
        fitted.history,
    )


def with_drugs(trained: Trained, other: drugs.TrainedDrugs) -> Trained:
    """The ranker whose manifest and history also speak of the recommenders of drugs.

    Their figures are rows like "QUESTION: METHOD", so that they stand in the card's tables.
    """
    rows: dict[str, object] = {}
    for question, figures in other.metrics.items():
        rows |= {f"{question}: {name}": one for name, one in figures.items()}
    manifest = trained.manifest
    more = {
        "metrics": manifest.metrics | rows,
        "config": manifest.config | {"drugs": dict(other.chosen)},
        "input": manifest.input | {"drug_features": list(drugs.FEATURES), "drug_history": list(drugs.HISTORY)},
    }
    history = tuple({**one, "drugs_loss": two["loss"]} for one, two in zip(trained.history, other.history, strict=True))
    return replace(trained, manifest=manifest.model_copy(update=more), history=history)
