"""A patient's context as readable JSON, for comparing and inspecting. Identifiers in it are digests."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.columns import COLUMNS
from workers.context import NEVER, unpack


def describe(patient: bytes, value: bytes) -> dict[str, Any]:
    """One context.

    Args:
        patient: HMAC that stands for the patient.
        value: Packed context.
    """
    context = unpack([value])[0]
    head, alert = context["head"], context["alert"]
    known = np.flatnonzero(head["at"] != NEVER)
    return {
        "patient": patient.hex(),
        "recurrent": [round(float(x), 6) for x in head["hidden"] if x],
        "clinical": {
            "as_of": int(context["as_of"]),
            "values": {COLUMNS[c].name: round(float(head["value"][c]), 4) for c in known},
            "measured_at": {COLUMNS[c].name: int(head["at"][c]) for c in known},
            "flags_known": int(head["flags_known"]),
            "flags_true": int(head["flags_true"]),
            "age_years": None if np.isnan(head["static"][0]) else float(head["static"][0]),
            "spo2_scale": int(head["spo2_scale"]) or 1,
        },
        "events": {
            "vitals": [f"{int(row['id']):016x}" for row in context["window"][: context["rows"]]],
            "notes": [f"{int(entry['id']):016x}" for entry in context["note"][: context["notes"]]],
            "images": [f"{int(entry['id']):016x}" for entry in context["image"][: context["images"]]],
        },
        "alert": {
            "active": bool(alert["active"]),
            "tier": int(alert["tier"]),
            "raised_ms": int(alert["raised_ms"]),
            "told_ms": int(alert["told_ms"]),
            "revision": int(alert["revision"]),
            "id": bytes(alert["id"]).hex(),
        },
    }
