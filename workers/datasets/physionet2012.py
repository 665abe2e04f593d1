"""PhysioNet/CinC Challenge 2012 (death in hospital), the first 48 hours in intensive care at their recorded minutes.

Silva et al., Computing in Cardiology 39:245-248 (2012); ODC-BY 1.0. -1 means "not recorded". Invasive blood pressure
is taken before non-invasive. Magnesium is recorded in mg/dL, whatever the page says. Urine becomes a rate by weight and
interval. Troponin T is another assay than the column's; PaO2, ALT and ventilation have no column: all are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.columns import COLUMNS, INDEX
from workers.datasets.folder import DatasetError, file_of, table
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
from workers.datasets.urine import urine_rate

EVENTS = "physionet2012/events.parquet"
OUTCOMES = "physionet2012/outcomes.csv"

COLUMN_OF: dict[str, tuple[str, float]] = {
    "NIDiasABP": ("diastolic_bp", 1), "NIMAP": ("map", 1), "NISysABP": ("systolic_bp", 1),  # overwritten by the next
    "DiasABP": ("diastolic_bp", 1), "MAP": ("map", 1), "SysABP": ("systolic_bp", 1), "HR": ("pulse", 1),
    "GCS": ("gcs_total", 1), "RespRate": ("respiration_rate", 1), "Temp": ("temperature", 1), "SaO2": ("sao2", 1),
    "FiO2": ("fio2", 100), "pH": ("ph", 1), "PaCO2": ("paco2_kpa", KPA), "HCO3": ("bicarbonate", 1),
    "K": ("potassium", 1), "Na": ("sodium", 1), "Mg": ("magnesium", MAGNESIUM), "Lactate": ("lactate", 1),
    "Glucose": ("glucose", GLUCOSE), "BUN": ("urea", UREA_PER_BUN), "Creatinine": ("creatinine", CREATININE),
    "Bilirubin": ("bilirubin", BILIRUBIN), "Albumin": ("albumin", 10), "ALP": ("alp", 1), "AST": ("ast", 1),
    "WBC": ("wbc", 1), "Platelets": ("platelets", 1), "HCT": ("haematocrit", 1), "TroponinI": ("troponin", 1),
    "Urine": ("urine_ml_kg_h", 1),  # once a rate
}  # fmt: skip
"""Parameter of the set to column of the clinical table, and the factor to its unit; later entries win."""

_UNITS = {1: "CCU", 2: "CSRU", 3: "MICU", 4: "SICU"}
_NOT_RECORDED = -1.0


def outcomes(data: Path, column: str = "In-hospital_death") -> dict[int, float]:
    """A column of the outcomes by record number: death in hospital (1.0 or 0.0), or a score of the first day.

    Returns:
        Nothing where the set lacks the column; NaN for what was not recorded.

    Raises:
        DatasetError: The set is not there, or a line of it is not what it should be.
    """
    file = file_of(data, OUTCOMES)
    header, *lines = file.read_bytes().splitlines() or [b""]
    names = header.decode(errors="replace").split(",")
    if column not in names:
        return {}
    found = {}
    for number, line in enumerate(lines, 2):
        cells = line.split(b",")
        try:
            if line:
                found[int(cells[names.index("RecordID")])] = _known(float(cells[names.index(column)]))
        except (IndexError, ValueError) as error:
            raise DatasetError(f"{file}, line {number}, has no number for {column} of a record") from error
    return found


def stays(data: Path) -> Iterator[Stay]:
    """Every stay, one row a minute at which something was recorded; `label` is the outcome in each row.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or cannot be read.
    """
    died = outcomes(data)
    rows = table(file_of(data, EVENTS), ["RecordID", "minute", "Parameter", "Value"])
    if not len(rows):
        return
    record, minute = np.asarray(rows["RecordID"]), np.asarray(rows["minute"])
    if not died.keys() >= set(record.tolist()):
        raise DatasetError(f"{data / OUTCOMES} lacks records of {EVENTS}: take both from one release of the set")
    value = np.asarray(rows["Value"], np.float32)
    coded = rows["Parameter"].combine_chunks()
    names = coded.dictionary.to_pylist()
    code = np.asarray(coded.indices)
    # Rows of one patient by time, and at one time in the order of COLUMN_OF, so that the later entry wins.
    place = {name: rank for rank, name in enumerate(COLUMN_OF)}
    rank = np.array([place.get(name, -1) for name in names])[code]
    order = np.lexsort((rank, minute, record))
    record, minute, value, code, rank = (a[order] for a in (record, minute, value, code, rank))
    starts = np.flatnonzero(np.r_[True, record[1:] != record[:-1]])
    targets = np.array([INDEX[name] for name, _ in COLUMN_OF.values()])
    factors = np.array([factor for _, factor in COLUMN_OF.values()], np.float32)
    age_code, sex_code = names.index("Age"), names.index("Gender")
    urine, weight, icu = (code == _code(names, name) for name in ("Urine", "Weight", "ICUType"))
    for start, end in zip(starts, [*starts[1:], len(record)], strict=True):
        span = slice(start, end)
        noted, weighed = start + np.flatnonzero(urine[span]), start + np.flatnonzero(weight[span])
        value[noted] = urine_rate(minute[noted], value[noted], minute[weighed], value[weighed])
        wanted = (rank[span] >= 0) & (value[span] != _NOT_RECORDED) & ~np.isnan(value[span])
        minutes, row = np.unique(minute[span][wanted], return_inverse=True)
        values = np.full((len(minutes), len(COLUMNS)), np.nan, np.float32)
        entry = rank[span][wanted]
        values[row, targets[entry]] = value[span][wanted] * factors[entry]
        fixed = {int(c): float(v) for c, v in zip(code[span], value[span], strict=True) if c in (age_code, sex_code)}
        number = int(record[start])
        yield Stay(
            patient_id=str(number),
            time_h=(minutes / 60).astype(np.float32),
            values=without_implausible(values),
            label=np.full(len(minutes), died[number], np.float32),
            age_years=_known(fixed.get(age_code, _NOT_RECORDED)),
            male=_known(fixed.get(sex_code, _NOT_RECORDED)),
            unit=_UNITS.get(int(value[span][icu[span]].max(initial=0)), "unknown"),
        )


def _code(names: list[str], name: str) -> int:
    """The number of a parameter, -1 where the set does not have it."""
    return names.index(name) if name in names else -1


def _known(value: float) -> float:
    return np.nan if value == _NOT_RECORDED else value
