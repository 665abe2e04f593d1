"""Evaluation of the vitals network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from models.evaluation.faithfulness import COLUMNS, vitals_moves
from models.evaluation.figures import Question, Summary
from models.evaluation.vitals import vitals_question
from models.training.sequences import sequence
from models.training.split import part_of
from models.training.trees import YARDSTICKS, Trees
from models.vitals import LABELS
from workers.cli.evaluating.case import Case
from workers.datasets import physionet2012, physionet2019

FILES: Final = (physionet2019.FILE, physionet2012.EVENTS, physionet2012.OUTCOMES)

_SAPS: Final = "SAPS-I"


def vitals(case: Case) -> Iterator[Question | Summary]:
    """Sepsis at every event (PhysioNet 2019), death at the last one (PhysioNet 2012)."""
    if case.has(physionet2019.FILE):
        case.say(f"reading and scoring {physionet2019.FILE}")
        stays = [stay for stay in physionet2019.stays(case.data) if case.keep(f"sepsis/{stay.patient_id}")]
        if stays:
            yield vitals_question(case.bundle, stays, "sepsis_6h", trees=_trees(case, physionet2019, "sepsis", 0))
        events = [one for one in map(sequence, stays) if len(one.label)]
        if events:
            yield vitals_moves(case.bundle.vitals, events).summary(
                f"explanation of vital signs: {COLUMNS} columns of an event taken away", "sepsis logit moved by"
            )
    if case.has(physionet2012.EVENTS):
        case.say(f"reading and scoring {physionet2012.EVENTS}")
        stays = [stay for stay in physionet2012.stays(case.data) if case.keep(f"mortality/{stay.patient_id}")]
        if stays:
            yield vitals_question(
                case.bundle, stays, "mortality", last_only=True, trees=_trees(case, physionet2012, "mortality", 1),
                admission=_admission(case.data),
            )  # fmt: skip


def _admission(data: Path) -> dict[str, dict[str, float]]:
    """SAPS-I of the first day by patient, where the folder has it."""
    scores = physionet2012.outcomes(data, _SAPS)
    return {_SAPS: {str(record): value for record, value in scores.items()}} if scores else {}


def _trees(case: Case, source: ModuleType, name: str, head: int) -> Trees | None:
    """Grown on the training part of the folder that the case names, from the columns that the model reads."""
    if case.trees is None:
        return None
    case.say(f"growing trees for {LABELS[head]} on the training part of {case.trees}: a few minutes")
    stays = (stay for stay in source.stays(case.trees) if part_of(f"{name}/{stay.patient_id}") == "training")
    events = [one for one in map(sequence, stays) if len(one.label)]
    return Trees(events, np.flatnonzero(case.bundle.vitals.used.numpy()), YARDSTICKS[head])
