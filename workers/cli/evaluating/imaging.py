"""Evaluation of the imaging network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from models.evaluation.figures import Question, Summary
from models.evaluation.imaging import imaging_questions
from workers.cli.evaluating.case import Case
from workers.datasets import kermany
from workers.datasets.films import films

FILES: Final = (kermany.FILE,)


def imaging(case: Case) -> Iterator[Question | Summary]:
    """Films of children (Kermany)."""
    pixels, label, patient = films(case.data)
    rows = np.array([i for i, name in enumerate(patient) if case.keep(name)])
    if len(rows):
        yield from imaging_questions(case.bundle, pixels[rows], label[rows], [patient[i] for i in rows])
