"""Training of the vitals network."""

from __future__ import annotations

from dataclasses import replace

from models.training.split import TooFewError
from models.training.vitals import train_vitals
from models.training.vitals_fit import VitalsPlan
from workers.cli.training.job import Job, Made
from workers.datasets import physionet2012, physionet2019
from workers.datasets.folder import DatasetError


def vitals(job: Job) -> Made:
    """On hourly sepsis (PhysioNet 2019) and death in hospital (PhysioNet 2012)."""
    plan = VitalsPlan(seed=job.seed, device=job.device)
    if job.epochs is not None:
        plan = replace(plan, epochs=job.epochs)
    sepsis, mortality = list(physionet2019.stays(job.data)), list(physionet2012.stays(job.data))
    files = (physionet2019.FILE, physionet2012.EVENTS, physionet2012.OUTCOMES)
    try:
        return Made(train_vitals(sepsis, mortality, plan, job.tell), plan, files)
    except TooFewError as error:
        raise DatasetError(str(error)) from error
