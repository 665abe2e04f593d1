"""Recommendations as consumers get them: the example, changed, and those that the worker really makes."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from tests.unit.workers.made import CONTROL, ILL, WELL, Ward, record, vitals
from tests.unit.workers.test_output import TOPIC_CONTROL, steps
from topics.reasons import DEAD_LETTER, Reason
from topics.schemas import example
from workers.control import Control

AILING = {"respiration_rate": 22, "spo2": 95, "systolic_bp": 105, "pulse": 112, "temperature": 37.0}  # NEWS2 6 on air


def published(alert: dict | None = None, **changes: Any) -> dict[str, Any]:
    """The example, changed; `alert` changes fields of its alert."""
    value = json.loads(example("recommendation")) | changes
    value["alert"] |= alert or {}
    return value


def cleared() -> dict[str, Any]:
    """As the worker says that an alert is over."""
    later = {"caused_by": published()["caused_by"] | {"event_time": "2026-03-01T16:30:00Z"}}
    return published(
        {"state": "clear", "tier": "critical", "ack_by": None, "revision": 2, "reason": "better", "stale": True},
        **later,
    )


@st.composite
def varied(draw: st.DrawFn) -> dict[str, Any]:
    """The example with everything that the contract lets vary and that projections read."""
    value = copy.deepcopy(published())
    value["status"] = draw(st.sampled_from(["ok", "degraded", "indeterminate", "retracted"]))
    value["reasons"] = draw(st.lists(st.sampled_from(sorted(set(Reason) - DEAD_LETTER)), max_size=4, unique=True))
    value["supersedes"] = draw(st.lists(st.uuids().map(str), max_size=2))
    value["encounter_id"] = draw(st.none() | st.just("stay"))
    value["alert"] |= {
        "state": draw(st.sampled_from(["raise", "update", "clear", "suppress", "none"])),
        "tier": draw(st.sampled_from(["info", "warning", "critical", None])),
        "stale": draw(st.booleans()),
        "reason": draw(st.none() | st.text(max_size=300)),
        "action_id": draw(st.sampled_from(["esc-emergency-team", "gone", None])),
    }
    for name in ("answered_at", "snoozed_until"):
        value["alert"][name] = draw(st.none() | st.just("2026-03-01T07:20:00Z"))
    for name in ("raised_at", "ack_by", "expires_at", "alert_id"):
        if draw(st.integers(0, 4)) == 0:
            value["alert"][name] = None
    for risk in value["risks"]:
        risk["probability"] = draw(st.none() | st.floats(0, 1))
        known = risk["probability"] is not None
        risk["band"] = draw(st.sampled_from(["low", "medium", "high"])) if known else None
        sets = st.sampled_from([[], ["no"], ["yes"], ["no", "yes"], None])
        risk["prediction_set"] = draw(sets) if known else None
        risk["horizon_h"] = draw(st.none() | st.floats(0.1, 1000))
    total = draw(st.none() | st.integers(0, 20))
    value["clinical_scores"]["news2"] |= {"total": total, "applicable": draw(st.booleans())}
    value["recommendations"] = value["recommendations"][: draw(st.integers(0, 2))]
    for each in value["recommendations"]:
        each["text"] = draw(st.text(max_size=300))
    value["explanation"]["vitals"] = value["explanation"]["vitals"][: draw(st.integers(0, 2))]
    return value


def illness(ward: Ward | None = None, control: Control = CONTROL) -> list[dict[str, Any]]:
    """What the worker publishes for one patient who gets ill, worse, and well again."""
    ward = ward or Ward()
    events = [
        vitals("patient-1", minute, values=values)
        for minute, values in (
            (2500, WELL),
            (2510, AILING),
            (2520, ILL),
            (2530, ILL),
            (2600, WELL),
            (2700, WELL),
            (2710, WELL),
        )
    ]
    return [body for event in events for body in ward.bodies(record(event), control=control)]


@st.composite
def made(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The same after events of every kind, under any control."""
    ward, control = Ward(), draw(TOPIC_CONTROL)
    bodies = []
    for event, encoded, care, degraded in draw(st.lists(steps(), max_size=4)):
        bodies += ward.decide(record(event, encoded=encoded, care=care), control=control, degraded=degraded)
    return [json.loads(each.value) for each in bodies if hasattr(each, "value")] + illness(ward, control)
