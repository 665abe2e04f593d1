"""How long a reading counts: a value older than its column's maximum age is missing, whatever it was."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.clinical.truth import Floats, Times
from models.columns import COLUMNS

_MAX_AGE_MS: Final = np.array([round(column.max_age_min * 60_000) for column in COLUMNS], dtype=np.int64)


def age_out(values: Floats, last_ms: Times, as_of_ms: Times) -> Floats:
    """Drops what is too old to stand for the patient now.

    Args:
        values: (B, P) float32 last known values, NaN where none.
        last_ms: (B, P) int64 event time of each value, ms since the epoch; not read where the value is NaN.
        as_of_ms: (B,) int64 time of the judgement.

    Returns:
        (B, P) float32: a value exactly as old as its column's `max_age_min` still counts; older ones are NaN. Values
        newer than `as_of_ms` stay.
    """
    oldest_ms = as_of_ms[:, None] - _MAX_AGE_MS
    return np.where(last_ms >= oldest_ms, values, np.float32(np.nan))
