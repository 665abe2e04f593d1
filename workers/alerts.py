"""The life of a patient's alert: raised, told again when worse, answered, cleared.

A pure state machine in event time. It sees facts of one patient at one event, or a clinician's answer, and that
patient's alert state; it knows no clock, no Kafka, and no other patient. `docs/alerts.md` shows the table.

| phase | what it means |
|---|---|
| quiet | nothing to tell |
| pending | a tier is reached, but held back: a model's risk is unconfirmed, a mute, quiet hours, an answer |
| active | told, and nobody has answered |
| acknowledged | told, and somebody has taken it up |
| snoozed | told, and put off; ends by itself |
| rerouted | told, and passed on: the next addressee is told at the patient's next event |
| resolved | cleared; what was told is remembered until its refractory time is over |

Four rules shape it:

- **Worse breaks through.** A higher tier, NEWS2's lower bound up by 2, a parameter that newly scores 3, a peri-arrest
  rule newly met, or a rule that confirms what only a model had said: it is told whatever the phase. Worse means worse
  than what was told; only a mute of that very action, or the night for an info alert, can hold it.
- **Nothing is told twice.** The same or less is not told again within the refractory time of what was told. While an
  alert stands, it is told again only of a patient who had been better for as long without a break.
- **Missing raises, and never clears.** Tiers are reached on the lower bound of the possible score. Clearing takes an
  upper bound below the line for `hold_ms` without a break; for an alert of a model, a risk below its own line. A model
  that abstains neither raises an alert nor clears one.
- **An alert ends.** When no event has reached a tier for its lifetime it clears as `expired`, whatever is missing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, NamedTuple

from workers.alert_policy import Policy, Tier

Change = Literal["raise", "update", "clear", "suppress", "none"]
Effect = Literal["none", "suppress_validity", "suppress_encounter", "block_encounter", "snooze", "reroute"]
"""What a coded override reason does; `topics.override_reasons` says which does what."""

NEVER: Final = -(2**63)
"""Stands for no moment: event times are epoch milliseconds, and may lie before 1970."""

ARREST: Final = 1 << 7
"""Bit of `Facts.signs` for a peri-arrest rule; the bits below are the NEWS2 parameters that score 3."""

ACTION_OF: Final = {"peri_arrest": "esc-cardiac-arrest-call", "model_risk": "sepsis-screen",
    "single_parameter_3": "esc-ward-doctor-review", "news2_raise": "esc-urgent-review",
    "news2_critical": "esc-emergency-team", "news2_info": "esc-nurse-assess"}  # fmt: skip
"""The action that an alert is about, by the reason that `reached` gives for raising it."""

_LAST_THREE: Final = 0b111
_OVERRIDE_SNOOZE_MS: Final = 60 * 60_000  # policy: "more information needed" and "wrong time" ask for an hour


class Phase(IntEnum):
    """Where an alert stands."""

    QUIET = 0
    PENDING = 1
    ACTIVE = 2
    ACKNOWLEDGED = 3
    SNOOZED = 4
    REROUTED = 5
    RESOLVED = 6


_STANDING: Final = frozenset({Phase.ACTIVE, Phase.ACKNOWLEDGED, Phase.SNOOZED, Phase.REROUTED})
_SAID: Final = {Phase.ACKNOWLEDGED: "acknowledged", Phase.SNOOZED: "snoozed"}


class AlertState(NamedTuple):
    """What is remembered of a patient's alert. All moments are event time, epoch milliseconds.

    Attributes:
        phase: Where it stands.
        tier: The tier told, lowered when the patient has been better for long: worse means worse than this.
        news2: NEWS2's lower bound as told, lowered likewise.
        signs: `Facts.signs` as told, lowered likewise.
        of_model: Only a model has said so.
        scores: Bits of the last three risks, newest lowest: 1 where it reached `model_raise`.
        action: Index of the action that the alert is about now, -1 for none.
        about: Index of the action that it was raised about.
        routed: How many addressees have passed it on.
        revision: How often this alert went out.
        raised_ms: When it was raised.
        told_ms: When it was raised or last updated: from here the clocks of answering it run.
        seen_ms: When a tier was last reached: from here its lifetime runs.
        below_ms: Since when the patient is well enough to clear, NEVER while not.
        lower_ms: Since when less is reached than was told, NEVER while not.
        above_ms: Since when every risk reached `model_raise`, NEVER while not.
        scored_ms: When a risk was last noted.
        until_ms: When a snooze ends.
        answered_ms: When somebody answered, NEVER while nobody has.
        answer: Digest of the event with that answer, 0 for none.
        alert_id: 16 bytes (a UUID), zero when never raised.
        told: The tier of the last raise or update, never lowered: where consumers hold it.
    """

    phase: Phase = Phase.QUIET
    tier: Tier = Tier.NONE
    news2: int = 0
    signs: int = 0
    of_model: bool = False
    scores: int = 0
    action: int = -1
    about: int = -1
    routed: int = 0
    revision: int = 0
    raised_ms: int = NEVER
    told_ms: int = NEVER
    seen_ms: int = NEVER
    below_ms: int = NEVER
    lower_ms: int = NEVER
    above_ms: int = NEVER
    scored_ms: int = NEVER
    until_ms: int = NEVER
    answered_ms: int = NEVER
    answer: int = 0
    alert_id: bytes = bytes(16)
    told: Tier = Tier.NONE

    @property
    def standing(self) -> bool:
        """Whether consumers hold this alert."""
        return self.phase in _STANDING

    def lives_ms(self, lifetime_ms: int) -> int:
        """Until when the alert holds if no further event reaches a tier."""
        return max(self.told_ms, self.seen_ms) + lifetime_ms


class Facts(NamedTuple):
    """What the policy sees of one event.

    Attributes:
        event_ms: The patient's newest event time, epoch milliseconds.
        news2_low: Lowest possible NEWS2; 0 when it does not apply.
        news2_high: Highest possible NEWS2.
        single_three: One parameter scores 3 for certain.
        arrest: A peri-arrest rule is certainly met.
        risk: Fused probability, None without models and where they abstain.
        applicable: Whether NEWS2 applies (age, pregnancy).
        abstained: The models were asked and gave no answer: foreign input, a failure, or an ambiguous prediction set.
        signs: Bit k: parameter k of NEWS2 scores 3 for certain; ARREST.
        corrected: The event replaced or retracted one no older than what was told.
        held: Indices of actions that a clinician's answer holds back.
    """

    event_ms: int
    news2_low: int
    news2_high: int
    single_three: bool
    arrest: bool
    risk: float | None
    applicable: bool = True
    abstained: bool = False
    signs: int = 0
    corrected: bool = False
    held: frozenset[int] = frozenset()


class Reached(NamedTuple):
    """The tier that facts reach for certain, why, and whether only a model says so."""

    tier: Tier
    why: str
    of_model: bool = False


class Answer(NamedTuple):
    """What a clinician did about an alert.

    Attributes:
        outcome: As in the feedback event.
        at_ms: When, epoch milliseconds.
        alert_id: Which alert is meant; None for the one that stands.
        action: Index of the action meant; -1 for none in particular.
        snooze_ms: For how long, where snoozed; None leaves it to the policy.
        effect: Of the coded override reason.
        ident: Digest of the feedback event, not 0.
    """

    outcome: Literal["accepted", "overridden", "snoozed", "acknowledged"]
    at_ms: int
    alert_id: bytes | None
    action: int
    snooze_ms: int | None
    effect: Effect
    ident: int


def reached(facts: Facts, policy: Policy) -> Reached:  # noqa: PLR0911 - one line a rule, the strongest first
    """The tier that the facts reach for certain. Models may add a tier, never lower one."""
    if facts.arrest:
        return Reached(Tier.CRITICAL, "peri_arrest")
    low = facts.news2_low if facts.applicable else 0
    if low >= policy.news2_critical:
        return Reached(Tier.CRITICAL, "news2_critical")
    if low >= policy.news2_raise:
        return Reached(Tier.WARNING, "news2_raise")
    if facts.applicable and facts.single_three:
        return Reached(Tier.WARNING, "single_parameter_3")
    if facts.risk is not None and facts.risk >= policy.model_raise:
        return Reached(Tier.WARNING, "model_risk", of_model=True)
    if policy.news2_info is not None and low >= policy.news2_info:
        return Reached(Tier.INFO, "news2_info")
    return Reached(Tier.NONE, "below_thresholds")


def step(
    state: AlertState, facts: Facts, found: Reached, policy: Policy, *,
    held: str | None, new_id: bytes, action: int, lifetime_ms: int,
) -> tuple[AlertState, Change, str]:  # fmt: skip
    """One event.

    Args:
        state: The patient's alert state before the event.
        facts: What the event shows.
        found: What `reached` makes of it.
        policy: The ward's.
        held: Why the action that the alert would be about must not be told: `muted`, or an answer such as
            `overridden`, which worsening breaks; None for no reason.
        new_id: The `alert_id` that an alert raised now would get.
        action: The action that is called for now.
        lifetime_ms: How long an alert lives after a tier was last reached.

    Returns:
        The state after, what goes out, and the reason in a word.
    """
    state = _watched(state, facts, found, policy)
    worse = _worse(state, facts, found)
    if state.standing and not worse and (facts.corrected or _calmed(state, facts, policy)):
        state = _lowered(state, facts, found)
    stop = _stop(state, facts, found, policy, held, worse=worse)
    if state.standing:
        if found.tier is Tier.NONE:
            return _calmer(state, facts, policy, lifetime_ms)
        return _again(state, facts, found, action, stop, worse=worse)
    if found.tier is Tier.NONE:
        return _idle(state, facts, policy), "none", found.why
    if stop is not None:
        return state if state.phase is Phase.RESOLVED else state._replace(phase=Phase.PENDING), "suppress", stop
    raised = AlertState(
        Phase.ACTIVE, found.tier, facts.news2_low, facts.signs, found.of_model, state.scores, action, action, 0, 1,
        facts.event_ms, facts.event_ms, facts.event_ms, above_ms=state.above_ms, scored_ms=state.scored_ms,
        alert_id=new_id, told=found.tier,
    )  # fmt: skip
    return raised, "raise", found.why


def respond(state: AlertState, answer: Answer, policy: Policy) -> tuple[AlertState, str]:
    """One answer of a clinician.

    Returns:
        The state after, and in a word what the answer did: `acknowledged`, `snoozed`, `rerouted`, or why it did
        nothing: `no_alert`, `another_alert`, `another_action`, `answered_before_told`.
    """
    why_not = _aside(state, answer)
    if why_not is not None:
        return state, why_not
    answered = state._replace(answered_ms=answer.at_ms, answer=answer.ident)
    if answer.outcome == "snoozed" or answer.effect == "snooze":
        longest = policy.snooze_ms[state.tier]
        wanted = _OVERRIDE_SNOOZE_MS if answer.outcome == "overridden" else answer.snooze_ms
        until = answer.at_ms + (longest if wanted is None else min(wanted, longest))
        return answered._replace(phase=Phase.SNOOZED, until_ms=until), "snoozed"
    if answer.effect == "reroute":
        return answered._replace(phase=Phase.REROUTED, routed=min(state.routed + 1, 255)), "rerouted"
    return answered._replace(phase=Phase.ACKNOWLEDGED), "acknowledged"


def _aside(state: AlertState, answer: Answer) -> str | None:
    """Why an answer says nothing about the alert; None if it does."""
    if not state.standing:
        return "no_alert"
    if answer.alert_id is not None and answer.alert_id != state.alert_id:
        return "another_alert"
    if answer.alert_id is None and answer.action not in (-1, state.action, state.about):
        return "another_action"
    return "answered_before_told" if answer.at_ms < state.told_ms else None  # it has become worse since


def unanswered(state: AlertState, ident: int) -> AlertState:
    """Take back the answer of a feedback event that was entered in error, or is replaced by another."""
    if not state.standing or state.answer != ident or state.phase is Phase.ACTIVE:
        return state
    return state._replace(phase=Phase.ACTIVE, answered_ms=NEVER, answer=0, until_ms=NEVER)


def _idle(state: AlertState, facts: Facts, policy: Policy) -> AlertState:
    """Nothing stands and nothing is reached: what was told is forgotten once its refractory time is over."""
    if state.phase is Phase.PENDING:
        return state._replace(phase=Phase.QUIET)
    if state.phase is Phase.RESOLVED and facts.event_ms - state.told_ms >= policy.refractory_ms[state.tier]:
        return AlertState(scores=state.scores, above_ms=state.above_ms, scored_ms=state.scored_ms)
    return state


def _again(
    state: AlertState, facts: Facts, found: Reached, action: int, stop: str | None, *, worse: bool
) -> tuple[AlertState, Change, str]:
    """An alert stands, and a tier is reached: told again if worse, else known already."""
    over = state.phase is Phase.SNOOZED and facts.event_ms >= state.until_ms
    if stop is not None:
        return state, "suppress", stop
    if not worse and not over and state.phase is not Phase.REROUTED:
        return state, "suppress", _SAID.get(state.phase, "already_raised")
    why = "worse: " + found.why if worse else "snooze_over" if over else "rerouted"
    tier = max(found.tier, state.tier)
    told = state._replace(
        phase=Phase.ACTIVE, tier=tier, told=tier, news2=max(facts.news2_low, state.news2),
        signs=facts.signs | state.signs, of_model=state.of_model and found.of_model, action=action,
        revision=state.revision + 1, told_ms=facts.event_ms, until_ms=NEVER, answered_ms=NEVER, answer=0,
    )  # fmt: skip
    return told, "update", why


def _calmer(state: AlertState, facts: Facts, policy: Policy, lifetime_ms: int) -> tuple[AlertState, Change, str]:
    """An alert stands, and no tier is reached: it clears once that has held, was a mistake, or nobody saw more."""
    well = state.below_ms != NEVER
    if well and facts.corrected:
        return _ended(state, Phase.QUIET), "clear", "corrected"
    if well and facts.event_ms - state.below_ms >= policy.hold_ms:
        return _ended(state, Phase.RESOLVED), "clear", "better"
    if facts.event_ms >= state.lives_ms(lifetime_ms):
        return _ended(state, Phase.RESOLVED), "clear", "expired"
    return state, "suppress", "not_yet_clear"


def _ended(state: AlertState, phase: Phase) -> AlertState:
    return state._replace(phase=phase, revision=state.revision + 1, until_ms=NEVER)


def _stop(
    state: AlertState, facts: Facts, found: Reached, policy: Policy, held: str | None, *, worse: bool
) -> str | None:  # fmt: skip
    """Why what is reached is not told now; None if it may be."""
    if held is not None and (held == "muted" or not (worse or state.standing)):
        return held
    if found.tier is Tier.INFO and policy.quiet_hours is not None and policy.quiet_hours.cover(facts.event_ms):
        return "quiet_hours"
    if worse or state.standing:
        return None
    if state.phase is Phase.RESOLVED and facts.event_ms - state.told_ms < policy.refractory_ms[state.tier]:
        return "refractory"
    return "unconfirmed" if found.of_model and not _confirmed(state, facts, policy) else None


def _confirmed(state: AlertState, facts: Facts, policy: Policy) -> bool:
    lasting = state.above_ms != NEVER and facts.event_ms - state.above_ms >= policy.confirm_ms
    return lasting or state.scores.bit_count() >= policy.confirm_scores


def _worse(state: AlertState, facts: Facts, found: Reached) -> bool:
    """Whether what is reached is worse than what was told."""
    if found.tier is Tier.NONE or not (state.standing or state.phase is Phase.RESOLVED):
        return False
    return (
        found.tier > state.tier
        or (facts.applicable and facts.news2_low >= state.news2 + 2)
        or facts.signs & ~state.signs != 0
        or (state.of_model and not found.of_model and found.tier >= state.tier)
    )


def _watched(state: AlertState, facts: Facts, found: Reached, policy: Policy) -> AlertState:
    """Note the risk, and since when the patient has been better."""
    now = facts.event_ms
    scores, above_ms, scored_ms = state.scores, state.above_ms, state.scored_ms
    if facts.risk is not None and now > scored_ms:
        above = facts.risk >= policy.model_raise
        scores, scored_ms = (scores << 1 | above) & _LAST_THREE, now
        above_ms = NEVER if not above else now if above_ms == NEVER else above_ms
    if not state.standing and state.phase is not Phase.RESOLVED:
        return state._replace(scores=scores, above_ms=above_ms, scored_ms=scored_ms)
    well = facts.news2_high < policy.news2_clear or not facts.applicable
    if state.of_model and (facts.risk is not None or facts.abstained):
        well = facts.risk is not None and facts.risk < policy.model_clear
    well = well and found.tier is Tier.NONE
    less = found.tier < state.tier
    return state._replace(
        scores=scores, above_ms=above_ms, scored_ms=scored_ms,
        seen_ms=now if found.tier is not Tier.NONE else state.seen_ms,
        below_ms=NEVER if not well else now if state.below_ms == NEVER else state.below_ms,
        lower_ms=NEVER if not less else now if state.lower_ms == NEVER else state.lower_ms,
    )  # fmt: skip


def _calmed(state: AlertState, facts: Facts, policy: Policy) -> bool:
    """Less than was told has lasted for the refractory time of what was told: a relapse would be news."""
    calm_ms = max(policy.hold_ms, policy.refractory_ms[state.tier])
    return state.lower_ms != NEVER and facts.event_ms - state.lower_ms >= calm_ms


def _lowered(state: AlertState, facts: Facts, found: Reached) -> AlertState:
    """What was told no longer holds: from now on, worse means worse than this."""
    return state._replace(tier=max(found.tier, Tier.INFO), news2=facts.news2_low, signs=facts.signs, lower_ms=NEVER)
