"""Folding images and notes into patient contexts.

They have no recurrence: the newest four, in order, are their whole state, but for flags. What a note says holds until
said otherwise, so a note that leaves the four hands its flags on to the states of the vitals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers import flags
from workers.context import ENTRIES, Contexts
from workers.revisions import take_place
from workers.seen import OUTCOME, Changes, Outcome, held_ids, pass_time, position, recognise, remember


def fold_entries(contexts: Contexts, field: str, entries: NDArray[np.void], changes: Changes) -> NDArray[np.uint8]:
    """Fold one image or note into each context, in place.

    Args:
        contexts: `(n,)` of CONTEXT, one patient each.
        field: `image` or `note`.
        entries: `(n,)` of ENTRY.
        changes: What the events replace.

    Returns:
        `(n,)` uint8 of Outcome.
    """
    outcome = recognise(contexts, entries["id"], changes.content, held_ids(contexts, field, field + "s"))
    for i in np.flatnonzero((outcome == Outcome.APPLIED) | (outcome == Outcome.SUPERSEDED)).tolist():
        found = _place(contexts, field, entries, changes, i, forestalled=outcome[i] == Outcome.SUPERSEDED)
        if outcome[i] == Outcome.APPLIED:
            outcome[i] = found
    remember(contexts, entries["id"], changes.content, outcome)
    pass_time(contexts, entries["ms"], outcome)
    return outcome


def _place(
    contexts: Contexts, field: str, entries: NDArray[np.void], changes: Changes, i: int, *, forestalled: bool
) -> Outcome:  # fmt: skip
    """Put one image or note among the newest, and take out what it replaces."""
    context, entry = contexts[i], entries[i]
    kept = [context[field][k].copy() for k in range(int(context[field + "s"]))]
    replaced, outcome = int(changes.replaces[i]), Outcome.APPLIED
    if replaced:
        kept, place = take_place(context, kept, replaced, changes.revision(i, entry))
        outcome = OUTCOME[place]
    if outcome is Outcome.APPLIED and not changes.retract[i] and not forestalled:
        if len(kept) == ENTRIES and position(entry) < position(kept[0]):
            return Outcome.TOO_LATE
        kept = sorted([*kept, entry], key=position)
        if len(kept) > ENTRIES:
            _hand_on(contexts[i : i + 1], kept.pop(0))
    if outcome is not Outcome.TOO_LATE:
        _keep(context, field, kept)
    return outcome


def _hand_on(context: Contexts, note: np.void) -> None:
    """What a note that leaves the newest four says goes on to hold."""
    if note["flags_known"]:
        when = flags.time_of(np.array([note["ms"]]), note=True)
        for name in ("checkpoint", "head"):
            flags.state_in(context[name], note["flags_known"][None], note["flags_true"][None], when)


def _keep(context: np.void, field: str, entries: Sequence[np.void]) -> None:
    for k, entry in enumerate(entries):
        context[field][k] = entry
    context[field + "s"] = len(entries)
