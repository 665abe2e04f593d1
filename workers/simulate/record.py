"""One record on its way to Kafka: what simulator and replay produce and the feeder sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Record:
    """A record that arrives.

    Attributes:
        at: When it arrives, in the ward's own time; late records arrive after their event_time.
        topic: Topic name without prefix.
        key: Record key, the patient id; None for a record without.
        value: Record value; None for a null value.
        event_id: The event's id where it has one, to match a result with what caused it.
    """

    at: datetime
    topic: str
    key: bytes | None
    value: bytes | None
    event_id: str | None


def record(at: datetime, topic: str, event: dict[str, Any]) -> Record:
    """The record of one event, keyed by its patient."""
    return Record(at, topic, event["patient_id"].encode(), orjson.dumps(event), event["event_id"])


def rfc3339(moment: datetime) -> str:
    """A time as the contract wants it: UTC, with offset, whole milliseconds."""
    return moment.isoformat(timespec="milliseconds")
