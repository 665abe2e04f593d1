"""The vitals model on stays: each label at every event or at the last one, beside scores that people have already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.calibration import calibrated_logits, probabilities
from models.evaluation import utility
from models.evaluation.figures import Question
from models.training.bedside import bedside
from models.training.scores import by_patient, score
from models.training.sequences import Course, Events, sequence
from models.training.trees import Trees
from models.vitals import LABELS

_AGES: Final = ((45, "under 45"), (65, "45 to 64"), (80, "65 to 79"), (np.inf, "80 and over"))


class Placed(Course, Protocol):
    """A stay that says where it was."""

    @property
    def unit(self) -> str:
        """Kind of intensive care unit, or unknown."""


def _age_band(years: float) -> str:
    return "unknown" if np.isnan(years) else next(name for limit, name in _AGES if years < limit)


def _sex(male: float) -> str:
    return "unknown" if np.isnan(male) else ("male" if male else "female")


def vitals_question(
    bundle: Bundle, stays: Sequence[Placed], label: str, *, last_only: bool = False, trees: Trees | None = None,
    admission: Mapping[str, Mapping[str, float]] | None = None,
) -> Question:  # fmt: skip
    """Every event of every stay, or the last one of each.

    Args:
        bundle: Loaded models.
        stays: With the label of the question; for sepsis one row an hour.
        label: One of `models.vitals.LABELS`.
        last_only: Whether only the last event of a stay counts.
        trees: Grown on other patients, to be shown beside the model.
        admission: Scores of the first day by name and patient; unknown counts as the lowest.
    """
    some = [(stay, events) for stay in stays if len((events := sequence(stay)).label)]
    of = {stay.patient_id: stay for stay, _ in some}
    found = score(bundle.vitals, [events for _, events in some], LABELS.index(label))
    manifest = bundle.manifests["vitals"]
    calibrated = calibrated_logits(found.logit[:, None], [label], manifest.calibration)[:, 0]
    risk = probabilities(calibrated).astype(float)
    order = list(dict.fromkeys(found.patient.tolist()))
    baselines = _rules(of, order)
    if trees is not None:
        baselines["boosted trees"] = _by_trees(trees, {events.patient_id: events for _, events in some}, order)
    for name, scores in (admission or {}).items():
        known = np.array([scores.get(who, np.nan) for who in found.patient.tolist()])
        baselines[name] = np.nan_to_num(known, nan=np.nanmin([*scores.values(), np.inf]))
    rows = found.last if last_only else np.ones_like(found.last)
    who = found.patient[rows]
    extra = {} if last_only else _utility(manifest.metrics, stays, label, by_patient(found.patient, risk))
    return Question(
        label, found.label[rows].astype(float), risk[rows], who,
        {name: values[rows].astype(float) for name, values in baselines.items()},
        {
            "age": np.array([_age_band(of[name].age_years) for name in who.tolist()]),
            "sex": np.array([_sex(of[name].male) for name in who.tolist()]),
            "unit": np.array([of[name].unit for name in who.tolist()]),
        },
        extra,
    )  # fmt: skip


def _rules(of: Mapping[str, Course], order: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The scores of the bedside at each event, by patient in the order given."""
    rules = {one.patient_id: one for one in bedside([of[name] for name in order])}
    return {
        "NEWS2 (lower bound)": np.concatenate([rules[name].news2 for name in order]),
        "qSOFA (lower bound)": np.concatenate([rules[name].qsofa for name in order]),
        "shock index": np.nan_to_num(np.concatenate([rules[name].shock_index for name in order])),
    }


def _by_trees(trees: Trees, events: Mapping[str, Events], order: Sequence[str]) -> NDArray[Any]:
    return np.concatenate(trees.probability([events[name] for name in order]))


def _utility(
    metrics: Mapping[str, Any], stays: Sequence[Course], label: str, risk: Mapping[str, NDArray[np.float64]]
) -> dict[str, object]:
    """The 2019 challenge's utility at the alarm threshold that the manifest names; nothing where it names none."""
    threshold = metrics.get(label, {}).get("utility_threshold")
    if threshold is None:
        return {}
    worth = utility.worth([stay.label for stay in stays])
    alarm = utility.every_hour(stays, risk) >= threshold
    return {"utility (2019 challenge)": utility.interval(worth, alarm), "alarm threshold": threshold}
