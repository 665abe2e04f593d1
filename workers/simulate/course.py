"""How a made patient's body goes: one course of illness, as smooth curves of time.

Decides severity, vital signs, oxygen, consciousness and laboratory values at an hour of the stay. Knows no events,
no missing values and no clock. The numbers are drawn to look right on a chart and to cross the thresholds of the
early-warning scores in a believable order; they are no model of physiology and nothing may be learned from them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final, Literal

CourseName = Literal["stable", "sepsis", "respiratory", "recovering", "post_op", "copd"]

MIX: Final[tuple[tuple[CourseName, float], ...]] = (
    ("stable", 0.34),
    ("sepsis", 0.17),
    ("respiratory", 0.15),
    ("recovering", 0.14),
    ("post_op", 0.12),
    ("copd", 0.08),
)
"""How often each course is drawn. Sicker than a real ward, so that a short demonstration has something to show."""

_RESTING: Final[dict[str, tuple[float, float]]] = {  # mean, spread between patients
    "respiration_rate": (16, 1.5),
    "spo2": (97, 0.8),
    "pulse": (76, 9),
    "systolic_bp": (126, 12),
    "diastolic_bp": (74, 7),
    "temperature": (36.8, 0.2),
    "lactate": (1.1, 0.25),
    "wbc": (7.5, 1.5),
    "crp": (8, 5),
    "creatinine": (78, 15),
    "urea": (5.5, 1.2),
    "platelets": (250, 45),
    "haemoglobin": (132, 12),
    "sodium": (139, 2),
    "potassium": (4.1, 0.3),
    "bilirubin": (10, 3),
    "glucose": (6.2, 0.9),
}

_EFFECT: Final[dict[str, dict[str, float]]] = {  # change at severity 1
    "sepsis": {
        "respiration_rate": 13, "spo2": -5, "pulse": 52, "systolic_bp": -46, "diastolic_bp": -28, "temperature": 2.4,
        "lactate": 4.8, "wbc": 13, "crp": 240, "creatinine": 130, "urea": 9, "platelets": -140, "bilirubin": 30,
        "glucose": 4,
    },
    "respiratory": {
        "respiration_rate": 18, "spo2": -13, "pulse": 34, "systolic_bp": 4, "temperature": 1.3, "lactate": 1.2,
        "wbc": 6, "crp": 120,
    },
    "post_op": {
        "respiration_rate": -5, "spo2": -4, "pulse": 16, "systolic_bp": -22, "diastolic_bp": -12, "temperature": -0.9,
        "haemoglobin": -28, "wbc": 4, "crp": 60, "lactate": 0.8,
    },
}  # fmt: skip
_EFFECT["recovering"] = _EFFECT["respiratory"]
_EFFECT["copd"] = {"respiration_rate": 7, "spo2": -3, "pulse": 14, "crp": 30}

_TREATED_FROM: Final = 0.55  # severity at which a ward would have seen it and begun treatment


@dataclass(frozen=True, slots=True)
class Patient:
    """Who lies in the bed, and what becomes of them.

    Attributes:
        patient_id: Made identifier.
        encounter_id: Made stay.
        unit: Ward name.
        course: Kind of illness.
        age_years: Whole years.
        sex: `female` or `male`.
        resting: Own normal values, canonical units.
        onset_h: Hour of the stay at which the course turns.
        pace_h: Hours over which it turns.
        peak: Greatest severity, 0..1.
        fahrenheit: This bed's thermometer reports [degF].
    """

    patient_id: str
    encounter_id: str
    unit: str
    course: CourseName
    age_years: int
    sex: Literal["female", "male"]
    resting: dict[str, float]
    onset_h: float
    pace_h: float
    peak: float
    fahrenheit: bool

    @property
    def spo2_scale(self) -> Literal[1, 2]:
        """NEWS2 oxygen scale: 2 for the patients with chronic hypercapnic failure."""
        return 2 if self.course == "copd" else 1


def admit(rng: random.Random, patient_id: str, course: CourseName | None = None) -> Patient:
    """Draw one patient.

    Args:
        rng: Source of all chance.
        patient_id: Identifier to carry.
        course: Fixed kind of illness, or None to draw it from `MIX`.
    """
    drawn = rng.choices([name for name, _ in MIX], [weight for _, weight in MIX])[0]
    chosen = course or drawn
    resting = {name: rng.gauss(mean, spread) for name, (mean, spread) in _RESTING.items()}
    resting["spo2"] = min(99.0, resting["spo2"])
    if chosen == "copd":
        resting["spo2"] = rng.uniform(88.5, 91.0)
        resting["respiration_rate"] += 3
    return Patient(
        patient_id=patient_id,
        encounter_id=f"{patient_id}-stay",
        unit=rng.choice(("acute-medical", "respiratory", "surgical", "step-down")),
        course=chosen,
        age_years=rng.randint(24, 92),
        sex=rng.choice(("female", "male")),
        resting=resting,
        onset_h=rng.uniform(6, 20),
        pace_h=rng.uniform(2.0, 4.5),
        peak=rng.uniform(0.75, 1.0) if chosen in {"sepsis", "respiratory"} else rng.uniform(0.35, 0.7),
        fahrenheit=rng.random() < 0.3,
    )


def severity(patient: Patient, hour: float) -> float:
    """Severity of the acute illness, 0 (own normal) .. 1, at an hour of the stay."""
    turn = 1 / (1 + math.exp(-(hour - patient.onset_h) / patient.pace_h))
    if patient.course in {"sepsis", "respiratory"}:
        # Twelve hours after the turn, treatment begins to bite.
        easing = 1 / (1 + math.exp(-(hour - patient.onset_h - 18) / 4))
        return patient.peak * turn * (1 - 0.6 * easing)
    if patient.course in {"recovering", "post_op"}:
        return patient.peak * (1 - turn)
    return 0.12 * patient.peak * (1 + math.sin(hour / 5 + patient.onset_h))


def treated(patient: Patient, hour: float) -> bool:
    """Whether antibiotics and fluids have been begun by this hour (two hours after a septic patient looks ill)."""
    return patient.course == "sepsis" and severity(patient, hour - 2) >= _TREATED_FROM


def oxygen_flow(patient: Patient, hour: float) -> float:
    """Oxygen given, L/min; 0 is room air. Follows the patient by an hour, as a ward does."""
    target = 88.0 if patient.course == "copd" else 93.5
    short = target - _native(patient, "spo2", hour - 1)
    return float(min(15, max(1, round(1.3 * short)))) if short > 0 else 0.0


def _native(patient: Patient, name: str, hour: float) -> float:
    """A value as illness alone would make it."""
    effect = _EFFECT.get(patient.course, {}).get(name, 0.0)
    return patient.resting[name] + effect * severity(patient, hour)


def value(patient: Patient, name: str, hour: float) -> float:
    """The true value of one quantity (canonical unit), before anyone measures it."""
    raw = _native(patient, name, hour)
    if name == "spo2":
        return min(99.5, raw + 0.65 * oxygen_flow(patient, hour))
    if name == "pulse":
        return raw + 4 * math.sin((hour - 9) * math.pi / 12)  # a day's rhythm
    if name == "temperature":
        return raw + 0.2 * math.sin((hour - 11) * math.pi / 12)
    if name == "systolic_bp" and treated(patient, hour):
        return raw + 12
    return raw


def acvpu(patient: Patient, hour: float) -> str:
    """Consciousness: A alert, C new confusion, V responds to voice."""
    level = severity(patient, hour) if patient.course in {"sepsis", "respiratory"} else 0.0
    return "V" if level > 0.93 else "C" if level > 0.72 else "A"


QUANTITIES: Final = tuple(_RESTING)
"""Every quantity that `value` knows."""
