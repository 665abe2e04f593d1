"""The notes model on texts: every label that occurs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.bundle import Bundle
from models.calibration import calibrated_logits, probabilities
from models.evaluation.figures import Question
from models.training.notes import encode


def notes_questions(
    bundle: Bundle, texts: Sequence[str], specialties: Sequence[Sequence[str]], note_id: Sequence[str]
) -> Iterator[Question]:
    """Every label of the notes model that occurs."""
    manifest = bundle.manifests["notes"]
    logits = encode(bundle.notes, bundle.tokenizer, texts).logits.numpy()
    each = probabilities(calibrated_logits(logits, manifest.labels, manifest.calibration)).astype(float)
    for column, name in enumerate(manifest.labels):
        truth = np.array([float(name in of) for of in specialties])
        if truth.any():
            yield Question(name, truth, each[:, column], np.array(note_id))
