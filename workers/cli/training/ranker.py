"""Fitting of the ranker, and of the recommenders of drugs that its methods are measured by."""

from __future__ import annotations

from models.recommend.recommenders import DRUGS_FILE
from models.training.drugs import train_drugs
from models.training.ranker import RankerPlan, train_ranker, with_drugs
from workers.cli.training.job import Job, Made
from workers.datasets import diabetes130, physionet2019
from workers.datasets.folder import DatasetError


def ranker(job: Job) -> Made:
    """On what the rules indicated in stays (PhysioNet 2019), and, where the set is there, on drugs (diabetes130).

    Raises:
        DatasetError: There are too few stays or encounters.
    """
    plan = RankerPlan(seed=job.seed) if job.epochs is None else RankerPlan(iterations=job.epochs, seed=job.seed)
    try:
        trained = train_ranker(list(physionet2019.stays(job.data)), plan, job.tell)
    except ValueError as error:
        raise DatasetError(f"{physionet2019.FILE}: {error}") from error
    if not (job.data / diabetes130.FILE).is_file():
        return Made(trained, plan, (physionet2019.FILE,))
    encounters = diabetes130.encounters(job.data)
    try:
        drugs = train_drugs(encounters, grid=plan.drugs, iterations=plan.iterations, seed=plan.seed, progress=job.tell)
    except ValueError as error:
        raise DatasetError(f"{diabetes130.FILE}: {error}") from error
    files = (physionet2019.FILE, diabetes130.FILE)
    return Made(with_drugs(trained, drugs), plan, files, {DRUGS_FILE: drugs.recommenders.to_bytes()})
