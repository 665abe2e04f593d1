"""The recommenders on care actions and drugs, beside popularity and item-kNN: recall and NDCG of the first few.

Care actions and drugs are scored by what was fitted in training. Prescriptions (MIMIC-III demo) are fitted here, on
other patients than are judged, because nothing made from that set may ship under this product's licence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.evaluation.figures import Summary
from models.recommend.recommenders import DRUGS_FILE, Recommenders
from models.training.cases import Cases, measured
from models.training.drugs import drug_figures
from models.weights import WeightsError


def care_summary(recommenders: Recommenders, cases: Cases) -> Summary:
    """How well what the rules indicate next is foreseen; the rules' own next output, nobody's choice."""
    return Summary("care actions newly indicated within the horizon", measured(recommenders, cases))


def drug_summaries(recommenders: Recommenders, cases: Cases) -> Iterator[Summary]:
    """How well the drugs that clinicians changed are foreseen."""
    for name, figures in drug_figures(recommenders, cases).items():
        yield Summary(name, figures)


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
