"""The recommenders on care actions and drugs, beside popularity and item-kNN: recall and NDCG of the first few.

Care actions and drugs are scored by what was fitted in training. Prescriptions (MIMIC-III demo) are fitted here, on
other patients than are judged, because nothing made from that set may ship under this product's licence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.figures import Summary
from models.recommend.recommenders import DRUGS_FILE, Recommenders
from models.training.cases import AGAINST, Cases, gains_by_method, measured
from models.training.drugs import FEATURES, drug_figures
from models.training.prescriptions import prescription_figures
from models.training.ranking_figures import figures
from models.weights import WeightsError

_AGES: Final = (50.0, 70.0, 80.0)
_LEAST_PATIENTS: Final = 30
_BY_GROUP: Final = ("recall@5", "ndcg@5")


def _summary(name: str, found: Mapping[str, object]) -> Summary:
    """The counts, and one table of all methods."""
    methods = {method: row for method, row in found.items() if isinstance(row, Mapping)}
    counts = {figure: value for figure, value in found.items() if figure not in methods}
    return Summary(name, {**counts, "methods": methods})


def care_summary(recommenders: Recommenders, cases: Cases) -> Summary:
    """How well what the rules indicate next is foreseen; the rules' own next output, nobody's choice."""
    return _summary("care actions newly indicated within the horizon", measured(recommenders, cases))


def drug_summaries(recommenders: Recommenders, cases: Cases) -> Iterator[Summary]:
    """How well the drugs that clinicians changed are foreseen, also by age and sex."""
    for name, found in drug_figures(recommenders, cases).items():
        yield _summary(name, found)
    groups = _groups(cases.of(~cases.cold).wanted())
    by = {stratum: _by_group(recommenders, each) for stratum, each in groups.items()}
    if any(by.values()):
        yield Summary("drugs changed, by group", {stratum: found for stratum, found in by.items() if found})


def _groups(cases: Cases) -> dict[str, dict[str, Cases]]:
    """By age, in decades as the set has them, and by sex."""
    age, male = (cases.features[:, FEATURES.index(name)] for name in ("age_years", "male"))
    edges = (0.0, *_AGES, np.inf)
    ages = {_age_name(low, high): (age >= low) & (age < high) for low, high in pairwise(edges)}
    sexes = {"female": male == 0, "male": male == 1}
    return {
        stratum: {name: cases.of(rows) for name, rows in each.items()}
        for stratum, each in (("age", ages), ("sex", sexes))
    }


def _age_name(low: float, high: float) -> str:
    if not low:
        return f"under {high:g}"
    return f"{low:g} and over" if np.isinf(high) else f"{low:g} to {high - 1:g}"


def _by_group(recommenders: Recommenders, groups: Mapping[str, Cases]) -> dict[str, dict[str, object]]:
    """Counts, and recall and NDCG of the hybrid and of popularity; small groups say nothing, and are not shown."""
    found: dict[str, dict[str, object]] = {}
    for group, cases in groups.items():
        if len(np.unique(cases.patient)) >= _LEAST_PATIENTS:
            gain = gains_by_method(recommenders, cases)
            each = figures({method: gain[method] for method in AGAINST}, cases.patient.tolist())
            found[group] = {"rows": len(cases.patient)} | {
                f"{method} {metric}": value
                for method, row in each.items()
                if isinstance(row, Mapping)
                for metric, value in row.items()
                if metric in _BY_GROUP
            }
    return found


def prescription_summaries(cases: Cases, judged: NDArray[np.bool_]) -> Iterator[Summary]:
    """How well drugs newly prescribed are foreseen, by recommenders fitted here on other patients of the same set.

    Args:
        cases: Of all patients.
        judged: (N,) those to judge.
    """
    for name, found in prescription_figures(cases, judged).items():
        yield _summary(f"MIMIC-III demo, refitted: {name}", found)


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
