"""Readings for tests: rows of the clinical table from the few values that a test is about."""

from __future__ import annotations

import numpy as np

from models.columns import ACVPU, COLUMNS, INDEX

NORMAL = {
    "respiration_rate": 16,
    "spo2": 97,
    "systolic_bp": 120,
    "pulse": 75,
    "temperature": 37.0,
    "acvpu": "A",
    "on_oxygen": 0,
}


def rows(*patients: dict) -> np.ndarray:
    """(B, P) float32; what a patient does not name is missing, None is missing too."""
    values = np.full((len(patients), len(COLUMNS)), np.nan, dtype=np.float32)
    for row, patient in enumerate(patients):
        for name, value in patient.items():
            if value is not None:
                values[row, INDEX[name]] = ACVPU.index(value) if name == "acvpu" and isinstance(value, str) else value
    return values


def every(size: int, value: object, dtype: type) -> np.ndarray:
    return np.full(size, value, dtype=dtype)
