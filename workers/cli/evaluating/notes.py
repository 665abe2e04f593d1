"""Evaluation of the notes network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.evaluation.faithfulness import TOKENS, note_moves
from models.evaluation.figures import Question, Summary
from models.evaluation.notes import notes_questions
from workers.cli.evaluating.case import Case
from workers.datasets import mtsamples

FILES: Final = (mtsamples.FILE,)


def notes(case: Case) -> Iterator[Question | Summary]:
    """Transcribed notes and their specialties (MTSamples)."""
    kept = [note for note in mtsamples.notes(case.data) if case.keep(note.note_id)]
    if kept:
        yield from notes_questions(
            case.bundle, [note.text for note in kept], [note.specialties for note in kept],
            [note.note_id for note in kept],
        )  # fmt: skip
        case.say("explanation of notes")
        network, tokenizer = case.bundle.notes, case.bundle.tokenizer
        yield note_moves(network, tokenizer, [note.text for note in kept], [note.note_id for note in kept]).summary(
            f"explanation of notes: {TOKENS} tokens taken away", "fall of the highest logit"
        )
