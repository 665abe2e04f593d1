"""What clinicians answered, as a ranker can learn it: this action, shown for this patient, was relevant or was not.

Closed form and Bayesian: the ranker in use is the prior, the answers are the data. For action a, an answer y (1
relevant, 0 not) is expected to be

    y = average + s_a + d_a + terms . b_a + (u - u_usual) . c_a,

with s_a the learned score of today, d_a how much more often than the average the action is accepted, and b_a, c_a what
the patient's readings and history change in that. d, b and c have the prior N(0, noise / strength), so their best
values solve one ridge system an action (Bishop CM. Pattern recognition and machine learning, 2006, 3.3.1). With n
answers, d_a moves n / (n + strength) of the way. b is added to the weights of the content part, c to the item's
factors.

Nothing here is a risk, and nothing here may be read by a model of risk: that somebody did not act says nothing about
what the patient had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.ranker import Ranker
from models.recommend.recommenders import Recommenders
from models.training.split import part_of

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_PATIENTS: Final = 5
"""From how many patients on an action moves: the taste of one round, or the readings of one patient, must not show."""


@dataclass(frozen=True, slots=True)
class Answers:
    """N answers, each about one action of one recommendation.

    Attributes:
        patient: (N,) whose, as named to `models.training.split`.
        shown: (N,) number of the recommendation.
        action: (N,) column of the catalogue.
        relevant: (N,) what the answer says.
        history: (N, A) 1 where indicated at the patient's event before, else 0.
        features: (N, F), NaN where unknown.
    """

    patient: NDArray[np.str_]
    shown: NDArray[np.int64]
    action: NDArray[np.int64]
    relevant: Bools
    history: NDArray[np.float32]
    features: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64] | Bools) -> Answers:
        """Only these rows."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(Answers)))

    def split(self) -> tuple[Answers, Answers]:
        """What to learn from, and what to measure by: patients of the held-out fifth."""
        held_out = np.array([part_of(name) == "test" for name in self.patient.tolist()], np.bool_)
        return self.of(~held_out), self.of(held_out)


@dataclass(frozen=True, slots=True)
class Strength:
    """How many answers the prior is worth.

    Attributes:
        acceptance: Of how often an action is accepted: after so many answers it has moved half way.
        content: Of each term of the readings, whose size is about 1.
        collaborative: Of each factor of the history.
    """

    acceptance: float = 10.0
    content: float = 60.0
    collaborative: float = 60.0


def learned_score(ranker: Ranker, answers: Answers) -> Array:
    """(N,) the learned part of the score that a ranker gives the action of each answer."""
    by_content, by_history = ranker.learned_parts(answers.history, answers.features)
    rows = np.arange(len(answers.action))
    score: Array = (by_content + by_history)[rows, answers.action]
    return score


def learn(base: Ranker, answers: Answers, strength: Strength | None = None) -> Ranker:
    """The ranker after these answers. Actions with answers of fewer than `LEAST_PATIENTS` patients stay as they are.

    Args:
        base: The prior; it is not changed.
        answers: At least one.
        strength: Of the prior.
    """
    prior = strength or Strength()
    hybrid = base.recommenders.hybrid
    by_content, by_history = hybrid.content, hybrid.collaborative
    design, precision = _design(base, answers, prior)
    truth = answers.relevant.astype(np.float64)
    wrong = truth - truth.mean() - learned_score(base, answers)
    acceptance, weights, factors = hybrid.acceptance.copy(), by_content.weights.copy(), by_history.item_factors.copy()
    terms = weights.shape[1]
    for action in _moving(answers):
        rows = answers.action == action
        phi = design[rows]
        moved = np.linalg.solve(phi.T @ phi + np.diag(precision), phi.T @ wrong[rows])
        acceptance[action] = np.clip(acceptance[action] + moved[0], -1.0, 1.0)
        if hybrid.content_weight:
            weights[action] += moved[1 : 1 + terms] / hybrid.content_weight
        if hybrid.collaborative_weight:
            factors[action] += moved[1 + terms :] / hybrid.collaborative_weight
    content = ContentFilter(by_content.mean, by_content.scale, weights, by_content.usual)
    collaborative = CollaborativeFiltering(
        by_history.history_factors, factors, by_history.everyone,
        alpha=by_history.alpha, regularisation=by_history.regularisation,
    )  # fmt: skip
    after = replace(hybrid, content=content, collaborative=collaborative, acceptance=acceptance)
    baselines = base.recommenders
    return Ranker(base.catalogue, Recommenders(after, baselines.popularity, baselines.neighbours), base.weights)


def _design(base: Ranker, answers: Answers, prior: Strength) -> tuple[Array, Array]:
    """(N, 1 + 3 F + k) what each answer depends on, and the (1 + 3 F + k,) precision of the prior of each column."""
    hybrid = base.recommenders.hybrid
    terms = hybrid.content.terms(answers.features)
    usual = hybrid.collaborative.fold_in(np.zeros((1, answers.history.shape[1])))
    factors = hybrid.collaborative.fold_in(answers.history) - usual
    factors[~answers.history.any(axis=1)] = 0.0
    ones = np.ones((len(terms), 1))
    precision = np.repeat([prior.acceptance, prior.content, prior.collaborative], [1, terms.shape[1], factors.shape[1]])
    return np.hstack((ones, terms, factors)), precision


def _moving(answers: Answers) -> Sequence[int]:
    """Actions that enough patients' answers are about."""
    pairs = {(action, name) for action, name in zip(answers.action.tolist(), answers.patient.tolist(), strict=True)}
    count = np.bincount([action for action, _ in pairs])
    moving: list[int] = np.flatnonzero(count >= LEAST_PATIENTS).tolist()
    return moving
