"""Training of the notes network."""

from __future__ import annotations

from dataclasses import replace

from models.bert import load_bert
from models.tokens import FILE
from models.training.notes import train_notes
from models.training.notes_steps import NotesPlan, TooFewNotesError
from workers.cli.training.job import Job, Made
from workers.datasets import mts_dialog, mtsamples
from workers.datasets.folder import DatasetError
from workers.datasets.note_sets import ORGANS, note_set, section_set


def notes(job: Job) -> Made:
    """On transcribed notes and their specialties (MTSamples), and sections and their headers (MTS-Dialog) if there."""
    plan = NotesPlan(seed=job.seed)
    if job.epochs is not None:
        plan = replace(plan, attention=replace(plan.attention, epochs=job.epochs))
    encoder = load_bert(job.encoder) if job.encoder is not None else None
    notes_there, said = note_set(job.data), section_set(job.data)
    try:
        trained, tokenizer = train_notes(
            notes_there, plan, sections=said, encoder=encoder, organs=ORGANS, progress=job.tell
        )  # fmt: skip
    except TooFewNotesError as error:
        raise DatasetError(f"{mtsamples.FILE}: {error}") from error
    files = (mtsamples.FILE, *([mts_dialog.FILE] if said is not None else []))
    return Made(trained, plan, files, {FILE: tokenizer.content()})
