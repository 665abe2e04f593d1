"""Fitting of the ranker."""

from __future__ import annotations

from models.training.ranker import RankerPlan, train_ranker
from workers.cli.training.job import Job, Made
from workers.datasets import physionet2019
from workers.datasets.folder import DatasetError


def ranker(job: Job) -> Made:
    """On what the rules indicated in stays (PhysioNet 2019).

    Raises:
        DatasetError: There are too few stays.
    """
    plan = RankerPlan(seed=job.seed) if job.epochs is None else RankerPlan(iterations=job.epochs, seed=job.seed)
    try:
        trained = train_ranker(list(physionet2019.stays(job.data)), plan, job.tell)
    except ValueError as error:
        raise DatasetError(f"{physionet2019.FILE}: {error}") from error
    return Made(trained, plan, (physionet2019.FILE,))
