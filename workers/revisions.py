"""Whose place a correction or retraction takes, when several of them name the same event.

A context remembers its newest revisions as "the place of this event was taken by that one". Following them from an
event leads to the one that has its place now. Of two revisions of one event the one with the later event time has the
place, and at the same event time the one that comes later in the topic; a chain (a correction that names a correction)
needs no comparison. So events that are all of different times give the same state in whatever order they come.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from workers.context import REVISIONS, SEEN, TOMBSTONE


class Place(Enum):
    """What became of the wish to take an event's place."""

    TAKEN = 0
    LOST = 1  # a later revision has it
    PAST = 2  # the event came, and has left what can still be mended


class Revision(NamedTuple):
    """An event that takes another's place.

    Attributes:
        by: Its id digest.
        ms: Its event time.
        ident: The 16 bytes of its recommendation's id.
        gone: It is a retraction: nothing stands in the place.
    """

    by: int
    ms: int
    ident: bytes
    gone: bool


def holder(context: np.void, of: int) -> Revision | None:
    """The revision that has the place of the event `of`; None where nothing is known to have taken it."""
    entries = {int(each["of"]): each for each in context["revised"] if each["of"]}
    last = None
    while (entry := entries.pop(of, None)) is not None:
        last, of = entry, int(entry["by"])
    if last is None:
        return None
    return Revision(of, int(last["ms"]), bytes(last["ident"]), bool(last["gone"]))


def take_place(
    context: np.void, kept: list[np.void], replaced: int, mine: Revision
) -> tuple[list[np.void], Place]:  # fmt: skip
    """Let `mine` take the place of the event `replaced` and of what took it before.

    Args:
        context: One context; notes the revision.
        kept: Window rows or entries of its modality.
        replaced: Id digest of the event that `mine` names.
        mine: The revision. Where its own correction came first, that one's event time counts.

    Returns:
        What is left of `kept`, and how it ended.
    """
    held, face = holder(context, replaced), holder(context, mine.by) or mine
    if held is None:
        left = _without(kept, replaced)
        if len(left) == len(kept) and not forestall(context, replaced):
            return kept, Place.PAST
        _note(context, replaced, mine)
        return left, Place.TAKEN
    if face.ms < held.ms:
        _note(context, face.by, held)
        return _without(kept, face.by), Place.LOST
    left = _without(kept, held.by)
    if len(left) == len(kept) and not held.gone:
        return kept, Place.PAST
    _note(context, held.by, mine)
    return left, Place.TAKEN


def _without(kept: list[np.void], ident: int) -> list[np.void]:
    return [each for each in kept if int(each["id"]) != ident]


def _note(context: np.void, of: int, by: Revision) -> None:
    slot = int(context["revised_next"])
    context["revised"][slot] = (of, by.by, by.ms, by.ident, by.gone, b"")  # the last fills up
    context["revised_next"] = (slot + 1) % REVISIONS


def forestall(context: np.void, replaced: int) -> bool:
    """Leave a tombstone for an event that was replaced before it came; False when it came and is past mending."""
    if (context["seen_id"] == replaced).any():
        return False
    slot = int(context["seen_next"])
    context["seen_id"][slot] = replaced
    context["seen_content"][slot] = TOMBSTONE
    context["seen_next"] = (slot + 1) % SEEN
    return True
