"""A made nurse who answers the demonstration's alerts, as a ward terminal would.

Constructed behaviour, not observed: two thirds are acknowledged, the rest is put off, done already, passed on or left.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from topics.events import SCHEMA_VERSION

SOURCE: Final = "wardstream-demo-nurse"

_HABITS: Final[tuple[tuple[float, dict[str, Any]], ...]] = (
    (0.66, {"outcome": "acknowledged"}),
    (0.10, {"outcome": "snoozed", "snooze_minutes": 30, "override_reason": "need-more-info"}),
    (0.10, {"outcome": "overridden", "override_reason": "action-completed"}),
    (0.05, {"outcome": "overridden", "override_reason": "inappropriate-recipient"}),
)
"""Shares of what is answered; what is left is not answered at all."""


def answer(recommendation: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """The feedback event to a recommendation; None where there is nothing to answer, or nobody does.

    The same alert, told the same way, is always answered the same way, some minutes after the event but not after
    `now`.
    """
    alert = recommendation["alert"]
    if alert["state"] not in {"raise", "update"} or alert["stale"]:
        return None
    seed = f"{alert['alert_id']}/{alert['revision']}"
    draw = random.Random(int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "little"))
    chosen, share = draw.random(), 0.0
    for weight, habit in _HABITS:
        share += weight
        if chosen < share:
            return _event(recommendation, habit, seed, timedelta(minutes=draw.uniform(2, 12)), now)
    return None


def _event(
    recommendation: Mapping[str, Any], habit: dict[str, Any], seed: str, delay: timedelta, now: datetime
) -> dict[str, Any]:  # fmt: skip
    told = datetime.fromisoformat(recommendation["caused_by"]["event_time"])
    return {
        "schema_version": SCHEMA_VERSION,
        "event_id": f"answer-{seed}",
        "patient_id": recommendation["patient_id"],
        "encounter_id": recommendation["encounter_id"],
        "unit": recommendation["unit"],
        "event_time": max(told, min(told + delay, now)).isoformat(),
        "source": SOURCE,
        "recommendation_id": recommendation["recommendation_id"],
        "alert_id": recommendation["alert"]["alert_id"],
        "action_id": recommendation["alert"]["action_id"],
        "actor_role": "nurse",
        **habit,
    }
