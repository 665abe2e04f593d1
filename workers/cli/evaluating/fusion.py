"""Evaluation of fusion on a cohort constructed from the folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.evaluation.figures import Question, Summary
from models.evaluation.fusion import ROWS, fusion_questions
from models.training.cohort import pair
from workers.cli.evaluating.case import Case
from workers.cli.pools import film_pool, note_pool, sepsis_hours
from workers.datasets import kermany, mtsamples, physionet2019
from workers.datasets.folder import DatasetError

FILES: Final = (physionet2019.FILE, mtsamples.FILE, kermany.FILE)


def fusion(case: Case) -> Iterator[Question | Summary]:
    """Hours (PhysioNet 2019), notes (MTSamples) and films (Kermany) of different people, paired by label."""
    case.say("notes")
    notes, _ = note_pool(case.bundle, case.data, case.keep)
    case.say("films")
    images, _ = film_pool(case.bundle, case.data, case.keep)
    case.say("hours")
    hours = sepsis_hours(case.bundle, case.data, case.keep)
    try:
        cohort = pair(hours, notes, images, ROWS, seed=0)
    except ValueError as error:
        raise DatasetError(str(error)) from error
    yield from fusion_questions(case.bundle, cohort)
