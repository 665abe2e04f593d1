"""Training of the imaging network."""

from __future__ import annotations

from models.training.imaging import ImagingPlan, train_imaging
from workers.cli.training.job import Job, Made
from workers.datasets import kermany
from workers.datasets.films import adult_films, films


def imaging(job: Job) -> Made:
    """On films of children (Kermany); films of adults (NIH), where there are some, measure the novelty flag."""
    plan = ImagingPlan(seed=job.seed) if job.epochs is None else ImagingPlan(epochs=job.epochs, seed=job.seed)
    foreign = adult_films(job.data)
    files = (kermany.FILE,) if foreign is None else (kermany.FILE, kermany.NIH_FILE)
    return Made(train_imaging(*films(job.data), plan, foreign=foreign, progress=job.tell), plan, files)
