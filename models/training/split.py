"""Which part of the data a patient belongs to: decided by the patient's identifier alone.

So no patient is ever in two parts, the parts stay the same when data is added, and two networks trained on one set
hold back the same patients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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


def every(_identifier: str) -> bool:
    """Whether to keep whom where all are kept."""
    return True


PARTS: Final[tuple[Part, ...]] = ("training", "validation", "test")


def rows_of(identifiers: Sequence[str]) -> dict[Part, NDArray[np.int64]]:
    """Row numbers of each part."""
    parts = np.array([part_of(identifier) for identifier in identifiers])
    return {part: np.flatnonzero(parts == part) for part in PARTS}


class TooFewError(ValueError):
    """A set is too small to train on; the message says what it lacks."""


def require_every_part(counts: Mapping[Part, int], what: str) -> None:
    """Refuse a set that has nothing in one of the parts: training, fitting and figures each need some.

    Args:
        counts: Of each part.
        what: They are, for the message.

    Raises:
        TooFewError: One is zero.
    """
    empty = [part for part in PARTS if not counts[part]]
    if empty:
        raise TooFewError(f"too few {what}: none falls into the part {' or '.join(empty)}")


def require_both_answers(labels: Mapping[Part, NDArray[np.float32]], what: str) -> None:
    """Refuse a set in which one part has only cases or only others: nothing could be learned, fitted or measured there.

    Args:
        labels: (N,) of each part, 1 for cases, 0 for others.
        what: They are, for the message.

    Raises:
        TooFewError: A part lacks one of the two.
    """
    for number, kind in ((1, "positive"), (0, "negative")):
        without = [part for part in PARTS if not (labels[part] == number).any()]
        if without:
            raise TooFewError(f"no {kind} label among {what}: none falls into the part {' or '.join(without)}")
