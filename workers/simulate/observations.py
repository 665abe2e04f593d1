"""Rounds of observations and laboratory panels: what is measured, what is left out, and in which unit.

Decides the `observations` of vitals events as an electronic record would send them, gaps and slips included.
"""

from __future__ import annotations

import random
from typing import Any, Final

from workers.simulate.course import Patient, acvpu, oxygen_flow, treated, value

Observation = dict[str, Any]

_ROUND: Final[tuple[tuple[str, str, float, float, int], ...]] = (
    # name, unit, chance to be left out, spread of a measurement, digits
    ("respiration_rate", "/min", 0.10, 1.0, 0),
    ("spo2", "%", 0.05, 0.7, 0),
    ("pulse", "/min", 0.04, 3.0, 0),
    ("systolic_bp", "mm[Hg]", 0.12, 4.0, 0),
    ("temperature", "Cel", 0.35, 0.1, 1),
)

_PANEL: Final[tuple[tuple[str, str, float, int], ...]] = (  # name, unit, relative spread, digits
    ("wbc", "10*9/L", 0.04, 1),
    ("haemoglobin", "g/L", 0.02, 0),
    ("platelets", "10*9/L", 0.04, 0),
    ("creatinine", "umol/L", 0.04, 0),
    ("urea", "mmol/L", 0.05, 1),
    ("sodium", "mmol/L", 0.005, 0),
    ("potassium", "mmol/L", 0.02, 1),
    ("crp", "mg/L", 0.06, 0),
    ("bilirubin", "umol/L", 0.06, 0),
    ("glucose", "mmol/L", 0.05, 1),
    ("lactate", "mmol/L", 0.08, 1),
)

_LOINC: Final = {"pulse": "8867-4", "spo2": "59408-5", "respiration_rate": "9279-1", "temperature": "8310-5"}
"""Some senders name a quantity, others send its LOINC code; a made bed does one or the other."""

_SLIPS: Final[tuple[tuple[str, float, str], ...]] = (
    ("spo2", 9, "%"),  # probe off the finger
    ("pulse", 999, "/min"),  # an artefact, or a device's way to say nothing
    ("temperature", 98.6, "Cel"),  # the unit of another country
    ("systolic_bp", 12, "mm[Hg]"),  # a digit lost
)


def observation_round(rng: random.Random, patient: Patient, hour: float, *, slip: bool = False) -> dict[str, Any]:
    """Contents of one round at the bedside: observations, oxygen and consciousness.

    Args:
        rng: Source of chance.
        patient: Whose.
        hour: Hour of the stay.
        slip: Put one implausible value in.
    """
    seen = [
        _observation(patient, name, unit, round(rng.gauss(value(patient, name, hour), spread), digits))
        for name, unit, left_out, spread, digits in _ROUND
        if rng.random() >= left_out
    ]
    systolic = next((entry["value"] for entry in seen if entry["code"] == "systolic_bp"), None)
    if systolic is not None:
        diastolic = round(min(rng.gauss(value(patient, "diastolic_bp", hour), 3.0), systolic - 12))
        seen.append({"code": "diastolic_bp", "value": diastolic, "unit": "mm[Hg]"})
    if slip or not seen:
        seen = _with_slip(rng, seen) if slip else [_observation(patient, "pulse", "/min", 80)]
    event: dict[str, Any] = {"observations": seen}
    if rng.random() >= 0.08:
        event["acvpu"] = acvpu(patient, hour)
    if rng.random() >= 0.08:
        event["oxygen"] = _oxygen(oxygen_flow(patient, hour))
    if patient.spo2_scale == 2:
        event["spo2_scale"] = 2
    flags = _flags(patient, hour)
    return event | ({"flags": flags} if flags else {})


def lab_panel(rng: random.Random, patient: Patient, hour: float) -> dict[str, Any]:
    """Contents of one laboratory panel; each value is there nine times in ten."""
    return {
        "observations": [
            {"code": name, "value": round(_measured(rng, patient, name, hour, spread), digits), "unit": unit}
            for name, unit, spread, digits in _PANEL
            if name == "wbc" or rng.random() >= 0.1
        ]
    }


def _measured(rng: random.Random, patient: Patient, name: str, hour: float, spread: float) -> float:
    """A laboratory value with its relative measuring error, never negative."""
    return max(0.1, value(patient, name, hour) * rng.gauss(1, spread))


def _observation(patient: Patient, name: str, unit: str, measured: float) -> Observation:
    """One observation in this bed's manner: name or LOINC code, Celsius or Fahrenheit."""
    if name == "spo2":
        measured = min(100, measured)
    if name == "temperature" and patient.fahrenheit:
        measured, unit = round(measured * 9 / 5 + 32, 1), "[degF]"
    by_code = patient.fahrenheit and name in _LOINC
    return {"code": _LOINC[name] if by_code else name, "value": measured, "unit": unit}


def _with_slip(rng: random.Random, seen: list[Observation]) -> list[Observation]:
    """The round with one value spoilt."""
    name, wrong, unit = rng.choice(_SLIPS)
    kept = [entry for entry in seen if entry["code"] not in {name, _LOINC.get(name)}]
    return [*kept, {"code": name, "value": wrong, "unit": unit}]


def _oxygen(flow: float) -> dict[str, Any]:
    """Oxygen as charted."""
    return {"delivery": "oxygen", "flow_l_min": flow} if flow else {"delivery": "air"}


def _flags(patient: Patient, hour: float) -> dict[str, bool]:
    """Facts of the encounter as far as they are known by now."""
    flags: dict[str, bool] = {}
    if patient.course == "post_op" and hour < 24:
        flags["opioid_24h"] = True
    if treated(patient, hour):
        flags["suspected_infection"] = True
    if patient.course in {"respiratory", "copd"}:
        flags["resp_symptoms"] = True
    return flags
