"""MIMIC-III Clinical Database Demo 1.4: prescriptions of 100 patients in intensive care.

Johnson A, Pollard T, Mark R. PhysioNet (2019), doi:10.13026/C2HM2Q. Open Database License 1.0: attribution, and
share-alike for databases derived from it. So the set is read to measure and for nothing that ships. Dates are shifted
by patient, ages above 89 are given as about 300. Orders of type BASE and ADDITIVE are fluids that carry a drug, and are
not read. The same drug may have two names, from two ordering systems.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from models.training.prescriptions import Orders
from workers.datasets.folder import DatasetError, file_of

PRESCRIPTIONS: Final = "mimic3_demo/PRESCRIPTIONS.csv.gz"
ADMISSIONS: Final = "mimic3_demo/ADMISSIONS.csv.gz"
PATIENTS: Final = "mimic3_demo/PATIENTS.csv.gz"

_SECONDS_A_YEAR: Final = 365.25 * 86400


def orders(data: Path) -> Orders:
    """Every day of a stay on which a drug was begun, by patient, admission and day.

    Args:
        data: The data folder.

    Raises:
        DatasetError: A table is not there, or is not what it should be.
    """
    main = [row for row in _rows(data, PRESCRIPTIONS) if row.get("drug_type") == "MAIN"]
    try:
        stays = {row["hadm_id"]: row for row in _rows(data, ADMISSIONS)}
        patients = {row["subject_id"]: row for row in _rows(data, PATIENTS)}
        begun: dict[tuple[str, datetime, str, datetime], set[str]] = defaultdict(set)
        for row in main:
            if row["startdate"]:
                admitted = datetime.fromisoformat(stays[row["hadm_id"]]["admittime"])
                day = datetime.fromisoformat(row["startdate"])
                begun[row["subject_id"], admitted, row["hadm_id"], day].add(row["drug"].strip().lower())
        return _ordered(begun, stays, patients)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{data / PRESCRIPTIONS} and the tables beside it do not fit: {type(error).__name__}"
        ) from error


def _ordered(
    begun: dict[tuple[str, datetime, str, datetime], set[str]],
    stays: dict[str, dict[str, str]],
    patients: dict[str, dict[str, str]],
) -> Orders:
    drugs = tuple(sorted(set().union(*begun.values())))
    column = {drug: number for number, drug in enumerate(drugs)}
    keys = sorted(begun)
    given = np.zeros((len(keys), len(drugs)), np.bool_)
    for row, key in enumerate(keys):
        given[row, [column[drug] for drug in begun[key]]] = True
    born = [datetime.fromisoformat(patients[patient]["dob"]) for patient, *_ in keys]
    admitted = [key[1] for key in keys]
    kind = np.array([stays[stay]["admission_type"] for _, _, stay, _ in keys])
    return Orders(
        patient=np.array([f"mimic3_demo/{patient}" for patient, *_ in keys]),
        stay=np.array([int(stay) for _, _, stay, _ in keys], np.int64),
        day=np.array([float((day.date() - start.date()).days) for _, start, _, day in keys]),
        begun=given,
        drugs=drugs,
        age_years=np.array(
            [(start - birth).total_seconds() / _SECONDS_A_YEAR for start, birth in zip(admitted, born, strict=True)]
        ),
        male=np.array([float(patients[patient]["gender"] == "M") for patient, *_ in keys]),
        emergency=(kind == "EMERGENCY").astype(np.float64),
        elective=(kind == "ELECTIVE").astype(np.float64),
    )


def _rows(data: Path, name: str) -> list[dict[str, str]]:
    file = file_of(data, name)
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file} cannot be read as a table: {type(error).__name__}") from error
