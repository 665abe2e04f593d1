"""A made ward whose clinicians have a taste of their own: events, results reduced to what learning reads, answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
LISTED = ("fluid-bolus", "lactate", "bloods-core", "cxr-urgent", "abg")  # all of one urgency
LIKED, DISLIKED, BY_PULSE = "cxr-urgent", "bloods-core", "lactate"


def moment(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


def vitals_event(patient: str, number: int, pulse: float) -> dict[str, Any]:
    return {
        "schema_version": "1.0", "event_id": f"v-{patient}-{number}", "patient_id": patient, "source": "monitor",
        "event_time": moment(60 * number), "observations": [{"code": "pulse", "value": pulse}],
    }  # fmt: skip


def recommendation(patient: str, number: int, listed: Iterable[str] = LISTED) -> dict[str, Any]:
    return {
        "schema_version": "1.2", "recommendation_id": f"r-{patient}-{number}", "patient_id": patient,
        "caused_by": {
            "event_id": f"v-{patient}-{number}", "topic": "patient.vitals", "partition": 0, "offset": number,
            "event_time": moment(60 * number), "source": "monitor",
        },
        "recommendations": [{"action_id": name, "floor": True} for name in listed], "withheld": [],
    }  # fmt: skip


def answer(patient: str, number: int, action: str | None, outcome: str = "accepted", **more: Any) -> dict[str, Any]:
    return {
        "schema_version": "1.0", "event_id": f"f-{patient}-{number}-{action}", "patient_id": patient,
        "event_time": moment(60 * number + 10), "source": "ward-terminal", "actor_role": "nurse",
        "recommendation_id": f"r-{patient}-{number}", "action_id": action, "outcome": outcome,
    } | more  # fmt: skip


def refusal(patient: str, number: int, action: str, reason: str = "cds-not-applicable", **more: Any) -> dict[str, Any]:
    return answer(patient, number, action, "overridden", override_reason=reason, **more)


def taste(rng: np.random.Generator, patient: str, number: int, action: str, pulse: float) -> dict[str, Any]:
    """Nine times in ten: films are liked, bloods are not, lactate is with a quick pulse, and the rest half and half."""
    likely = {LIKED: 0.9, DISLIKED: 0.1, BY_PULSE: 0.9 if pulse > 100 else 0.1}.get(action, 0.5)
    return answer(patient, number, action) if rng.random() < likely else refusal(patient, number, action)


def ward(patients: int = 60, events: int = 3, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Vital signs, results and answers of two actions each, in the order of time."""
    rng = np.random.default_rng(seed)
    made: dict[str, list[dict[str, Any]]] = {"vitals": [], "recommendations": [], "feedback": []}
    for number in range(events):
        for one in range(patients):
            patient, pulse = f"bed-{one}", float(rng.integers(60, 140))
            made["vitals"].append(vitals_event(patient, number, pulse))
            made["recommendations"].append(recommendation(patient, number))
            for action in rng.permutation(LISTED)[:2].tolist():
                made["feedback"].append(taste(rng, patient, number, action, pulse))
    return made


def write(folder: Path, made: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The files, and the command line that names them."""
    arguments = []
    for name, events in made.items():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
        arguments += [f"--{name}", str(file)]
    return arguments
