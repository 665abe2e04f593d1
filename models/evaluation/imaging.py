"""The imaging model on films: its three classes, beside what sharpness alone would tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.calibration import exclusive_probabilities
from models.evaluation.figures import Question
from models.imaging import LABELS
from models.training.imaging import encode


def imaging_questions(
    bundle: Bundle, pixels: NDArray[np.uint8], label: NDArray[np.int64], patient: Sequence[str]
) -> Iterator[Question]:
    """Pneumonia or not, bacterial or not, viral or not; beside them what sharpness alone would tell."""
    temperature = next((c.temperature for c in bundle.manifests["imaging"].calibration.values()), 1.0)
    logits = encode(bundle.imaging, pixels).logits.numpy()
    by_class = exclusive_probabilities(logits, temperature).astype(float)
    who = np.array(patient)
    shortcut = {"blur (shortcut check)": -np.array([_sharpness(film) for film in pixels])}
    yield Question("pneumonia", (label > 0).astype(float), 1 - by_class[:, 0], who, shortcut)
    for number in (1, 2):
        truth = (label == number).astype(float)
        yield Question(LABELS[number], truth, by_class[:, number], who, shortcut)


def _sharpness(film: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian, the usual measure of focus."""
    grey = film.astype(np.float32)
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).var())
