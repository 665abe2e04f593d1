"""Evaluation of the ranker's recommenders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import artefact
from models.evaluation.figures import Question, Summary
from models.evaluation.ranked_lists import Lists, list_summary, lists
from models.evaluation.ranker import care_summary, drug_recommenders, drug_summaries, prescription_summaries
from models.training.cases import Cases
from models.training.drugs import drug_cases
from models.training.prescriptions import prescription_cases
from models.training.ranker import RankerPlan, care_cases
from workers.cli.evaluating.case import Case
from workers.datasets import diabetes130, mimic3, physionet2019
from workers.datasets.folder import DatasetError

FILES: Final = (
    physionet2019.FILE, diabetes130.FILE, mimic3.PRESCRIPTIONS, mimic3.ADMISSIONS, mimic3.PATIENTS,
)  # fmt: skip


def ranker(case: Case) -> Iterator[Question | Summary]:
    """Each set that is there.

    Care actions that rules indicate next, and the lists as shown (PhysioNet 2019), drugs changed at the next encounter
    (diabetes130), drugs newly prescribed in intensive care (MIMIC-III demo).
    """
    if case.has(physionet2019.FILE):
        case.say(f"replaying and scoring {physionet2019.FILE}")
        found = _care_cases(case)
        yield care_summary(case.bundle.ranker.recommenders, found.of(_judged(case, found)))
        shown = _lists(case)
        if shown is not None:
            yield list_summary(case.bundle.ranker, shown)
    if case.has(diabetes130.FILE):
        case.say(f"reading and scoring {diabetes130.FILE}")
        found = drug_cases(diabetes130.encounters(case.data))
        recommenders = drug_recommenders(artefact(case.models, "ranker"))
        yield from drug_summaries(recommenders, found.of(_judged(case, found)))
    if case.has(mimic3.PRESCRIPTIONS):
        case.say(f"reading {mimic3.PRESCRIPTIONS}, fitting and scoring by tenths")
        found = prescription_cases(mimic3.orders(case.data))
        yield from prescription_summaries(found, _judged(case, found))


def _lists(case: Case) -> Lists | None:
    """Lists to judge; None, and a line that says so, where no hour of the part has one."""
    plan = RankerPlan()
    stays = [stay for stay in physionet2019.stays(case.data) if case.keep(stay.patient_id)]
    try:
        return lists(
            stays, case.bundle.ranker.catalogue, horizon_h=plan.horizon_h, hours_a_stay=plan.hours_a_stay,
            seed=plan.seed,
        )  # fmt: skip
    except ValueError as error:
        case.say(f"{physionet2019.FILE}: {error}")
        return None


def _care_cases(case: Case) -> Cases:
    try:
        return care_cases(list(physionet2019.stays(case.data)), RankerPlan())
    except ValueError as error:
        raise DatasetError(f"{physionet2019.FILE}: {error}") from error


def _judged(case: Case, cases: Cases) -> NDArray[np.bool_]:
    """(N,) the cases of the part that is asked for; they are made of all records, and so sampled as in training."""
    names = cases.patient.tolist()
    keep = {name: case.keep(name) for name in set(names)}
    return np.array([keep[name] for name in names], np.bool_)
