"""PhysioNet/CinC Challenge 2019 (sepsis), one row an hour in intensive care.

Reyna et al., Crit Care Med 48(2):210-217 (2020); CC BY 4.0. The challenge's page gives lactate in mg/dL and magnesium
in mmol/dL; the recorded values are mmol/L and mg/dL. Direct bilirubin has no column here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.columns import COLUMNS, INDEX
from workers.datasets.folder import file_of, numbers, table
from workers.datasets.stay import (
    BILIRUBIN,
    CREATININE,
    GLUCOSE,
    KPA,
    MAGNESIUM,
    UREA_PER_BUN,
    Stay,
    without_implausible,
)

FILE = "physionet2019/sepsis_hourly.parquet"

COLUMN_OF: dict[str, tuple[str, float]] = {
    "HR": ("pulse", 1), "O2Sat": ("spo2", 1), "Temp": ("temperature", 1), "SBP": ("systolic_bp", 1), "MAP": ("map", 1),
    "DBP": ("diastolic_bp", 1), "Resp": ("respiration_rate", 1), "EtCO2": ("etco2", 1),
    "BaseExcess": ("base_excess", 1), "HCO3": ("bicarbonate", 1), "FiO2": ("fio2", 100), "pH": ("ph", 1),
    "PaCO2": ("paco2_kpa", KPA), "SaO2": ("sao2", 1), "AST": ("ast", 1), "BUN": ("urea", UREA_PER_BUN),
    "Alkalinephos": ("alp", 1), "Calcium": ("calcium", 1), "Chloride": ("chloride", 1),
    "Creatinine": ("creatinine", CREATININE), "Glucose": ("glucose", GLUCOSE), "Lactate": ("lactate", 1),
    "Magnesium": ("magnesium", MAGNESIUM), "Phosphate": ("phosphate", 1), "Potassium": ("potassium", 1),
    "Bilirubin_total": ("bilirubin", BILIRUBIN), "TroponinI": ("troponin", 1), "Hct": ("haematocrit", 1),
    "Hgb": ("haemoglobin", 10), "PTT": ("ptt", 1), "WBC": ("wbc", 1), "Fibrinogen": ("fibrinogen", 1),
    "Platelets": ("platelets", 1),
}  # fmt: skip
"""Column of the set to column of the clinical table, and the factor to its unit."""

_UNITS = {"Unit1": "MICU", "Unit2": "SICU"}


def stays(data: Path) -> Iterator[Stay]:
    """Every stay, in the order of the set; hours without any measurement are kept.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or cannot be read.
    """
    wanted = [*COLUMN_OF, "patient_id", "Age", "Gender", "ICULOS", "SepsisLabel"]
    file = file_of(data, FILE)
    rows = table(file, wanted, frozenset(_UNITS))
    if not len(rows):
        return
    values = np.full((len(rows), len(COLUMNS)), np.nan, np.float32)
    for source, (name, factor) in COLUMN_OF.items():
        values[:, INDEX[name]] = numbers(file, rows, source) * np.float32(factor)
    without_implausible(values)
    patients = np.asarray(rows["patient_id"])
    time_h = numbers(file, rows, "ICULOS")
    label = numbers(file, rows, "SepsisLabel")
    unit = _units(rows)
    age, male = numbers(file, rows, "Age", np.float64), numbers(file, rows, "Gender", np.float64)
    starts = np.flatnonzero(np.r_[True, patients[1:] != patients[:-1]])
    for start, end in zip(starts, [*starts[1:], len(patients)], strict=True):
        span = slice(start, end)
        yield Stay(
            str(patients[start]), time_h[span], values[span], label[span], float(age[start]), float(male[start]),
            unit[start],
        )  # fmt: skip


def _units(rows: Any) -> list[str]:
    """Of each row; three stays in ten name neither."""
    if not set(_UNITS) <= set(rows.column_names):
        return ["unknown"] * len(rows)
    flags = zip(*(rows[name].to_pylist() for name in _UNITS), strict=True)
    return [
        next((unit for unit, set_ in zip(_UNITS.values(), row, strict=True) if set_ == 1), "unknown") for row in flags
    ]
