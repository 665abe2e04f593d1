"""The sets of notes as the notes model is trained on and judged by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.training.note_texts import NoteSet, SectionSet
from models.training.notes_figures import Organs
from models.training.split import every
from workers.datasets import mts_dialog, mtsamples

ORGANS = Organs(mtsamples.ORGAN_SYSTEMS, mtsamples.SINGLE_ORGANS)


def note_set(data: Path, keep: Callable[[str], bool] = every) -> NoteSet:
    """The notes of MTSamples whose identifier is kept; raises DatasetError."""
    kept = [note for note in mtsamples.notes(data) if keep(note.note_id)]
    return NoteSet(
        [note.text for note in kept], [note.specialties for note in kept], [note.note_id for note in kept],
        [note.about for note in kept],
    )  # fmt: skip


def section_set(data: Path, keep: Callable[[str], bool] = every) -> SectionSet | None:
    """The sections of MTS-Dialog whose identifier is kept; None where the set is not there or none is kept."""
    if not (data / mts_dialog.FILE).is_file():
        return None
    kept = [one for one in mts_dialog.sections(data) if keep(one.section_id)]
    if not kept:
        return None
    return SectionSet(
        [one.dialogue for one in kept], [one.text for one in kept], [one.header for one in kept],
        [one.section_id for one in kept],
    )  # fmt: skip
