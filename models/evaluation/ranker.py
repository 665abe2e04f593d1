"""The recommenders on care actions and drugs, beside popularity and item-kNN: recall and NDCG of the first few.

Care actions and drugs are scored by what was fitted in training. Prescriptions (MIMIC-III demo) are fitted here, on
other patients than are judged, because nothing made from that set may ship under this product's licence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.evaluation.figures import Summary
from models.recommend.recommenders import DRUGS_FILE, Recommenders
from models.training.cases import Cases, measured
from models.training.drugs import drug_figures
from models.training.prescriptions import prescription_figures
from models.weights import WeightsError


def _summary(name: str, found: Mapping[str, object]) -> Summary:
    """The counts, and one table of all methods."""
    methods = {method: row for method, row in found.items() if isinstance(row, Mapping)}
    counts = {figure: value for figure, value in found.items() if figure not in methods}
    return Summary(name, {**counts, "methods": methods})


def care_summary(recommenders: Recommenders, cases: Cases) -> Summary:
    """How well what the rules indicate next is foreseen; the rules' own next output, nobody's choice."""
    return _summary("care actions newly indicated within the horizon", measured(recommenders, cases))


def drug_summaries(recommenders: Recommenders, cases: Cases) -> Iterator[Summary]:
    """How well the drugs that clinicians changed are foreseen."""
    for name, figures in drug_figures(recommenders, cases).items():
        yield _summary(name, figures)


def prescription_summaries(cases: Cases, judged: NDArray[np.bool_]) -> Iterator[Summary]:
    """How well drugs newly prescribed are foreseen, by recommenders fitted here on other patients of the same set.

    Args:
        cases: Of all patients.
        judged: (N,) those to judge.
    """
    for name, figures in prescription_figures(cases, judged).items():
        yield _summary(name, figures)


def drug_recommenders(ranker: Path) -> Recommenders:
    """What was fitted on drugs and lies in the ranker's artefact; its hash is checked where the ranker is loaded.

    Raises:
        WeightsError: The artefact has none: it was trained without that set.
    """
    file = ranker / DRUGS_FILE
    if not file.is_file():
        raise WeightsError(f"{file} is missing: the ranker there was trained without the set of drugs")
    try:
        return Recommenders.from_bytes(file.read_bytes())
    except ValueError as error:
        raise WeightsError(f"{file} cannot be read: {error}") from error
