"""Films as the imaging network takes them: grey, 224 by 224."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.imaging import LABELS, SIDE
from workers.datasets import kermany


def films(data: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Every film of children (N, 224, 224), its class number and whose it is.

    Raises:
        DatasetError: The set is not there or cannot be read.
    """
    found = list(kermany.images(data))
    label = np.array([LABELS.index(film.label) for film in found])
    return _pixels([film.jpeg for film in found]), label, [film.patient_id for film in found]


def adult_films(data: Path) -> NDArray[np.uint8] | None:
    """Films of adults (N, 224, 224), which no label of ours fits; None without them.

    Raises:
        DatasetError: The set cannot be read.
    """
    return _pixels(list(kermany.adult_images(data))) if (data / kermany.NIH_FILE).is_file() else None


def _pixels(jpegs: Sequence[bytes]) -> NDArray[np.uint8]:
    def one(jpeg: bytes) -> NDArray[np.uint8]:
        grey = Image.open(io.BytesIO(jpeg)).convert("L")
        return np.asarray(grey if grey.size == (SIDE, SIDE) else grey.resize((SIDE, SIDE)))

    return np.stack([one(jpeg) for jpeg in jpegs])
