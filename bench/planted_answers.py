"""What learning from answers recovers, where clinicians with a known taste answer: `python -m bench.planted_answers`.

The clinicians are constructed: each action has a chance of being accepted that depends on the action, the pulse and
the lactate, drawn once. The stays are those of the sepsis challenge (PhysioNet 2019), the lists what the rules indicate
there. So the best order is known, and how near learning comes to it can be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from models.bundle import ARTEFACTS, build_ranker
from models.clinical.actions import Catalogue
from models.columns import INDEX
from models.training.answers import Answers, learn
from models.training.learning import AFTER, BEFORE, figures
from models.training.metrics import Draws, auroc
from models.training.replay import Examples, examples
from models.weights import load
from workers.datasets import physionet2019

COUNTS: Final = (50, 200, 1000, 4000)
_ASKED: Final = 2
"""Actions of a list that are answered."""


def taste(found: Examples, random: np.random.Generator) -> NDArray[np.float64]:
    """(N, A) chance that an action is accepted: of spread 1 by action, and 0.8 a deviation of pulse and lactate."""
    pulse, lactate = (found.features[:, INDEX[name]].astype(np.float64) for name in ("pulse", "lactate"))
    felt = np.column_stack((np.clip((pulse - 90) / 15, -3, 3), np.clip((lactate - 2) / 1.5, -2, 2)))
    actions = found.present.shape[1]
    logit = random.normal(0, 1, actions) + np.nan_to_num(felt) @ random.normal(0, 0.8, (2, actions))
    return 1 / (1 + np.exp(-logit))


def answered(found: Examples, likely: NDArray[np.float64], random: np.random.Generator) -> Answers:
    """Two actions of each list, drawn, in an order that mixes the patients."""
    shown, action = [], []
    for row in random.permutation(len(found.patient)).tolist():
        listed = np.flatnonzero(found.present[row])
        if len(listed) >= _ASKED:
            shown += [row] * _ASKED
            action += random.permutation(listed)[:_ASKED].tolist()
    rows, about = np.array(shown), np.array(action)
    return Answers(
        found.patient[rows], rows, about, random.random(len(rows)) < likely[rows, about],
        found.history[rows].astype(np.float32), found.features[rows],
    )  # fmt: skip


def main(
    data: Annotated[Path, typer.Option(help="Folder of data sets.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Of taste, sampling and answers.")] = 5,
) -> None:
    """Print, for several numbers of answers, the figures of `wardstream learn` on held-out patients."""
    random = np.random.default_rng(seed)
    found = examples(list(physionet2019.stays(data)), Catalogue.load(), horizon_h=6.0, hours_a_stay=2, seed=seed)
    likely = taste(found, random)
    learned, held_out = answered(found, likely, random).split()
    state, _ = load(ARTEFACTS / "ranker")
    base = build_ranker(state, ARTEFACTS)
    truth = held_out.relevant.astype(np.float64)
    best = Draws(held_out.patient.tolist()).interval(auroc, truth, likely[held_out.shown, held_out.action])
    print(f"held out: {len(truth)} answers of {len(np.unique(held_out.patient))} patients; best possible AUROC {best}")
    for count in COUNTS:
        rows = figures(base, learn(base, learned.of(np.arange(count))), held_out)
        print(count, {name: rows[name] for name in (BEFORE, AFTER)}, f"{rows['pairs_held_out']} pairs")


if __name__ == "__main__":
    typer.run(main)
