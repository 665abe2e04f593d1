"""Training of the notes network."""

from __future__ import annotations

from dataclasses import replace

from models.bert import Encoder, load_bert
from models.tokens import FILE
from models.training.cards.notes import sources
from models.training.notes import train_notes
from models.training.notes_steps import NotesPlan, TooFewNotesError
from workers.cli.training.job import Job, Made
from workers.datasets import mts_dialog, mtsamples, pretrained
from workers.datasets.folder import DatasetError
from workers.datasets.note_sets import ORGANS, note_set, section_set


def notes(job: Job) -> Made:
    """On transcribed notes and their specialties (MTSamples), and sections and their headers (MTS-Dialog) if there."""
    plan = NotesPlan(seed=job.seed)
    if job.epochs is not None:
        plan = replace(plan, attention=replace(plan.attention, epochs=job.epochs))
    notes_there, said = note_set(job.data), section_set(job.data)
    encoder = _encoder(job)
    try:
        trained, tokenizer = train_notes(
            notes_there, plan, sections=said, encoder=encoder, organs=ORGANS, progress=job.tell
        )  # fmt: skip
    except TooFewNotesError as error:
        raise DatasetError(f"{mtsamples.FILE}: {error}") from error
    files = (mtsamples.FILE, *([mts_dialog.FILE] if said is not None else []))
    data = sources(sections=said is not None, encoder_sha256=None if encoder is None else encoder.sha256)
    return Made(trained, plan, files, {FILE: tokenizer.content()}, data=data)


def _encoder(job: Job) -> Encoder | None:
    """The one that was named, else the one that is installed."""
    folder = job.encoder if job.encoder is not None else pretrained.minilm()
    if folder is None:
        job.say(
            "notes: no pretrained encoder, so words that training never saw will not count. The shipped weights had "
            f"one: {pretrained.MINILM_INSTALL}"
        )
        return None
    job.say(f"notes: vectors of words from {folder}")
    return load_bert(folder)
