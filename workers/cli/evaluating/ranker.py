"""Evaluation of the ranker's recommenders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from models.bundle import artefact
from models.evaluation.figures import Question, Summary
from models.evaluation.ranker import care_summary, drug_recommenders, drug_summaries
from models.training.cases import Cases
from models.training.drugs import drug_cases
from models.training.ranker import RankerPlan, care_cases
from workers.cli.evaluating.case import Case
from workers.datasets import diabetes130, physionet2019

FILES: Final = (physionet2019.FILE, diabetes130.FILE)


def ranker(case: Case) -> Iterator[Question | Summary]:
    """Care actions that rules indicate next (PhysioNet 2019), drugs changed at the next encounter (diabetes130)."""
    if case.has(physionet2019.FILE):
        case.say(f"replaying and scoring {physionet2019.FILE}")
        found = care_cases(list(physionet2019.stays(case.data)), RankerPlan())
        yield care_summary(case.bundle.ranker.recommenders, _kept(case, found))
    if case.has(diabetes130.FILE):
        case.say(f"reading and scoring {diabetes130.FILE}")
        found = drug_cases(diabetes130.encounters(case.data))
        yield from drug_summaries(drug_recommenders(artefact(case.models, "ranker")), _kept(case, found))


def _kept(case: Case, cases: Cases) -> Cases:
    """Those of the part that is asked for, sampled as in training."""
    names = cases.patient.tolist()
    keep = {name: case.keep(name) for name in set(names)}
    return cases.of(np.array([keep[name] for name in names]))
