"""Training of the notes network."""

from __future__ import annotations

from models.tokens import FILE
from models.training.notes import NotesPlan, train_notes
from workers.cli.training.job import Job, Made
from workers.datasets import mtsamples


def notes(job: Job) -> Made:
    """On transcribed notes and their specialties (MTSamples)."""
    plan = NotesPlan(seed=job.seed) if job.epochs is None else NotesPlan(epochs=job.epochs, seed=job.seed)
    every = list(mtsamples.notes(job.data))
    trained, tokenizer = train_notes(
        [note.text for note in every], [note.specialties for note in every], [note.note_id for note in every],
        plan, job.tell,
    )  # fmt: skip
    return Made(trained, plan, (mtsamples.FILE,), {FILE: tokenizer.content()})
