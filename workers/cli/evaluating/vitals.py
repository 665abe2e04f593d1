"""Evaluation of the vitals network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.evaluation.faithfulness import COLUMNS, vitals_moves
from models.evaluation.figures import Question, Summary
from models.evaluation.vitals import vitals_question
from models.training.sequences import sequence
from workers.cli.evaluating.case import Case
from workers.datasets import physionet2012, physionet2019

FILES: Final = (physionet2019.FILE, physionet2012.EVENTS, physionet2012.OUTCOMES)


def vitals(case: Case) -> Iterator[Question | Summary]:
    """Sepsis at every event (PhysioNet 2019), death at the last one (PhysioNet 2012)."""
    if case.has(physionet2019.FILE):
        case.say(f"reading and scoring {physionet2019.FILE}")
        stays = [stay for stay in physionet2019.stays(case.data) if case.keep(f"sepsis/{stay.patient_id}")]
        if stays:
            yield vitals_question(case.bundle, stays, "sepsis_6h")
        events = [one for one in map(sequence, stays) if len(one.label)]
        if events:
            yield vitals_moves(case.bundle.vitals, events).summary(
                f"explanation of vital signs: {COLUMNS} columns of an event taken away", "sepsis logit moved by"
            )
    if case.has(physionet2012.EVENTS):
        case.say(f"reading and scoring {physionet2012.EVENTS}")
        stays = [stay for stay in physionet2012.stays(case.data) if case.keep(f"mortality/{stay.patient_id}")]
        if stays:
            yield vitals_question(case.bundle, stays, "mortality", last_only=True)
