"""The clinical parameters an observation may carry: names, LOINC codes, units and plausible intervals.

Decides what a code means, which units are accepted, and beyond what a value is not believed. Knows nothing of
events. The names and their order equal the clinical table's columns; a unit test holds the two together.

Sources: vital signs (codes, units, intervals) from HL7 FHIR R4 vital signs and US Core; laboratory LOINC codes from
the LOINC table (check digits tested). Intervals of laboratory values are policy, not evidence: wide enough for
values that were survived, narrow enough to catch a wrong unit or decimal point. Conversion factors between mass and
substance concentration are 10 / molar mass (g/mol), by IUPAC standard atomic weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

FAHRENHEIT: Final = -1.0
"""Marks the one conversion that is no plain factor; a true factor is always positive."""

_GLUCOSE_MG_DL: Final = 10 / 180.156
_LACTATE_MG_DL: Final = 10 / 90.078
_CREATININE_MG_DL: Final = 10_000 / 113.12  # to umol/L
_UREA_MG_DL: Final = 10 / 60.056
_UREA_NITROGEN_MG_DL: Final = 10 / 28.014  # two nitrogen atoms a molecule of urea
_BILIRUBIN_MG_DL: Final = 10_000 / 584.67  # to umol/L
_CALCIUM_MMOL_L: Final = 40.078 / 10  # to mg/dL
_MAGNESIUM_MG_DL: Final = 10 / 24.305
_PHOSPHATE_MMOL_L: Final = 30.974 / 10  # to mg/dL of phosphorus
_KPA_PER_MMHG: Final = 0.133322387415  # NIST SP 811, conventional millimetre of mercury


@dataclass(frozen=True, slots=True)
class Parameter:
    """One clinical parameter.

    Attributes:
        name: Column name; accepted as an observation's code.
        unit: Canonical UCUM unit.
        low: Least value that is believed, in the canonical unit.
        high: Greatest value that is believed.
        units: Accepted UCUM units with the factor to the canonical one (FAHRENHEIT for [degF]). None stands for
            "no unit given" and is there only where nobody could mean another unit.
        loinc: LOINC codes whose values are in any of `units`.
        loinc_units: LOINC codes that mean something else by the same unit, with their own units.
        words: For coded values: accepted texts and codes, with the stored number.
    """

    name: str
    unit: str
    low: float
    high: float
    units: Mapping[str | None, float]
    loinc: tuple[str, ...] = ()
    loinc_units: Mapping[str, Mapping[str | None, float]] = field(default_factory=dict)
    words: Mapping[str, float] = field(default_factory=dict)


def _one(unit: str, *same: str) -> dict[str | None, float]:
    """Units that all mean the canonical one; the unit may be left out."""
    return dict.fromkeys((unit, *same, None), 1.0)


_PER_MIN: Final = _one("/min", "{beats}/min", "{breaths}/min", "1/min")
_MMHG: Final = _one("mm[Hg]")
_PERCENT: Final = _one("%")
_MMOL: Final[dict[str | None, float]] = {"mmol/L": 1.0, "meq/L": 1.0, None: 1.0}  # monovalent: 1 mmol = 1 meq
_KPA: Final[dict[str | None, float]] = {"kPa": 1.0, "mm[Hg]": _KPA_PER_MMHG}
_UREA: Final[dict[str | None, float]] = {"mmol/L": 1.0}
_COUNT: Final = _one("10*9/L", "10*3/uL", "10*3/mm3", "10^9/L", "10^3/uL")
_ENZYME: Final = _one("U/L", "[IU]/L")
_G_L: Final[dict[str | None, float]] = {"g/L": 1.0, "g/dL": 10.0}
_EVENT: Final = _one("{event}")

ACVPU_WORDS: Final = MappingProxyType({
    "A": 0.0, "LA9340-6": 0.0, "248234008": 0.0,
    "C": 1.0, "LA6560-2": 1.0, "130987000": 1.0,
    "V": 2.0, "LA17108-4": 2.0, "300202002": 2.0, "255373000": 2.0,
    "P": 3.0, "LA17107-6": 3.0, "450847001": 3.0,
    "U": 4.0, "LA9343-0": 4.0, "422768004": 4.0,
})  # fmt: skip
"""Letter, LOINC answer (67775-7; C lies outside its list) and SNOMED CT codes; 255373000 is IHE's "Verbal"."""

OXYGEN_WORDS: Final = MappingProxyType({
    "oxygen": 1.0, "371825009": 1.0, "air": 0.0, "722742002": 0.0,
})  # fmt: skip
"""SNOMED CT: 371825009 patient on oxygen, 722742002 breathing room air (NHS CareConnect)."""

PARAMETERS: Final[tuple[Parameter, ...]] = (
    Parameter("respiration_rate", "/min", 0, 80, _PER_MIN, ("9279-1",)),
    Parameter("spo2", "%", 30, 100, _PERCENT, ("2708-6", "59408-5")),
    Parameter("systolic_bp", "mm[Hg]", 30, 300, _MMHG, ("8480-6",)),
    Parameter("pulse", "/min", 0, 300, _PER_MIN, ("8867-4", "8889-8")),
    Parameter("temperature", "Cel", 25, 45, _one("Cel") | {"[degF]": FAHRENHEIT}, ("8310-5", "8331-1")),
    Parameter("acvpu", "{index}", 0, 4, {}, ("67775-7", "1104441000000107"), words=ACVPU_WORDS),
    Parameter("on_oxygen", "{0,1}", 0, 1, _one("{0,1}"), words=OXYGEN_WORDS),
    Parameter("diastolic_bp", "mm[Hg]", 10, 200, _MMHG, ("8462-4",)),
    Parameter("map", "mm[Hg]", 15, 250, _MMHG, ("8478-0",)),
    Parameter("gcs_total", "{score}", 3, 15, _one("{score}"), ("9269-2",)),
    Parameter("o2_flow", "L/min", 0, 100, _one("L/min"), ("3151-8",)),
    Parameter("fio2", "%", 21, 100, _one("%", "1", "{fraction}"), ("3150-0",)),
    Parameter("etco2", "mm[Hg]", 0, 150, {"mm[Hg]": 1.0, "kPa": 1 / _KPA_PER_MMHG}, ("19889-5",)),
    Parameter("urine_ml_kg_h", "mL/kg/h", 0, 50, _one("mL/kg/h")),
    Parameter(
        "lactate", "mmol/L", 0, 40, {"mmol/L": 1.0, "mg/dL": _LACTATE_MG_DL}, ("2524-7", "32693-4", "2518-9")
    ),
    Parameter("ph", "[pH]", 6.3, 8.0, _one("[pH]", "1"), ("2744-1", "11558-4")),
    Parameter("paco2_kpa", "kPa", 0.5, 30, _KPA, ("2019-8", "11557-6")),
    Parameter("base_excess", "mmol/L", -50, 50, _MMOL, ("1925-7", "11555-0")),
    Parameter("bicarbonate", "mmol/L", 0, 80, _MMOL, ("1963-8", "1960-4")),
    Parameter("potassium", "mmol/L", 1, 15, _MMOL, ("2823-3", "6298-4")),
    Parameter("sodium", "mmol/L", 80, 220, _MMOL, ("2951-2", "2947-0")),
    Parameter("chloride", "mmol/L", 50, 180, _MMOL, ("2075-0", "2069-3")),
    Parameter("calcium", "mg/dL", 1, 30, {"mg/dL": 1.0, "mmol/L": _CALCIUM_MMOL_L}, ("17861-6", "2000-8")),
    Parameter("magnesium", "mmol/L", 0.05, 10, {"mmol/L": 1.0, "mg/dL": _MAGNESIUM_MG_DL, "meq/L": 0.5},
              ("2601-3", "19123-9")),
    Parameter("phosphate", "mg/dL", 0.1, 40, {"mg/dL": 1.0, "mmol/L": _PHOSPHATE_MMOL_L}, ("2777-1", "14879-1")),
    Parameter("glucose", "mmol/L", 0.2, 100, {"mmol/L": 1.0, "mg/dL": _GLUCOSE_MG_DL},
              ("2345-7", "2339-0", "14749-6", "15074-8", "41653-7")),
    Parameter("creatinine", "umol/L", 5, 4000, {"umol/L": 1.0, "mg/dL": _CREATININE_MG_DL}, ("2160-0", "14682-9")),
    Parameter("urea", "mmol/L", 0.1, 150, _UREA, ("22664-7",), {
        "3091-6": _UREA | {"mg/dL": _UREA_MG_DL}, "3094-0": _UREA | {"mg/dL": _UREA_NITROGEN_MG_DL}}),
    Parameter("bilirubin", "umol/L", 0, 1500, {"umol/L": 1.0, "mg/dL": _BILIRUBIN_MG_DL}, ("1975-2", "14631-6")),
    Parameter("albumin", "g/L", 3, 90, _G_L, ("1751-7",)),
    Parameter("ast", "U/L", 0, 50_000, _ENZYME, ("1920-8",)),
    Parameter("alp", "U/L", 0, 10_000, _ENZYME, ("6768-6",)),
    Parameter("wbc", "10*9/L", 0, 1000, _COUNT, ("6690-2", "26464-8")),
    Parameter("haemoglobin", "g/L", 10, 280, _G_L, ("718-7",)),
    Parameter("haematocrit", "%", 3, 80, {"%": 1.0, "L/L": 100.0}, ("4544-3", "20570-8")),
    Parameter("platelets", "10*9/L", 0, 5000, _COUNT, ("777-3", "26515-7")),
    Parameter("ptt", "s", 5, 400, _one("s"), ("3173-2", "14979-9")),
    Parameter("fibrinogen", "mg/dL", 5, 2500, {"mg/dL": 1.0, "g/L": 100.0}, ("3255-7",)),
    Parameter("troponin", "ng/mL", 0, 1000, {"ng/mL": 1.0, "ug/L": 1.0, "ng/L": 0.001, "pg/mL": 0.001},
              ("10839-9", "89579-7")),
    Parameter("crp", "mg/L", 0, 1000, {"mg/L": 1.0, "mg/dL": 10.0}, ("1988-5",)),
    Parameter("sao2", "%", 20, 100, _PERCENT, ("20564-1", "2713-6")),
    Parameter("aki_stage", "{stage}", 0, 3, _one("{stage}")),
    Parameter("antibiotic_given", "{event}", 1, 1, _EVENT),
    Parameter("fluid_bolus_given", "{event}", 1, 1, _EVENT),
)  # fmt: skip

INDEX: Final = MappingProxyType({parameter.name: i for i, parameter in enumerate(PARAMETERS)})

FLAG_NAMES: Final = (
    "icu_not_appropriate", "dnacpr", "carer_concern", "nurse_concern", "frailty_severe", "life_limiting",
    "symptom_burden", "paraquat_or_bleomycin", "suspected_infection", "resp_symptoms", "sputum_retention",
    "visible_or_suspected_bleed", "pulmonary_oedema", "chest_pain", "new_arrhythmia", "syncope",
    "diabetes_acutely_unwell", "seizure", "fall_recent", "head_injury", "focal_neurology", "urinary_symptoms",
    "opioid_24h", "anticoagulant",
)  # fmt: skip
"""Facts that hold for an encounter until somebody says otherwise; bit i of the masks is FLAG_NAMES[i]."""

FLAG_BIT: Final = MappingProxyType({name: 1 << i for i, name in enumerate(FLAG_NAMES)})


class Code(NamedTuple):
    """What an observation's code stands for.

    Attributes:
        column: Index into PARAMETERS.
        units: Factor to the canonical unit, by unit.
        low: Least value that is believed, in the canonical unit.
        high: Greatest value that is believed.
    """

    column: int
    units: dict[str | None, float]
    low: float
    high: float


def _codes() -> dict[str, Code]:
    """Every accepted code: column names, LOINC, and the SNOMED CT code of the ACVPU score."""
    codes: dict[str, Code] = {}
    for i, parameter in enumerate(PARAMETERS):
        own = Code(i, dict(parameter.units), parameter.low, parameter.high)
        special = {code: own._replace(units=dict(units)) for code, units in parameter.loinc_units.items()}
        codes |= dict.fromkeys((parameter.name, *parameter.loinc), own) | special
    return codes


CODES: Final[Mapping[str, Code]] = _codes()
"""By observation code. A plain dict, because it is read for every observation."""
