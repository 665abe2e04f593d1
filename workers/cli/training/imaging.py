"""Training of the imaging network."""

from __future__ import annotations

from dataclasses import replace

from models.imaging import ImagingEncoder
from models.training.imaging import Foreign, train_imaging
from models.training.imaging_fit import ImagingPlan
from models.training.pretrained import of_lite0
from models.training.split import TooFewError
from workers.cli.training.job import Job, Made
from workers.datasets import kermany, pretrained
from workers.datasets.films import adult_films, films
from workers.datasets.folder import DatasetError


def imaging(job: Job) -> Made:
    """On films of children (Kermany); films of adults (NIH), where there are some, measure the novelty flag."""
    plan = ImagingPlan(seed=job.seed, device=job.device)
    if job.epochs is not None:
        plan = replace(plan, epochs=job.epochs)
    initial = of_lite0(pretrained.lite0(), ImagingEncoder().state_dict())
    children, adults = films(job.data), adult_films(job.data)
    foreign = None if adults is None else Foreign(*adults)
    files = (kermany.FILE,) if foreign is None else (kermany.FILE, kermany.NIH_FILE)
    try:
        trained = train_imaging(*children, plan, initial=initial, foreign=foreign, progress=job.tell)
    except TooFewError as error:
        raise DatasetError(f"{kermany.FILE}: {error}") from error
    return Made(trained, plan, files)
