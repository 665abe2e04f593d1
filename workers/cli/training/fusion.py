"""Training of fusion, on results of the three networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from models.bundle import load_bundle
from models.training.cohort import Hours
from models.training.fusion import FusionPlan, train_fusion
from models.training.split import PARTS, Part, every, part_of, rows_of
from workers.cli.pools import film_pool, note_pool, sepsis_hours
from workers.cli.training.job import Job, Made
from workers.datasets import kermany, mtsamples, physionet2019
from workers.datasets.folder import DatasetError, file_of

FILES: Final = (physionet2019.FILE, mtsamples.FILE, kermany.FILE)


def fusion(job: Job) -> Made:
    """On hours, notes and films of different people, paired by label."""
    for file in FILES:  # before minutes of work on the others
        file_of(job.data, file)
    plan = FusionPlan(seed=job.seed) if job.epochs is None else replace(FusionPlan(seed=job.seed), steps=job.epochs)
    bundle = load_bundle(job.models)
    job.tell("fusion: notes", 1, 3)
    notes, note_id = note_pool(bundle, job.data, every)
    job.tell("fusion: films", 2, 3)
    images, patient = film_pool(bundle, job.data, every)
    job.tell("fusion: hours", 3, 3)
    hours = _by_part(sepsis_hours(bundle, job.data, every))
    of_notes = {part: notes.of(rows) for part, rows in rows_of(note_id).items()}
    of_images = {part: images.of(rows) for part, rows in rows_of(patient).items()}
    try:
        trained = train_fusion(hours, of_notes, of_images, plan, job.tell)
    except ValueError as error:
        raise DatasetError(str(error)) from error
    built_on = {name: bundle.versions[name] for name in ("vitals", "notes", "imaging")}
    return Made(trained, plan, FILES, built_on=built_on)


def _by_part(hours: Hours) -> dict[Part, Hours]:
    names, stay = np.unique(hours.patient, return_inverse=True)
    part = np.array([part_of(f"sepsis/{name}") for name in names.tolist()])[stay]
    return {one: Hours(hours.logit[part == one], hours.label[part == one], hours.patient[part == one]) for one in PARTS}
