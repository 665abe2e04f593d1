"""The tables of docs/alerts.md, made by running the state machine, the worker's deciding parts and the policy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tests.unit.workers.made import ILL, WELL, Ward, feedback, record, vitals
from topics.override_reasons import OVERRIDE_REASONS
from workers.alert_policy import ACK_MINUTES, DEFAULT, MINUTE_MS, Policy, QuietHours, Tier
from workers.alerts import ACTION_OF, AlertState, Answer, Facts, Phase, reached, respond, step, unanswered
from workers.control import Control

HOUR: Final = 60 * MINUTE_MS
LIFETIME: Final = 8 * HOUR
INFO_AT_NIGHT: Final = Policy(news2_info=1, quiet_hours=QuietHours(0, 720, "UTC"))
Outcome = tuple[str, str, str]
"""What goes out, the reason, the phase after."""


def facts(low: int = 0, high: int | None = None, *, at: float = 0.0, **more: Any) -> Facts:
    """`at` in hours."""
    said = {"single_three": False, "arrest": False, "risk": None} | more
    return Facts(round(at * HOUR), low, low if high is None else high, **said)


def one(
    state: AlertState, each: Facts, policy: Policy = DEFAULT, held: str | None = None
) -> tuple[AlertState, str, str]:
    """One event through the state machine."""
    found = reached(each, policy)
    return step(state, each, found, policy, held=held, new_id=b"n" * 16, action=7, lifetime_ms=LIFETIME)


def answer(outcome: Any = "acknowledged", at: float = 0.1, **more: Any) -> Answer:
    said: dict[str, Any] = {"alert_id": None, "action": -1, "snooze_ms": None, "effect": "none", "ident": 99} | more
    return Answer(outcome, round(at * HOUR), **said)


def after(state: AlertState, *series: Facts) -> AlertState:
    for each in series:
        state = one(state, each)[0]
    return state


def named(reason: str) -> str:
    """A reason of the table: those that name a threshold stand as one."""
    word = reason.removeprefix("worse: ")
    return reason.replace(word, "<why>") if word in ACTION_OF else reason


ACTIVE: Final = after(AlertState(), facts(5))
STANDING: Final = {
    Phase.ACTIVE: ACTIVE,
    Phase.ACKNOWLEDGED: respond(ACTIVE, answer(), DEFAULT)[0],
    Phase.SNOOZED: respond(ACTIVE, answer("snoozed"), DEFAULT)[0],
    Phase.REROUTED: respond(ACTIVE, answer("overridden", effect="reroute"), DEFAULT)[0],
}
STATES: Final = {
    Phase.QUIET: AlertState(),
    Phase.PENDING: after(AlertState(), facts(risk=0.3)),
    **STANDING,
    Phase.RESOLVED: after(ACTIVE, facts(at=1), facts(at=2)),
}
NOT_STANDING: Final = (Phase.QUIET, Phase.PENDING, Phase.RESOLVED)


class Seen(NamedTuple):
    """A row to run: what is seen in which phases."""

    text: str
    phases: Sequence[Phase]
    facts: Facts
    held: str | None = None
    policy: Policy = DEFAULT
    before: Sequence[Facts] = ()


_ALL: Final = tuple(Phase)
SEEN: Final = (
    Seen("nothing reached", (Phase.QUIET, Phase.PENDING), facts(at=0.5)),
    Seen("a rule reaches a tier", (Phase.QUIET, Phase.PENDING), facts(5, at=0.5)),
    Seen("only a model reaches it, for the first time", (Phase.QUIET,), facts(risk=0.3, at=0.5)),
    Seen("only a model reaches it, and it is confirmed", (Phase.PENDING,), facts(risk=0.3, at=0.5)),
    Seen("only a model reaches it, not yet confirmed", (Phase.PENDING,), facts(risk=0.3)),
    Seen("a tier is reached, but its action is muted", _ALL, facts(5, at=2.5), "muted"),
    Seen("worse, but its action is muted", (*STANDING, Phase.RESOLVED), facts(9, at=2.5), "muted"),
    Seen("a tier is reached, but its action was answered", NOT_STANDING, facts(5, at=2.5), "overridden"),
    Seen("an info tier in quiet hours", _ALL, facts(1, at=2.5), None, INFO_AT_NIGHT),
    Seen("the same or less", tuple(STANDING), facts(5, at=1)),
    Seen("the same, and the snooze is over", (Phase.SNOOZED,), facts(5, at=5)),
    Seen("worse", tuple(STANDING), facts(7, at=1)),
    Seen("nothing reached, or not known to be better for long enough", tuple(STANDING), facts(0, 9, at=1)),
    Seen("better for `hold_ms` without a break", tuple(STANDING), facts(at=2), before=[facts(at=1)]),
    Seen("a correction shows that it was a mistake", tuple(STANDING), facts(at=1, corrected=True)),
    Seen("no tier reached for its lifetime", tuple(STANDING), facts(0, 9, at=8)),
    Seen("nothing reached, refractory time not over", (Phase.RESOLVED,), facts(at=3)),
    Seen("nothing reached, refractory time over", (Phase.RESOLVED,), facts(at=5)),
    Seen("the same or less, refractory time not over", (Phase.RESOLVED,), facts(5, at=3)),
    Seen("the same or less, refractory time over", (Phase.RESOLVED,), facts(5, at=5)),
    Seen("worse than what was told", (Phase.RESOLVED,), facts(7, at=3)),
    Seen("only a model reaches it, unconfirmed, refractory time over", (Phase.RESOLVED,), facts(risk=0.3, at=5)),
)  # fmt: skip


def outcome(seen: Seen, phase: Phase) -> Outcome:
    """What the state machine makes of a row."""
    state, change, reason = one(after(STATES[phase], *seen.before), seen.facts, seen.policy, seen.held)
    return change, named(reason), state.phase.name.lower()


def life() -> str:
    """Phase, what is seen, what goes out: every row run."""
    rows = ["| phase | what is seen | `state` | `reason` | next phase |", "|---|---|---|---|---|"]
    for seen in SEEN:
        grouped: dict[tuple[str, str, str], list[str]] = {}
        for phase in seen.phases:
            change, reason, then = outcome(seen, phase)
            stays = "the same" if then == phase.name.lower() else then
            grouped.setdefault((change, reason, stays), []).append(phase.name.lower())
        rows += [
            f"| {', '.join(phases)} | {seen.text} | `{change}` | `{reason}` | {then} |"
            for (change, reason, then), phases in grouped.items()
        ]
    return "\n".join(rows) + "\n"


ANSWERS: Final = (
    ("`accepted`", answer("accepted")),
    ("`acknowledged`", answer()),
    ("`snoozed`", answer("snoozed")),
    ("`overridden`, reason without effect on the alert", answer("overridden")),
    ("`overridden`, reason that puts off", answer("overridden", effect="snooze")),
    ("`overridden`, reason that passes on", answer("overridden", effect="reroute")),
    ("names another `alert_id`", answer(alert_id=b"o" * 16)),
    ("names no `alert_id`, but another `action_id`", answer(action=3)),
    ("done before the alert was last told", answer(at=-0.1)),
)


def answers() -> str:
    """What each answer does to an alert that stands."""
    rows = ["| answer | effect | next phase |", "|---|---|---|"]
    for text, each in ANSWERS:
        state, effect = respond(ACTIVE, each, DEFAULT)
        rows.append(f"| {text} | `{effect}` | {state.phase.name.lower()} |")
    _, effect = respond(AlertState(), answer(), DEFAULT)
    rows.append(f"| no alert stands | `{effect}` | the same |")
    for phase, state in STANDING.items():
        assert unanswered(state, 99).phase is Phase.ACTIVE, phase
    rows.append("| entered in error, or replaced by another | `taken_back` | active |")
    return "\n".join(rows) + "\n"


_EFFECTS: Final = {
    "none": "alert acknowledged; the action stays listed",
    "suppress_validity": "alert acknowledged; the action is withheld while it was due, an hour at least",
    "suppress_encounter": "alert acknowledged; the action is withheld for the encounter, 30 days at most",
    "block_encounter": "alert acknowledged; the action is withheld for the encounter, 30 days at most, also when the "
    "patient gets worse",
    "snooze": "alert snoozed for an hour, or the ward's longest snooze where shorter",
    "reroute": "alert rerouted: the next addressee is told at the patient's next event",
}  # fmt: skip


def overrides() -> str:
    """Every coded reason and what it does."""
    rows = ["| code | meaning | effect |", "|---|---|---|"]
    rows += [f"| `{code}` | {each.display} | {_EFFECTS[each.effect]} |" for code, each in OVERRIDE_REASONS.items()]
    return "\n".join(rows) + "\n"


def clocks() -> str:
    """The times of a tier, by default."""
    rows = ["| tier | `ack_by` after telling | not told again for | longest snooze |", "|---|---|---|---|"]
    for tier in (Tier.CRITICAL, Tier.WARNING, Tier.INFO):
        minutes = [ACK_MINUTES[tier], *(by[tier] // MINUTE_MS for by in (DEFAULT.refractory_ms, DEFAULT.snooze_ms))]
        rows.append(f"| {tier.name.lower()} | {' | '.join(f'{each} min' for each in minutes)} |")
    return "\n".join(rows) + "\n"


AILING: Final = WELL | {"pulse": 131, "respiration_rate": 22}
_SETS: Final = {"well": WELL, "ailing": AILING, "ill": ILL}
NIGHT: Final[tuple[tuple[int, str | dict[str, Any]], ...]] = (
    (780, "well"), (850, "ailing"), (860, {"outcome": "acknowledged"}), (880, "ailing"), (930, "ill"),
    (935, {"outcome": "overridden", "override_reason": "inappropriate-recipient"}), (940, "ill"),
    (945, {"outcome": "snoozed", "override_reason": "need-more-info", "snooze_minutes": 30}), (960, "ill"),
    (985, "ill"), (990, {"outcome": "accepted"}), (1080, "well"), (1145, "well"), (1180, "ailing"),
)  # fmt: skip


def night() -> str:
    """One patient, rules alone, through the worker's deciding parts."""
    ward, control, rows = Ward(), Control(kill_switch=True), []
    for minute, what in NIGHT:
        at = f"{(8 + minute // 60) % 24:02d}:{minute % 60:02d}"
        if isinstance(what, dict):
            (made,) = ward.decide(record(feedback("patient-1", minute, **what)), control=control)
            said = ", ".join(f"{value} min" if isinstance(value, int) else f"`{value}`" for value in what.values())
            rows.append(f"| {at} | answer: {said} | (nothing) | `{made.effect}` | | | |")
            continue
        body = ward.body(vitals("patient-1", minute, values=_SETS[what]), control=control)
        alert, score = body["alert"], body["clinical_scores"]["news2"]["total"]
        times = " | ".join(_time(alert[name]) for name in ("ack_by", "snoozed_until", "expires_at"))
        tier = f" {alert['tier']}" if alert["tier"] else ""
        rows.append(f"| {at} | NEWS2 {score} | `{alert['state']}`{tier} | `{alert['reason']}` | {times} |")
    head = "| time | what comes in | `state`, tier | `reason`, or the answer's effect | `ack_by` | `snoozed_until` | "
    return "\n".join([head + "`expires_at` |", "|---|---|---|---|---|---|---|", *rows]) + "\n"


def _time(text: str | None) -> str:
    found = re.search(r"T(\d\d:\d\d)", text or "")
    return found[1] if found else ""


TABLES: Final = {"life": life, "answers": answers, "overrides": overrides, "clocks": clocks, "night": night}
