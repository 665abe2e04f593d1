"""Evaluation of the notes network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.evaluation.faithfulness import TOKENS, note_moves
from models.evaluation.figures import Question, Summary
from models.evaluation.notes import notes_questions, section_summaries
from models.training.split import part_of
from workers.cli.evaluating.case import Case
from workers.datasets import mts_dialog, mtsamples
from workers.datasets.folder import DatasetError
from workers.datasets.note_sets import ORGANS, note_set, section_set

FILES: Final = (mtsamples.FILE, mts_dialog.FILE)


def notes(case: Case) -> Iterator[Question | Summary]:
    """Transcribed notes and their specialties (MTSamples), sections and their headers (MTS-Dialog).

    The baseline is fitted to the training part of its folder.

    Raises:
        DatasetError: A set cannot be read, or there is nothing to fit the baseline to.
    """
    if case.baseline is not None and not any((case.baseline / file).is_file() for file in FILES):
        raise DatasetError(f"--baseline {case.baseline} holds no notes: it needs one of {', '.join(FILES)}")
    if case.has(mtsamples.FILE):
        kept = note_set(case.data, case.keep)
        beside = None
        if case.baseline is not None and (case.baseline / mtsamples.FILE).is_file():
            beside = note_set(case.baseline, _training)
        if kept.texts:
            yield from notes_questions(case.bundle, kept, ORGANS, fitted=beside)
            case.say("explanation of notes")
            moves = note_moves(case.bundle.notes, case.bundle.tokenizer, kept.texts, kept.note_id)
            yield moves.summary(
                f"explanation of notes: {TOKENS} tokens taken away", "fall of the highest logit"
            )  # fmt: skip
    said = section_set(case.data, case.keep)
    if said is not None:
        fitted = section_set(case.baseline, _training) if case.baseline is not None else None
        yield from section_summaries(case.bundle, said, fitted=fitted)


def _training(identifier: str) -> bool:
    return part_of(identifier) == "training"
