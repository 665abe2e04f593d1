"""Which part of the data a patient belongs to: decided by the patient's identifier alone.

So no patient is ever in two parts, the parts stay the same when data is added, and two networks trained on one set
hold back the same patients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["training", "validation", "test"]

_TEST, _VALIDATION = 20, 12  # per cent


def part_of(identifier: str) -> Part:
    """The part of a patient (or note): 68 % training, 12 % validation, 20 % test."""
    percent = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big") % 100
    if percent < _TEST:
        return "test"
    return "validation" if percent < _TEST + _VALIDATION else "training"


PARTS: Final[tuple[Part, ...]] = ("training", "validation", "test")


def rows_of(identifiers: Sequence[str]) -> dict[Part, NDArray[np.int64]]:
    """Row numbers of each part."""
    parts = np.array([part_of(identifier) for identifier in identifiers])
    return {part: np.flatnonzero(parts == part) for part in PARTS}
