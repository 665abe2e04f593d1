"""What made nurses and doctors write: short notes whose words fit the course.

Decides text alone. The sentences are written for this program; no real note was used.
"""

from __future__ import annotations

import random
from typing import Final

from workers.simulate.course import Patient, acvpu, oxygen_flow, severity, treated, value

_OPENING: Final = {
    "stable": (
        "Comfortable overnight, mobilising to the bathroom with supervision.",
        "Settled shift. Eating and drinking, pain well controlled with paracetamol.",
        "Sitting out in chair, chatting with family. No new concerns.",
    ),
    "sepsis": (
        "Feeling hot and shivery, poor appetite, urine dark and offensive.",
        "Rigors this afternoon. Burning on passing urine reported since yesterday.",
        "Looks unwell, flushed and clammy. Lower abdominal and loin discomfort.",
    ),
    "respiratory": (
        "Productive cough with green sputum, breathless on minimal exertion.",
        "Short of breath when speaking in sentences. Coarse crackles at the right base.",
        "Increasing work of breathing, using accessory muscles.",
    ),
    "recovering": (
        "Day four of antibiotics for pneumonia, feels better, cough settling.",
        "Appetite returning. Walked the corridor with physiotherapist.",
        "Breathing easier than yesterday, slept through the night.",
    ),
    "post_op": (
        "Returned from theatre, drowsy but rousable, wound dressing dry and intact.",
        "Pain score 5 of 10 on movement, patient-controlled analgesia in use.",
        "Nauseated, sips only. Drain 120 mL haemoserous fluid.",
    ),
    "copd": (
        "Known COPD with chronic carbon dioxide retention, target saturation 88 to 92 percent.",
        "Usual morning cough, clear sputum, inhalers given.",
        "Breathless at baseline, home nebulisers continued.",
    ),
}


def nurse_note(rng: random.Random, patient: Patient, hour: float) -> str:
    """A nursing note of the shift."""
    ill = severity(patient, hour)
    # A patient whose course has not turned yet is written about as a stable one.
    story = patient.course if ill >= 0.25 or patient.course in {"copd", "post_op", "recovering"} else "stable"
    lines = [rng.choice(_OPENING[story]), _observations(patient, hour)]
    if ill > 0.6 and patient.course in {"sepsis", "respiratory"}:
        lines.append(rng.choice(("Concerned about this patient, doctor called.", "Escalated to the medical team.")))
    if acvpu(patient, hour) != "A":
        lines.append("Newly confused, pulling at lines, not oriented to place.")
    if treated(patient, hour):
        lines.append("Blood cultures taken, first dose of intravenous antibiotic given, fluid bolus running.")
    return " ".join(lines)


def _observations(patient: Patient, hour: float) -> str:
    """The numbers as a nurse would quote them."""
    flow = oxygen_flow(patient, hour)
    air = f"on {flow:.0f} litres of oxygen" if flow else "on room air"
    rate, saturation = value(patient, "respiration_rate", hour), value(patient, "spo2", hour)
    pulse = value(patient, "pulse", hour)
    return f"Respirations {rate:.0f}, saturation {saturation:.0f} percent {air}, pulse {pulse:.0f}."


def doctor_note(patient: Patient, hour: float) -> str:
    """A doctor's assessment."""
    who = f"{patient.age_years} year old {patient.sex}."
    ill = severity(patient, hour)
    plan = {
        "stable": "Admitted for observation. Examination unremarkable. Plan: home tomorrow if they stay so.",
        "sepsis": "Impression: sepsis, likely urinary source. Plan: cultures, lactate, broad spectrum antibiotic, "
        "fluids, hourly observations and urine output.",
        "respiratory": "Impression: community acquired pneumonia with hypoxia. Plan: oxygen to target, antibiotics, "
        "chest film, discuss with critical care if rising oxygen requirement.",
        "recovering": "Resolving pneumonia. Plan: oral antibiotics, wean oxygen, mobilise.",
        "post_op": "First day after bowel resection. Plan: analgesia review, haemoglobin check, chest physiotherapy.",
        "copd": "Stable COPD. Plan: controlled oxygen to 88 to 92 percent, blood gas if drowsy.",
    }
    turned = ill >= 0.35 or patient.course not in {"sepsis", "respiratory"}
    return f"{who} {plan[patient.course if turned else 'stable']}"
