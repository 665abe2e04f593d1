"""A patient's context as readable JSON, for comparing and inspecting. Identifiers in it are digests."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from models.clinical.actions import Catalogue
from models.columns import COLUMNS
from workers.alert_store import unpack_alert
from workers.context import NEVER, unpack
from workers.holds import Kind

_OF_ALERT: Final = ("news2", "signs", "of_model", "scores", "routed", "revision")
_TIMES: Final = ("raised_ms", "told_ms", "seen_ms", "below_ms", "lower_ms", "until_ms", "answered_ms")


def describe(patient: bytes, value: bytes) -> dict[str, Any]:
    """One context.

    Args:
        patient: HMAC that stands for the patient.
        value: Packed context.
    """
    context = unpack([value])[0]
    head = context["head"]
    alert, _ = unpack_alert(context["alert"])
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
            "phase": alert.phase.name.lower(),
            "tier": alert.tier.name.lower(),
            "id": alert.alert_id.hex(),
            **{name: getattr(alert, name) for name in _OF_ALERT},
            **{name: None if (at := getattr(alert, name)) == NEVER else at for name in _TIMES},
        },
        "holds": [
            {
                "action": Catalogue.load().actions[hold["action"]].id,
                "kind": Kind(hold["kind"]).name.lower(),
                "until_ms": int(hold["until_ms"]),
            }
            for hold in context["hold"][: context["holds"]]
        ],
    }
