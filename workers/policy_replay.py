"""The live alert policy over a whole stay, in event time: what would have been told, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from models.evaluation.alerting import Told
from workers.alerts import AlertState, Facts, Thresholds, Tier, step, tier_of

_MS_PER_HOUR: Final = 3_600_000.0
_MODEL: Final = 1  # stands for the action of an alert that a model raised


def tell(facts: Iterable[Facts], thresholds: Thresholds) -> Told:
    """Run the policy over the events of one stay, from a quiet state, as `workers.decide` does.

    Args:
        facts: Event by event, in order.
        thresholds: The unit's policy.
    """
    state = AlertState()
    raised: list[float] = []
    told: list[float] = []
    reached = suppressed = 0
    for one in facts:
        tier, why = tier_of(one, thresholds)
        if tier is Tier.NONE and not state.active:
            continue
        action = state.action if state.active else int(why == "model_risk")
        state, change, _ = step(
            state, one, thresholds, new_id=bytes(16), action=action, of_model=state.active and action == _MODEL
        )
        reached += tier is not Tier.NONE
        suppressed += tier is not Tier.NONE and change == "suppress"
        if change in {"raise", "update"}:
            told.append(one.event_ms / _MS_PER_HOUR)
        if change == "raise":
            raised.append(one.event_ms / _MS_PER_HOUR)
    return Told(raised, told, reached, suppressed)
