"""The alert policy: when a patient's alert is raised, updated, cleared, or left alone.

A pure state machine in event time. It sees facts of one patient at one event and that patient's alert state; it knows
no clock, no Kafka, and no other patient. This first policy has two states:

| state | facts | what goes out | next |
|---|---|---|---|
| quiet | a tier is reached on the lower bound of the possible score | `raise` | active |
| quiet | else | `none` | quiet |
| active | the tier rises, or NEWS2's lower bound rises by 2 | `update` | active |
| active | a tier is reached, nothing worse | `suppress` (already told) | active |
| active | as below, but a model raised the alert and abstains now | `suppress` | active |
| active | the upper bound lies below the clearing line, no model risk, held for `min_hold_ms` | `clear` | quiet |
| active | else | `suppress` | active |

So missing parameters can raise (the rest is bad enough) but never clear: a patient is not better because nobody
measured. Nor does a model that abstains raise an alert, or clear one that it raised itself.
An alert is an upsert: `alert_id` stays from raise to clear, `revision` counts what went out.
Numbers are starting defaults of policy, not evidence (benchmarks: 1.9 to 5.5 NEWS2 alerts per 100 patient-days).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Literal, NamedTuple

Change = Literal["raise", "update", "clear", "suppress", "none"]


class Tier(IntEnum):
    """How urgent an alert is; the order matters."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


ACK_MINUTES = {Tier.INFO: 240, Tier.WARNING: 60, Tier.CRITICAL: 15}
"""Minutes in which somebody should have acknowledged: NEWS2's response times for 1-4, 5-6; 15 for 7 and more."""


ACTION_OF: Final = {"peri_arrest": "esc-cardiac-arrest-call", "model_risk": "sepsis-screen",
    "single_parameter_3": "esc-ward-doctor-review", "news2_raise": "esc-urgent-review",
    "news2_critical": "esc-emergency-team"}  # fmt: skip
"""The action that an alert is about, by the reason that `tier_of` gives for raising it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where alerts begin and end; control events change them per unit.

    Attributes:
        news2_raise: NEWS2 at which a warning is raised (RCP: 5, urgent response).
        news2_critical: NEWS2 at which it is critical (RCP: 7, emergency response).
        news2_clear: An alert clears when the highest possible NEWS2 lies below this.
        model_raise: Fused risk probability that raises a warning by itself.
        min_hold_ms: Least time from raise to clear, event time.
    """

    news2_raise: int = 5
    news2_critical: int = 7
    news2_clear: int = 4
    model_raise: float = 0.2
    min_hold_ms: int = 60 * 60_000


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered of a patient's alert.

    Attributes:
        active: Whether an alert stands.
        tier: Its tier.
        news2: NEWS2's lower bound when it last went out.
        raised_ms: Event time of raising, epoch milliseconds.
        told_ms: Event time of raising or of the newest update: from here the clocks of answering it run.
        revision: How often this alert went out.
        alert_id: 16 bytes (a UUID), zero when never raised.
        action: Index of the action that the alert is about, -1 for none.
    """

    active: bool = False
    tier: Tier = Tier.NONE
    news2: int = 0
    raised_ms: int = 0
    told_ms: int = 0
    revision: int = 0
    alert_id: bytes = bytes(16)
    action: int = -1


class Facts(NamedTuple):
    """What the policy sees of one event.

    Attributes:
        event_ms: Event time, epoch milliseconds.
        news2_low: Lowest possible NEWS2; 0 when it does not apply.
        news2_high: Highest possible NEWS2.
        single_three: One parameter scores 3 for certain.
        arrest: A peri-arrest rule is certainly met.
        risk: Fused probability, None without models and where they abstain.
        applicable: Whether NEWS2 applies (age, pregnancy).
        abstained: The models were asked and gave no answer: foreign input, a failure, or an ambiguous prediction set.
    """

    event_ms: int
    news2_low: int
    news2_high: int
    single_three: bool
    arrest: bool
    risk: float | None
    applicable: bool = True
    abstained: bool = False


def tier_of(facts: Facts, thresholds: Thresholds) -> tuple[Tier, str]:
    """The tier that the facts reach for certain, and why. Models may add a tier, never lower one."""
    if facts.arrest:
        return Tier.CRITICAL, "peri_arrest"
    if facts.applicable and facts.news2_low >= thresholds.news2_critical:
        return Tier.CRITICAL, "news2_critical"
    if facts.applicable and facts.news2_low >= thresholds.news2_raise:
        return Tier.WARNING, "news2_raise"
    if facts.applicable and facts.single_three:
        return Tier.WARNING, "single_parameter_3"
    if facts.risk is not None and facts.risk >= thresholds.model_raise:
        return Tier.WARNING, "model_risk"
    return Tier.NONE, "below_thresholds"


def step(
    state: AlertState, facts: Facts, thresholds: Thresholds, *, new_id: bytes, action: int, of_model: bool = False
) -> tuple[AlertState, Change, str]:
    """One event.

    Args:
        state: The patient's alert state before the event.
        facts: What the event shows.
        thresholds: The unit's policy.
        new_id: The `alert_id` that an alert raised now would get.
        action: The action that an alert raised now would be about.
        of_model: The alert that stands was raised by model risk.

    Returns:
        The state after, what goes out, and the reason in a word.
    """
    tier, reason = tier_of(facts, thresholds)
    if not state.active:
        if tier is Tier.NONE:
            return state, "none", reason
        raised = AlertState(True, tier, facts.news2_low, facts.event_ms, facts.event_ms, 1, new_id, action)
        return raised, "raise", reason
    if tier > state.tier or (tier is not Tier.NONE and facts.news2_low >= state.news2 + 2):
        worse = replace(
            state,
            tier=max(tier, state.tier),
            news2=max(facts.news2_low, state.news2),
            told_ms=max(facts.event_ms, state.told_ms),
            revision=state.revision + 1,
        )
        return worse, "update", "worse: " + reason
    held = facts.event_ms - state.raised_ms >= thresholds.min_hold_ms
    better = facts.news2_high < thresholds.news2_clear or not facts.applicable
    unanswered = of_model and facts.abstained
    if tier is Tier.NONE and better and held and not unanswered:
        return replace(state, active=False, tier=Tier.NONE, revision=state.revision + 1), "clear", "better"
    return state, "suppress", "already_raised" if tier is not Tier.NONE else "not_yet_clear"
