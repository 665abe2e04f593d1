"""The clinical table's columns: what every model, score and predicate reads, and in which order.

A patient's state is one row of this table (`float32`, NaN where nothing is known). The order is part of the
stored patient context and of every model's input specification: append, never reorder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One clinical quantity.

    Attributes:
        name: What contract, models and rules call it.
        unit: Canonical UCUM unit of the stored value.
        max_age_min: Minutes for which the last value is carried forward; older counts as missing. Policy, not
            evidence: vital signs four hours (the longest interval NEWS2 allows a patient who scores 1 to 4 is six),
            laboratory values a day.
    """

    name: str
    unit: str
    max_age_min: float


_VITAL_MIN: Final = 4 * 60.0
_LAB_MIN: Final = 24 * 60.0

COLUMNS: Final[tuple[Column, ...]] = (
    Column("respiration_rate", "/min", _VITAL_MIN),
    Column("spo2", "%", _VITAL_MIN),
    Column("systolic_bp", "mm[Hg]", _VITAL_MIN),
    Column("pulse", "/min", _VITAL_MIN),
    Column("temperature", "Cel", _VITAL_MIN),
    Column("acvpu", "{index}", _VITAL_MIN),  # index into ACVPU
    Column("on_oxygen", "{0,1}", _VITAL_MIN),
    Column("diastolic_bp", "mm[Hg]", _VITAL_MIN),
    Column("map", "mm[Hg]", _VITAL_MIN),
    Column("gcs_total", "{score}", _VITAL_MIN),
    Column("o2_flow", "L/min", _VITAL_MIN),
    Column("fio2", "%", _VITAL_MIN),
    Column("etco2", "mm[Hg]", _VITAL_MIN),
    Column("urine_ml_kg_h", "mL/kg/h", _VITAL_MIN),
    Column("lactate", "mmol/L", _LAB_MIN),
    Column("ph", "[pH]", _LAB_MIN),
    Column("paco2_kpa", "kPa", _LAB_MIN),
    Column("base_excess", "mmol/L", _LAB_MIN),
    Column("bicarbonate", "mmol/L", _LAB_MIN),
    Column("potassium", "mmol/L", _LAB_MIN),
    Column("sodium", "mmol/L", _LAB_MIN),
    Column("chloride", "mmol/L", _LAB_MIN),
    Column("calcium", "mg/dL", _LAB_MIN),
    Column("magnesium", "mmol/L", _LAB_MIN),
    Column("phosphate", "mg/dL", _LAB_MIN),
    Column("glucose", "mmol/L", _LAB_MIN),
    Column("creatinine", "umol/L", _LAB_MIN),
    Column("urea", "mmol/L", _LAB_MIN),
    Column("bilirubin", "umol/L", _LAB_MIN),
    Column("albumin", "g/L", _LAB_MIN),
    Column("ast", "U/L", _LAB_MIN),
    Column("alp", "U/L", _LAB_MIN),
    Column("wbc", "10*9/L", _LAB_MIN),
    Column("haemoglobin", "g/L", _LAB_MIN),
    Column("haematocrit", "%", _LAB_MIN),
    Column("platelets", "10*9/L", _LAB_MIN),
    Column("ptt", "s", _LAB_MIN),
    Column("fibrinogen", "mg/dL", _LAB_MIN),
    Column("troponin", "ng/mL", _LAB_MIN),
    Column("crp", "mg/L", _LAB_MIN),
    Column("sao2", "%", _LAB_MIN),
    Column("aki_stage", "{stage}", _LAB_MIN),
    Column("antibiotic_given", "{event}", _LAB_MIN),  # 1 at the time of a dose; its age is what rules read
    Column("fluid_bolus_given", "{event}", _LAB_MIN),
)

INDEX: Final[dict[str, int]] = {column.name: i for i, column in enumerate(COLUMNS)}

ACVPU: Final = ("A", "C", "V", "P", "U")
"""Consciousness in the order of the stored index: alert, new confusion, voice, pain, unresponsive."""

FLAGS: Final = (
    "icu_not_appropriate", "dnacpr", "carer_concern", "nurse_concern", "frailty_severe", "life_limiting",
    "symptom_burden", "paraquat_or_bleomycin", "suspected_infection", "resp_symptoms", "sputum_retention",
    "visible_or_suspected_bleed", "pulmonary_oedema", "chest_pain", "new_arrhythmia", "syncope",
    "diabetes_acutely_unwell", "seizure", "fall_recent", "head_injury", "focal_neurology", "urinary_symptoms",
    "opioid_24h", "anticoagulant",
)  # fmt: skip
"""Facts that hold for an encounter until somebody says otherwise; bit i of the stored masks is FLAGS[i]."""
