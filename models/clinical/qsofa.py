"""qSOFA, for a batch, with the interval of totals that missing readings leave open.

Singer M, et al. The Third International Consensus Definitions for Sepsis and Septic Shock (Sepsis-3). JAMA
2016;315(8):801-810 (`data/qsofa.json`). One point each for respiration >= 22, systolic pressure <= 100 and altered
mentation; positive at 2, which means something only in suspected infection outside intensive care.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.clinical.charting import charted
from models.clinical.tables import load_table
from models.clinical.truth import FALSE, TRUE, UNKNOWN, Bools, Floats, Truth, truth
from models.columns import ACVPU, INDEX

_RULE: Final = load_table("qsofa")
_CRITERIA: Final[dict[str, Any]] = {criterion["id"]: criterion for criterion in _RULE["criteria"]}
_RESPIRATION_FROM: Final[float] = _CRITERIA["rr"]["value"]
_SYSTOLIC_TO: Final[float] = _CRITERIA["sbp"]["value"]
_GCS_BELOW: Final[float] = _CRITERIA["mentation"]["any"][0]["value"]
_POSITIVE_AT: Final[int] = _RULE["positive_at"]


@dataclass(frozen=True, slots=True)
class Qsofa:
    """Scores of a batch.

    Attributes:
        low: (B,) int8 least possible total, 0..3.
        high: (B,) int8 greatest possible total; equal to `low` exactly when the total is known.
        positive: (B,) int8 truth of "2 or more".
    """

    low: npt.NDArray[np.int8]
    high: npt.NDArray[np.int8]
    positive: Truth


def _mentation(gcs: Floats, acvpu: Floats) -> Truth:
    """Altered if either scale says so, unaltered if one was read and none says so: they measure the same thing."""
    altered = (gcs < _GCS_BELOW) | (acvpu > ACVPU.index("A"))
    return truth(altered, ~np.isnan(gcs) | ~np.isnan(acvpu))


def qsofa(values: Floats, applicable: Bools) -> Qsofa:
    """Scores a batch.

    Args:
        values: (B, P) float32 readings in the order of `models.columns`, already aged out, NaN where missing.
        applicable: (B,) bool; False (under 16 years of age, pregnancy) leaves 0..3 and unknown.
    """
    chart = charted(values)
    respiration, systolic = chart[INDEX["respiration_rate"]], chart[INDEX["systolic_bp"]]
    met = np.stack(
        (
            truth(respiration >= _RESPIRATION_FROM, ~np.isnan(respiration)),
            truth(systolic <= _SYSTOLIC_TO, ~np.isnan(systolic)),
            _mentation(values[:, INDEX["gcs_total"]], chart[INDEX["acvpu"]]),
        )
    )
    met[:, ~applicable] = UNKNOWN
    low = (met == TRUE).sum(axis=0, dtype=np.int8)
    high = (met != FALSE).sum(axis=0, dtype=np.int8)
    positive = (low >= _POSITIVE_AT).astype(np.int8) + (high >= _POSITIVE_AT)
    return Qsofa(low=low, high=high, positive=positive)
