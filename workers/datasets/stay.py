"""One stay in intensive care as rows of the clinical table, whichever set it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.columns import INDEX
from topics.parameters import PARAMETERS

PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "respiration_rate": (1, 100), "spo2": (20, 100), "systolic_bp": (20, 300), "pulse": (10, 300),
    "temperature": (25, 45), "diastolic_bp": (5, 250), "map": (10, 250), "gcs_total": (3, 15), "fio2": (21, 100),
    "ph": (6.5, 8.0), "paco2_kpa": (0.5, 30), "calcium": (3, 20), "sao2": (20, 100), "etco2": (1, 150),
}  # fmt: skip
"""Values outside are recording errors or another quantity (calcium below 3 mg/dL is ionised calcium in mmol/L)."""

UREA_PER_BUN = 0.357  # mmol/L per mg/dL of urea nitrogen
CREATININE = 88.42  # umol/L per mg/dL
GLUCOSE = 0.0555  # mmol/L per mg/dL
BILIRUBIN = 17.1  # umol/L per mg/dL
MAGNESIUM = 0.4114  # mmol/L per mg/dL
KPA = 0.133322  # per mmHg


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay, one row an event.

    Attributes:
        patient_id: Number of the stay in its set.
        time_h: (T,) float32 hours since admission to intensive care, ascending.
        values: (T, P) float32 in the units of `models.columns`; NaN where not measured at that time.
        label: (T,) float32, what the set says (sepsis by then or within six hours; death in hospital).
        age_years: NaN if unknown.
        male: 1.0, 0.0 or NaN.
        unit: Kind of intensive care unit, or unknown.
    """

    patient_id: str
    time_h: NDArray[np.float32]
    values: NDArray[np.float32]
    label: NDArray[np.float32]
    age_years: float
    male: float
    unit: str = "unknown"


def without_implausible(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values (T, P) outside PLAUSIBLE, or that live events would not be believed, become NaN, in place."""
    believed = ((parameter.name, (parameter.low, parameter.high)) for parameter in PARAMETERS)
    for name, (low, high) in (*PLAUSIBLE.items(), *believed):
        column = values[:, INDEX[name]]
        column[(column < low) | (column > high)] = np.nan
    return values
