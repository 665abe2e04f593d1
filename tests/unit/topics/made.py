"""Made events for the tests of the contract."""

from __future__ import annotations

import json

NOW_MS = 1_772_350_000_000  # 2026-03-01T07:26:40Z
EVENT_MS = 1_772_349_300_678  # 2026-03-01T07:15:00.678Z

VITALS = {
    "schema_version": "1.0",
    "event_id": "event-1",
    "patient_id": "patient-1",
    "event_time": "2026-03-01T08:15:00.678+01:00",
    "source": "monitor",
    "observations": [
        {"code": "respiration_rate", "value": 18, "unit": "/min"},
        {"code": "spo2", "value": 95, "unit": "%"},
        {"code": "temperature", "value": 37.2, "unit": "Cel"},
    ],
}


def vitals(*without: str, **fields: object) -> dict:
    """A valid vitals event, changed."""
    return {name: value for name, value in {**VITALS, **fields}.items() if name not in without}


def as_bytes(event: object) -> bytes:
    return json.dumps(event).encode()


def observed(code: str, value: object, unit: str | None = None) -> dict:
    """One observation; without `unit` where there is none."""
    return {"code": code, "value": value} | ({} if unit is None else {"unit": unit})
