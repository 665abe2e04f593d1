"""Training of fusion, on results of the three networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.bundle import Bundle, load_bundle
from models.training import imaging, notes
from models.training.fusion import ACUTE_NOTES, FusionPlan, Hours, Pool, train_fusion
from models.training.split import Part, rows_of
from models.training.vitals import score_part
from workers.cli.training.job import Job, Made
from workers.datasets import kermany, mtsamples, physionet2019
from workers.datasets.films import films


def fusion(job: Job) -> Made:
    """On hours, notes and films of different people, paired by label."""
    plan = FusionPlan(seed=job.seed) if job.epochs is None else replace(FusionPlan(seed=job.seed), steps=job.epochs)
    bundle = load_bundle(job.models)
    of_notes, of_images, hours = _pools(job, bundle)
    files = (physionet2019.FILE, mtsamples.FILE, kermany.FILE)
    built_on = {name: bundle.versions[name] for name in ("vitals", "notes", "imaging")}
    return Made(train_fusion(hours, of_notes, of_images, plan), plan, files, built_on=built_on)


def _pools(job: Job, bundle: Bundle) -> tuple[dict[Part, Pool], dict[Part, Pool], dict[Part, Hours]]:
    """What fusion is trained on: results of the three networks."""
    texts = list(mtsamples.notes(job.data))
    embedded = notes.encode(bundle.notes, bundle.tokenizer, [note.text for note in texts]).embedding.numpy()
    acute = np.array([not ACUTE_NOTES.isdisjoint(note.specialties) for note in texts])
    of_notes = {part: Pool(embedded[rows], acute[rows]) for part, rows in rows_of([n.note_id for n in texts]).items()}
    pixels, label, patient = films(job.data)
    seen = imaging.encode(bundle.imaging, pixels).embedding.numpy()
    of_images = {part: Pool(seen[rows], label[rows] > 0) for part, rows in rows_of(patient).items()}
    stays = list(physionet2019.stays(job.data))
    by = bundle.manifests["vitals"].calibration["sepsis_6h"]
    hours: dict[Part, Hours] = {}
    for part in of_images:
        scores = score_part(bundle.vitals, stays, "sepsis", part)
        hours[part] = Hours((scores.logit / by.temperature + by.bias).astype(np.float32), scores.label, scores.patient)
    return of_notes, of_images, hours
