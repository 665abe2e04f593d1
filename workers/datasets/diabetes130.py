"""Diabetes 130-US hospitals, 1999-2008: inpatient encounters of people with diabetes, with changes of 23 drugs.

Strack B, DeShazo JP, Gennings C, et al. BioMed Res Int 2014:781670; UCI ML Repository 296, doi:10.24432/C5230J; CC BY
4.0 as the repository states. The set has no dates: encounter numbers rise with time, so a patient's encounters are
ordered by them, as is usual with this set. Three drugs (acetohexamide, examide, citoglipton) never occur. A1C and
glucose are "None" where not measured. Race, payer, and what is known only after discharge (diagnosis codes, length of
stay, counts of medications and procedures, readmission) are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.training.drugs import ADMISSIONS, DRUGS, SOURCES, SPECIALTIES, Dose, Encounters
from workers.datasets.folder import DatasetError, file_of, table

FILE: Final = "diabetes130/encounters.parquet"

_DOSES: Final = {"No": Dose.none, "Steady": Dose.steady, "Up": Dose.raised, "Down": Dose.lowered}
_A1C: Final = {"Norm": 0.0, ">7": 1.0, ">8": 2.0}
_GLUCOSE: Final = {"Norm": 0.0, ">200": 1.0, ">300": 2.0}
_MALE: Final = {"Male": 1.0, "Female": 0.0}
_NUMBERS: Final = ("number_inpatient", "number_emergency", "number_outpatient")
_CODED: Final = ("admission_type_id", "admission_source_id")


def encounters(data: Path) -> Encounters:
    """Every encounter, by patient and within a patient in order of encounter number.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there, lacks a column or holds what it should not.
    """
    file = file_of(data, FILE)
    texts = ("gender", "age", "A1Cresult", "max_glu_serum", "medical_specialty")
    rows = table(file, ["patient_nbr", "encounter_id", *texts, *_CODED, *_NUMBERS, *DRUGS])
    column: dict[str, list[Any]] = {name: rows[name].to_pylist() for name in rows.column_names}
    try:
        return _ordered(column)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{file} is not the set of 130 hospitals: a cell is not what it should be ({type(error).__name__})"
        ) from error


def _ordered(column: dict[str, list[Any]]) -> Encounters:
    patient = np.array(column["patient_nbr"], np.int64)
    order = np.lexsort((np.array(column["encounter_id"], np.int64), patient))
    numbers = np.column_stack([np.array(column[name], np.float64) for name in _NUMBERS])
    dose = np.column_stack([np.array([_DOSES[cell] for cell in column[drug]], np.int8) for drug in DRUGS])
    return Encounters(
        patient=np.array([f"diabetes130/{number}" for number in patient[order].tolist()]),
        dose=dose[order],
        age_years=np.array([_middle(cell) for cell in column["age"]])[order],
        male=_coded(column["gender"], _MALE)[order],
        a1c=_coded(column["A1Cresult"], _A1C)[order],
        glucose=_coded(column["max_glu_serum"], _GLUCOSE)[order],
        admission=_one_of(column["admission_type_id"], tuple(ADMISSIONS))[order],
        source=_one_of(column["admission_source_id"], tuple(SOURCES))[order],
        specialty=_one_of(column["medical_specialty"], SPECIALTIES)[order],
        visits=numbers[order],
    )


def _middle(band: str) -> float:
    """Of an age band like "[70-80)"."""
    low, high = band.strip("[)").split("-")
    return (float(low) + float(high)) / 2


def _coded(cells: list[Any], meaning: dict[str, float]) -> NDArray[np.float64]:
    """Numbers, NaN for what has none."""
    return np.array([meaning.get(cell, np.nan) for cell in cells])


def _one_of(cells: list[Any], known: tuple[Any, ...]) -> NDArray[np.float64]:
    """(N, K) 1 in the column of the value; a row of zeros for any other."""
    return np.array([[float(cell == value) for value in known] for cell in cells]).reshape(len(cells), len(known))
