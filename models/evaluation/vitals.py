"""The vitals model on stays: each label at every event or at the last one, beside the scores of the bedside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.bundle import Bundle
from models.calibration import calibrated_logits, probabilities
from models.evaluation.figures import Question
from models.training.bedside import bedside
from models.training.sequences import Course, sequence
from models.training.vitals import score
from models.vitals import LABELS

_AGES: Final = ((45, "under 45"), (65, "45 to 64"), (80, "65 to 79"), (np.inf, "80 and over"))


def _age_band(years: float) -> str:
    return "unknown" if np.isnan(years) else next(name for limit, name in _AGES if years < limit)


def _sex(male: float) -> str:
    return "unknown" if np.isnan(male) else ("male" if male else "female")


def vitals_question(bundle: Bundle, stays: Sequence[Course], label: str, *, last_only: bool = False) -> Question:
    """Every event of every stay, or the last one of each.

    Args:
        bundle: Loaded models.
        stays: With the label of the question.
        label: One of `models.vitals.LABELS`.
        last_only: Whether only the last event of a stay counts.
    """
    events = [sequence(stay) for stay in stays]
    of = {stay.patient_id: stay for stay, one in zip(stays, events, strict=True) if len(one.label)}
    found = score(bundle.vitals, [one for one in events if len(one.label)], LABELS.index(label))
    calibration = bundle.manifests["vitals"].calibration
    calibrated = calibrated_logits(found.logit[:, None], [label], calibration)[:, 0]
    order = list(dict.fromkeys(found.patient.tolist()))
    rules = {one.patient_id: one for one in bedside([of[name] for name in order])}
    baselines = {
        "NEWS2 (lower bound)": np.concatenate([rules[name].news2 for name in order]),
        "qSOFA (lower bound)": np.concatenate([rules[name].qsofa for name in order]),
        "shock index": np.nan_to_num(np.concatenate([rules[name].shock_index for name in order])),
    }
    rows = found.last if last_only else np.ones_like(found.last)
    who = found.patient[rows]
    return Question(
        label, found.label[rows].astype(float), probabilities(calibrated)[rows].astype(float), who,
        {name: values[rows].astype(float) for name, values in baselines.items()},
        {
            "age": np.array([_age_band(of[name].age_years) for name in who.tolist()]),
            "sex": np.array([_sex(of[name].male) for name in who.tolist()]),
        },
    )  # fmt: skip
