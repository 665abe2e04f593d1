"""Evaluation of the imaging network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from models.evaluation.figures import Question, Summary
from models.evaluation.imaging import Films, flags, imaging_figures
from models.training.imaging import reported
from workers.cli.evaluating.case import Case, Part
from workers.datasets import kermany
from workers.datasets.films import adult_films, films

FILES: Final = (kermany.FILE, kermany.NIH_FILE)


def imaging(case: Case) -> Iterator[Question | Summary]:
    """Films of children (Kermany), and how many films of adults (NIH) are flagged; either set may be missing."""
    adults = adult_films(case.data)
    if adults is None or case.has(kermany.FILE):  # without either, reading says what is missing
        pixels, label, patient = films(case.data)
        rows = np.array([i for i, name in enumerate(patient) if case.keep(name)], np.int64)
        if len(rows):
            yield from imaging_figures(case.bundle, Films(pixels[rows], label[rows], [patient[i] for i in rows]))
    if adults is not None:
        shown, whose = adults
        kept = [i for i, name in enumerate(whose) if case.part is Part.all or reported(name)]
        if kept:
            flagged = flags(case.bundle, shown[kept], [whose[i] for i in kept])
            yield Summary("films of adults", {"flagged as unlike training": flagged, "films": len(kept)})
