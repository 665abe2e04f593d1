"""Which answers teach something, and what: pure, on decoded feedback events.

An accepted action was relevant. An overridden one says something only where its coded reason does
(`topics.override_reasons`: relevant True or False): a patient who refuses, a service that is not there or a nurse who
has no time say nothing about the action. The last such answer about an action of a recommendation counts; what was
entered in error, or replaced by a correction, does not. No answer says anything about a risk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS

About = tuple[str, str]
"""recommendation_id and action_id."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said last of one action of one recommendation."""

    patient_id: str
    relevant: bool


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that teach something.

    Attributes:
        by: What they are about.
        silent: Why others teach nothing, and how many.
    """

    by: dict[About, Verdict]
    silent: Counter[str] = field(default_factory=Counter)


def verdicts(events: Iterable[FeedbackEvent]) -> Verdicts:
    """The answers that count. Events may come more than once and out of order; of one moment, what came last holds."""
    every: dict[tuple[str, str], FeedbackEvent] = {}
    for event in events:
        every.setdefault((event.source, event.event_id), event)
    silent: Counter[str] = Counter()
    last: dict[About, FeedbackEvent] = {}
    for event in sorted(_standing(every, silent), key=lambda event: event.event_time):
        if event.outcome not in ("accepted", "overridden"):
            silent[event.outcome] += 1
        elif event.action_id is None:
            silent["names no action"] += 1
        else:
            about = (event.recommendation_id, event.action_id)
            silent["answered again later"] += about in last
            last[about] = event
    by = {}
    for about, event in last.items():
        relevant = _relevant(event)
        if relevant is None:
            silent[f"reason {event.override_reason}"] += 1
        else:
            by[about] = Verdict(event.patient_id, relevant)
    return Verdicts(by, +silent)


def _standing(every: dict[tuple[str, str], FeedbackEvent], silent: Counter[str]) -> list[FeedbackEvent]:
    """Events that nothing replaced; of several that replace the same one, only the latest has its place."""
    newest: dict[tuple[str, str], FeedbackEvent] = {}
    for event in every.values():
        if event.replaces is not None:
            replaced = (event.source, event.replaces)
            rival = newest.get(replaced)
            if rival is None or event.event_time >= rival.event_time:
                newest[replaced] = event
    standing = []
    for key, event in every.items():
        first = event.replaces is None or newest[(event.source, event.replaces)] is event
        if key in newest or not first:
            silent["corrected or retracted"] += 1
        elif event.status != "entered-in-error":
            standing.append(event)
    return standing


def _relevant(event: FeedbackEvent) -> bool | None:
    if event.outcome == "accepted":
        return True
    assert event.override_reason is not None  # the contract asks for one
    return OVERRIDE_REASONS[event.override_reason].relevant
