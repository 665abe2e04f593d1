"""Kermany 2018: paediatric chest radiographs, normal, bacterial or viral pneumonia (CC BY 4.0).

A patient may have several images: split by `patient_id`. The source squashed every image to 224 x 224.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workers.datasets.folder import DatasetError, file_of, table

FILE = "kermany_cxr/images.parquet"
NIH_FILE = "nih_cxr/images.parquet"
_LABEL_OF = {"normal": "normal", "bacteria": "bacterial", "virus": "viral"}


class Film(NamedTuple):
    """One radiograph.

    Attributes:
        jpeg: Grey JPEG, 224 x 224.
        label: normal, bacterial or viral.
        patient_id: As the set names the patient.
    """

    jpeg: bytes
    label: str
    patient_id: str


def images(data: Path) -> Iterator[Film]:
    """Every image, in the order of the set.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there, cannot be read or has a kind of film that it should not have.
    """
    rows = table(file_of(data, FILE), ["jpeg", "subtype", "patient_id"])
    if not set(rows["subtype"].to_pylist()) <= _LABEL_OF.keys():
        raise DatasetError(f"{data / FILE}: every subtype must be one of {', '.join(_LABEL_OF)}")
    for batch in rows.to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            yield Film(row["jpeg"], _LABEL_OF[row["subtype"]], row["patient_id"])


class AdultFilm(NamedTuple):
    """One radiograph of an adult, without a label: none of ours fits.

    Attributes:
        jpeg: Grey JPEG.
        patient_id: As the set names the patient.
    """

    jpeg: bytes
    patient_id: str


def adult_images(data: Path) -> Iterator[AdultFilm]:
    """The NIH adult subset: films that a network trained on children must call novel.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or cannot be read.
    """
    for row in table(file_of(data, NIH_FILE), ["jpeg", "patient_id"]).to_pylist():
        yield AdultFilm(row["jpeg"], str(row["patient_id"]))
