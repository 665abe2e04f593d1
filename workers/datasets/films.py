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
from workers.datasets.folder import DatasetError


def films(data: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Every film of children (N, 224, 224), its class number and whose it is.

    Raises:
        DatasetError: The set is not there or cannot be read.
    """
    found = list(kermany.images(data))
    label = np.array([LABELS.index(film.label) for film in found])
    return _pixels([film.jpeg for film in found], data / kermany.FILE), label, [film.patient_id for film in found]


def adult_films(data: Path) -> tuple[NDArray[np.uint8], list[str]] | None:
    """Films of adults (N, 224, 224), which no label of ours fits, and whose they are; None without them.

    Raises:
        DatasetError: The set cannot be read.
    """
    if not (data / kermany.NIH_FILE).is_file():
        return None
    found = list(kermany.adult_images(data))
    return _pixels([film.jpeg for film in found], data / kermany.NIH_FILE), [film.patient_id for film in found]


def _pixels(jpegs: Sequence[bytes], file: Path) -> NDArray[np.uint8]:
    """As `workers.images.decode` squashes them for the live network, to the nearest of 256 greys."""

    def one(number: int, jpeg: bytes) -> NDArray[np.uint8]:
        try:
            grey = Image.open(io.BytesIO(jpeg)).convert("L")
        except (OSError, TypeError) as error:  # no image, a cut one, or none at all
            raise DatasetError(f"{file}: the film of row {number} cannot be read as an image") from error
        if grey.size == (SIDE, SIDE):
            return np.asarray(grey)
        return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    return (
        np.stack([one(number, jpeg) for number, jpeg in enumerate(jpegs, 1)])
        if jpegs
        else np.empty((0, SIDE, SIDE), np.uint8)
    )
