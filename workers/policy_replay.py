"""The live alert policy over a whole stay, in event time: what would have been told, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from models.evaluation.alerting import Told
from workers.alert_policy import Policy, Tier
from workers.alerts import AlertState, Facts, reached, step

LIFETIME_MS: Final = 8 * 3_600_000
"""As `Settings.expires_after_h` has it by default."""

_MS_PER_HOUR: Final = 3_600_000.0


def tell(facts: Iterable[Facts], policy: Policy, lifetime_ms: int = LIFETIME_MS) -> Told:
    """Run the policy over the events of one stay, from a quiet state, as `workers.alerting` does.

    Args:
        facts: Event by event, in order.
        policy: The unit's.
        lifetime_ms: How long an alert lives after a tier was last reached.
    """
    state = AlertState()
    raised: list[float] = []
    told: list[float] = []
    seen = suppressed = 0
    for one in facts:
        found = reached(one, policy)
        state, change, _ = step(
            state, one, found, policy, held=None, new_id=bytes(16), action=0, lifetime_ms=lifetime_ms
        )
        seen += found.tier is not Tier.NONE
        suppressed += found.tier is not Tier.NONE and change == "suppress"
        if change in {"raise", "update"}:
            told.append(one.event_ms / _MS_PER_HOUR)
        if change == "raise":
            raised.append(one.event_ms / _MS_PER_HOUR)
    return Told(raised, told, seen, suppressed)
