"""Shock index: pulse over systolic pressure, as a feature and never alone a reason to alert.

Allgower M, Burri C. Schockindex. Dtsch Med Wochenschr 1967;92(43):1947-50; association of >= 1.0 with mortality:
Middleton DJ, et al. J Clin Med 2019;8(8):1168 (`data/shock_index.json`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.clinical.charting import charted
from models.clinical.truth import Bools, Floats, Times
from models.columns import INDEX

SAME_SET_MS: Final = 15 * 60_000
"""Pulse and pressure further apart than this belong to different observation sets."""

_PULSE: Final = INDEX["pulse"]
_SYSTOLIC: Final = INDEX["systolic_bp"]


def shock_index(values: Floats, last_ms: Times, applicable: Bools) -> Floats:
    """Shock index of each patient.

    Args:
        values: (B, P) float32 readings in the order of `models.columns`, already aged out, NaN where missing.
        last_ms: (B, P) int64 event time of each reading, ms since the epoch.
        applicable: (B,) bool; False under 16 years of age, where the index needs age-adjusted limits.

    Returns:
        (B,) float32, NaN where it cannot be formed: a reading is missing, the pressure is not above zero, or the two
        were not taken together.
    """
    chart = charted(values)
    pulse, systolic = chart[_PULSE], chart[_SYSTOLIC]
    together = np.abs(last_ms[:, _PULSE] - last_ms[:, _SYSTOLIC]) <= SAME_SET_MS
    usable = applicable & together & (systolic > 0) & (pulse >= 0)
    index: Floats = np.full_like(pulse, np.nan)
    np.divide(pulse, systolic, out=index, where=usable)
    return index
