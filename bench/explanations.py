"""What explaining costs a record of each modality, beyond what its network computes anyway.

Vital signs: the step with the gradient of the read-out, less the plain step. Notes: the share of every token in the
highest logit, and the spans made of them. Films: the class-activation map, scaled for showing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

from models.imaging import EMBEDDING, SIDE
from workers.evidence import heat, spans
from workers.inference import Models

NOTES: Final = 32
FILMS: Final = 16
_TEXT: Final = (
    "The patient was admitted with fever, productive cough and shortness of breath. Chest film shows consolidation. "
) * 12


def explanations(models: Models, best: Callable[[Callable[[], Any], int], float]) -> dict[str, float]:
    """Microseconds a record, by line of the table.

    Args:
        models: As a worker has them.
        best: Least microseconds an item of work on so many items.
    """
    random = np.random.default_rng(0)
    ids = models.notes.tokens([_TEXT] * NOTES)
    places = torch.from_numpy(random.normal(0, 1, (NOTES, ids.mask.shape[1], EMBEDDING)).astype(np.float32))
    rows = torch.from_numpy(random.normal(0, 1, (NOTES, EMBEDDING)).astype(np.float32))
    cells = torch.from_numpy(random.normal(0, 1, (FILMS, EMBEDDING, 7, 7)).astype(np.float32))
    pixels = random.random((FILMS, 1, SIDE, SIDE)).astype(np.float32)

    def of_notes() -> None:
        saliency = torch.einsum("btc,bc->bt", places, rows).numpy()
        for k in range(NOTES):
            spans(saliency[k], ids.offsets[k], ids.mask[k])

    def of_films() -> None:
        for one in torch.einsum("bchw,bc->bhw", cells, rows[:FILMS]).numpy():
            heat(one)

    return {
        "explaining a note: tokens and spans": best(of_notes, NOTES),
        "a note, network and all": best(lambda: models.notes.encode([_TEXT] * NOTES), NOTES),
        "explaining a film: map": best(of_films, FILMS),
        "a film, network and all": best(lambda: models.imaging.encode(pixels), FILMS),
    }
