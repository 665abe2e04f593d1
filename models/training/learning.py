"""From answers to a new version of the ranker, with how it does on patients whose answers it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommend.ranker import Ranker
from models.training.answers import LEAST_PATIENTS, Answers, Strength, learn, learned_score
from models.training.metrics import Draws, auroc
from models.training.outcome import Trained
from models.training.split import TooFewError
from models.weights import Manifest

Array = NDArray[np.float64]

LEAST: Final[Mapping[str, int]] = {"answers": 40, "relevant": 10, "not relevant": 10, "patients": 10}
"""Of those to learn from: with less, what is learned is chance. Policy."""

LEAST_HELD_OUT: Final[Mapping[str, int]] = {"relevant": 2, "not relevant": 2}
"""Of those to measure by: with less there is no figure at all."""

BEFORE, AFTER, GAIN = "answers, before", "answers, after", "answers, after minus before"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of learning.

    Attributes:
        trained: The new ranker, with its manifest.
        ranker: The same, ready to rank.
        moved: Actions that now stand elsewhere: id, answers, of them relevant, acceptance before, after.
    """

    trained: Trained
    ranker: Ranker
    moved: tuple[tuple[str, int, int, float, float], ...]


def counts(answers: Answers) -> dict[str, int]:
    """How many there are, of each kind and of how many patients."""
    relevant = int(answers.relevant.sum())
    return {
        "answers": len(answers.relevant),
        "relevant": relevant,
        "not relevant": len(answers.relevant) - relevant,
        "patients": len(np.unique(answers.patient)),
    }


def learn_ranker(base: Ranker, manifest: Manifest, answers: Answers, *, seed: int = 0) -> Lesson:
    """Learn from four fifths of the patients, measure on the rest.

    Args:
        base: The version to start from.
        manifest: Its.
        answers: All that teach something.
        seed: Of the bootstrap.

    Raises:
        TooFewError: There are too few; the message says how many there are and how many it takes.
    """
    taught, held_out = answers.split()
    _require(counts(taught), LEAST, "to learn from, which are those of four patients in five")
    _require(counts(held_out), LEAST_HELD_OUT, "of the fifth of the patients that is held out to measure by")
    strength = Strength()
    ranker = learn(base, taught, strength)
    told = {key: value for key, value in manifest.config.items() if key != "learned"}
    learned = {
        "from": manifest.version,
        "strength": asdict(strength),
        "least_patients_an_action": LEAST_PATIENTS,
        "answers": counts(taught),
    }
    metrics = figures(base, ranker, held_out, seed) | {
        "answers_learned_from": len(taught.relevant),
        "answers_held_out": len(held_out.relevant),
        "patients_held_out": len(np.unique(held_out.patient)),
    }
    made = manifest.model_copy(
        update={
            "config": {**told, "learned": learned},
            "metrics": metrics,
            "notes": f"{manifest.version}, and then clinicians' answers to its own kind's recommendations. "
            "The figures are of answers alone. Not validated.",
        }
    )
    return Lesson(Trained(ranker.state_dict(), made), ranker, _moved(base, ranker, taught))


def _require(found: Mapping[str, int], least: Mapping[str, int], which: str) -> None:
    if any(found[name] < count for name, count in least.items()):
        have = ", ".join(f"{found[name]} {name}" for name in least)
        need = ", ".join(f"{count} {name}" for name, count in least.items())
        raise TooFewError(f"too few answers {which}: there are {have}; it takes {need}")


def figures(base: Ranker, after: Ranker, answers: Answers, seed: int = 0) -> dict[str, object]:
    """How both rankers put what was answered, by answers that neither learned from.

    Returns:
        Two rows and their difference. "auroc": chance that a relevant action has the higher learned score than one that
        is not, over all answers. "above": the same within one recommendation and one urgency, where the score decides.
    """
    draws = Draws(answers.patient.tolist(), seed)
    truth = answers.relevant.astype(np.float64)
    scores = {BEFORE: learned_score(base, answers), AFTER: learned_score(after, answers)}
    urgency = np.array([action.urgency_rank for action in base.catalogue.actions])[answers.action]
    wins = {name: _wins(answers, urgency, score) for name, score in scores.items()}
    pairs = wins[BEFORE][1]
    rows: dict[str, object] = {
        name: {"auroc": draws.interval(auroc, truth, score), "above": draws.ratio(wins[name][0], pairs)}
        for name, score in scores.items()
    }
    rows[GAIN] = {
        "auroc": draws.difference(auroc, truth, scores[AFTER], scores[BEFORE]),
        "above": draws.ratio(wins[AFTER][0] - wins[BEFORE][0], pairs),
    }
    return rows | {"pairs_held_out": int(pairs.sum())}


def _wins(answers: Answers, urgency: NDArray[np.int64], score: Array) -> tuple[Array, Array]:
    """Of each relevant answer, how many answers of the same recommendation and urgency that are not it is above.

    Ties count half. Returns (N,) won, and (N,) how many there are.
    """
    won, of = np.zeros(len(score)), np.zeros(len(score))
    lists: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(zip(answers.shown.tolist(), urgency.tolist(), strict=True)):
        lists.setdefault(key, []).append(row)
    for rows in lists.values():
        refused = score[[row for row in rows if not answers.relevant[row]]]
        for row in rows:
            if answers.relevant[row]:
                won[row] = (score[row] > refused).sum() + (score[row] == refused).sum() / 2
                of[row] = len(refused)
    return won, of


def _moved(base: Ranker, after: Ranker, taught: Answers) -> tuple[tuple[str, int, int, float, float], ...]:
    old, new = (one.recommenders.hybrid.acceptance for one in (base, after))
    found = []
    for action in np.flatnonzero(new != old).tolist():
        about = taught.relevant[taught.action == action]
        name = base.catalogue.actions[action].id
        found.append((name, len(about), int(about.sum()), float(old[action]), float(new[action])))
    return tuple(sorted(found, key=lambda row: row[3] - row[4]))
