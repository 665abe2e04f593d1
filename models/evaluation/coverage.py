"""Whether prediction sets keep what they promise on other data, and how often they leave the answer open."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.conformal import YES_NO, Conformal, both
from models.evaluation.figures import Floats, Texts
from models.training.metrics import Draws


def coverage_figures(
    conformal: Conformal | None, label: Floats, probability: Floats, patient: Texts
) -> Mapping[str, object]:
    """Figures of a yes-no label's sets, for `Question.extra`; none without sets.

    Args:
        conformal: Of the label.
        label: (N,) 0 or 1.
        probability: (N,) calibrated.
        patient: (N,) whose row.

    Returns:
        The coverage that is meant; of yes and of no, the share whose set has the true answer; the share of all rows
        whose set leaves both answers open, or neither. Shares as [value, lower, upper].
    """
    if conformal is None:
        return {}
    sets, draws = conformal.sets(both(probability)), Draws(patient.tolist())
    return {"coverage meant": conformal.coverage} | _shares(sets, label.astype(np.int64), draws)


def _shares(sets: NDArray[np.bool_], label: NDArray[np.int64], draws: Draws) -> dict[str, object]:
    kept = sets[np.arange(len(label)), label].astype(np.float64)
    covered: dict[str, object] = {
        f"coverage of {answer}": draws.ratio(kept * (label == column), label == column)
        for column, answer in enumerate(YES_NO)
    }
    return covered | {"ambiguous": draws.mean((sets.sum(1) != 1).astype(np.float64))}
