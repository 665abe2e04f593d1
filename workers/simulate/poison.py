"""Records that cannot be used: one of each kind that a worker must turn into a dead letter.

Decides bytes alone; each kind is a way in which real senders fail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from topics.catalogue import VITALS
from workers.simulate.record import Record, rfc3339

KINDS: Final = (
    "null_value",
    "not_utf8",
    "not_json",
    "missing_field",
    "unknown_field",
    "newer_major_version",
    "naive_time",
    "future_time",
    "wrong_key",
    "no_identity",
)
"""The ten kinds, in the order in which `ward` sends them round."""


def poison(kind: str, at: datetime, number: int) -> Record:
    """One unusable record.

    Args:
        kind: One of `KINDS`.
        at: Arrival time.
        number: Makes its ids unlike those of its neighbours.

    Raises:
        KeyError: No such kind.
    """
    event: dict[str, Any] = {
        "schema_version": "1.0",
        "event_id": f"unusable-{number}",
        "patient_id": f"unusable-patient-{number}",
        "event_time": rfc3339(at),
        "source": "wardstream-simulator",
        "status": "final",
        "observations": [{"code": "pulse", "value": 80, "unit": "/min"}],
    }
    key: bytes | None = event["patient_id"].encode()
    changed: dict[str, Any] = {
        "missing_field": {k: v for k, v in event.items() if k != "event_time"},
        "unknown_field": event | {"pluse": 80},
        "newer_major_version": event | {"schema_version": "9.0"},
        "naive_time": event | {"event_time": at.replace(tzinfo=None).isoformat()},
        "future_time": event | {"event_time": rfc3339(at + timedelta(days=3650))},
        "wrong_key": event | {"patient_id": "somebody-else"},
        "no_identity": event | {"event_id": ""},
    }
    plain = {"null_value": None, "not_utf8": b'{"event_id": "\xff\xfe"}', "not_json": orjson.dumps(event)[:-9]}
    value = plain[kind] if kind in plain else orjson.dumps(changed[kind])
    return Record(at, VITALS, key, value, None)
