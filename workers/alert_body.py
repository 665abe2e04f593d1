"""The alert of a recommendation: a snapshot that is complete in itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from models.clinical.actions import Action
from workers.alert_policy import ACK_MINUTES, ESCALATION, MINUTE_MS, Tier
from workers.alerting import AlertOut
from workers.alerts import NEVER, AlertState, Phase
from workers.identity import uuid_text
from workers.json_text import text
from workers.moments import utc

_TIERS: Final = {Tier.NONE: None, Tier.INFO: "info", Tier.WARNING: "warning", Tier.CRITICAL: "critical"}
_NO_ALERT: Final[dict[str, Any]] = {
    "alert_id": None, "state": "none", "tier": None, "action_id": None, "dedupe_key": None, "reason": None,
    "raised_at": None, "ack_by": None, "expires_at": None, "stale": False, "revision": 0, "evidence": None,
    "answered_at": None, "snoozed_until": None, "escalation": [],
}  # fmt: skip


@cache
def _no_alert(reason: str) -> str:
    """Of a result without an alert, as JSON; there are few reasons."""
    return text(_NO_ALERT | {"reason": reason})


def tier_of(alert: AlertOut) -> str | None:
    """Name of the tier that the snapshot shows.

    While the alert stands it is what now counts as told, which a calm or a correction lowers. A clear names the tier of
    the last raise or update: whoever routes by tier takes the alert back where it was told.
    """
    if alert.change == "none":
        return None
    if alert.change == "clear":
        return _TIERS[alert.state.told]
    return _TIERS[alert.state.tier if alert.state.standing else alert.found.tier]


class AlertBodies:
    """Builds the alert part of results.

    Args:
        actions: Of the catalogue.
        lifetime_ms: How long an alert lives after a tier was last reached.
    """

    def __init__(self, actions: Sequence[Action], lifetime_ms: int) -> None:
        self._ids: Final = [action.id for action in actions]
        self._roles: Final = [action.role for action in actions]
        self._lifetime_ms = lifetime_ms

    def text(self, alert: AlertOut, now_ms: int) -> str:
        """The snapshot as JSON.

        Args:
            alert: What the policy made of the event.
            now_ms: Wall clock: an alert whose lifetime is over by now is stale.
        """
        if alert.change == "none":
            return _no_alert(alert.reason)
        return text(self._snapshot(alert, now_ms))

    def _snapshot(self, alert: AlertOut, now_ms: int) -> dict[str, Any]:
        state, change = alert.state, alert.change
        if not state.standing and change != "clear":
            return _NO_ALERT | {
                "state": change, "tier": tier_of(alert), "reason": alert.reason,
                "action_id": self._ids[alert.action],
                "evidence": "model" if alert.found.of_model else "rules",
            }  # fmt: skip
        expires_ms = state.lives_ms(self._lifetime_ms)
        waiting = state.phase in (Phase.ACTIVE, Phase.REROUTED)
        return {
            "alert_id": uuid_text(state.alert_id),
            "state": change,
            "tier": tier_of(alert),
            "action_id": self._ids[state.action],
            "dedupe_key": alert.dedupe_key,
            "reason": alert.reason,
            "raised_at": utc(state.raised_ms),
            "ack_by": utc(state.told_ms + ACK_MINUTES[state.tier] * MINUTE_MS) if waiting else None,
            "expires_at": utc(expires_ms),
            "stale": now_ms > expires_ms,
            "revision": state.revision,
            "evidence": "model" if state.of_model else "rules",
            "answered_at": utc(state.answered_ms) if state.answered_ms != NEVER else None,
            "snoozed_until": utc(state.until_ms) if state.phase is Phase.SNOOZED else None,
            "escalation": self._escalation(state) if waiting else [],
        }

    def _escalation(self, state: AlertState) -> list[dict[str, Any]]:
        """Who is to be told, from when on, until somebody answers; those who passed it on are left out."""
        steps = [(0, self._roles[state.action])]
        if state.tier is Tier.CRITICAL:
            steps += ESCALATION
        left = steps[state.routed :] or steps[-1:]
        begins = left[0][0]  # whoever is left is told first, and at once
        return [{"role": role, "at": utc(state.told_ms + (minutes - begins) * MINUTE_MS)} for minutes, role in left]
