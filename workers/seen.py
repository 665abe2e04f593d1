"""Which events a patient's context has seen, and what became of each.

It knows ids and contents as digests, and neither what an event says nor how it is folded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.context import SEEN, TOMBSTONE, Contexts
from workers.revisions import Place, Revision


class Outcome(IntEnum):
    """What became of an event in the fold."""

    APPLIED = 0
    DUPLICATE = 1  # seen with the same content: already published
    CONFLICT = 2  # seen with other content: to the dead letters
    TOO_LATE = 3  # older than the window: published, state untouched
    SUPERSEDED = 4  # a later revision came first: published, state untouched but for what it replaces itself


OUTCOME: Final = {
    Place.TAKEN: Outcome.APPLIED,
    Place.LOST: Outcome.SUPERSEDED,
    Place.PAST: Outcome.TOO_LATE,
}


class Changes:
    """What a batch of events does to contexts: parallel arrays, one entry an event.

    Attributes:
        content: `(n,)` uint64 digests of the events' bytes.
        replaces: `(n,)` uint64 id digest of the event replaced, 0 for none.
        retract: `(n,)` bool: entered in error, nothing takes the place.
        idents: The 16 bytes of each result's id, by index; needed only of events that replace one.
    """

    __slots__ = ("content", "idents", "replaces", "retract")

    def __init__(
        self, content: NDArray[np.uint64], replaces: NDArray[np.uint64], retract: NDArray[np.bool_],
        idents: Mapping[int, bytes] | None = None,
    ) -> None:  # fmt: skip
        self.content, self.replaces, self.retract, self.idents = content, replaces, retract, idents or {}

    def revision(self, i: int, row: np.void) -> Revision:
        """What event `i`, whose row or entry is `row`, puts into the place of the one that it replaces."""
        return Revision(int(row["id"]), int(row["ms"]), self.idents.get(i, bytes(16)), bool(self.retract[i]))


def recognise(
    contexts: Contexts, ids: NDArray[np.uint64], content: NDArray[np.uint64], held: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Outcome by what was seen before: APPLIED here means new.

    `held` `(n, k)` are the ids that the state rests on, 0 for none: a repeat of one of them is known for certain, also
    when so many others came since that the list of those seen has forgotten it.
    """
    outcome = np.zeros(len(ids), np.uint8)
    row, slot = np.nonzero(contexts["seen_id"] == ids[:, None])
    if len(row):
        known = contexts["seen_content"][row, slot]
        outcome[row] = np.where(
            known == TOMBSTONE, Outcome.SUPERSEDED, np.where(known == content[row], Outcome.DUPLICATE, Outcome.CONFLICT)
        )
    outcome[(outcome == Outcome.APPLIED) & (held == ids[:, None]).any(axis=1)] = Outcome.DUPLICATE
    return outcome


def held_ids(contexts: Contexts, field: str, count: str) -> NDArray[np.uint64]:
    """Ids of the rows or entries in use."""
    ids = contexts[field]["id"]
    return np.where(np.arange(ids.shape[1]) < contexts[count][:, None], ids, np.uint64(0))


def remember(
    contexts: Contexts, ids: NDArray[np.uint64], content: NDArray[np.uint64], outcome: NDArray[np.uint8]
) -> None:
    """Note the events as seen; a superseded one takes over its tombstone, so that its repeat is a duplicate."""
    new = (outcome == Outcome.APPLIED) | (outcome == Outcome.TOO_LATE)
    for i in np.flatnonzero(outcome == Outcome.SUPERSEDED):
        known = contexts["seen_id"][i] == ids[i]
        contexts["seen_content"][i][known] = content[i]
        new[i] = not known.any()
    new = np.flatnonzero(new)
    slot = contexts["seen_next"][new]
    contexts["seen_id"][new, slot] = ids[new]
    contexts["seen_content"][new, slot] = content[new]
    contexts["seen_next"][new] = (slot + 1) % SEEN


def pass_time(contexts: Contexts, ms: NDArray[np.int64], outcome: NDArray[np.uint8]) -> None:
    """Events that have or had a place in the window move the time of judgement, forward only."""
    placed = (outcome == Outcome.APPLIED) | (outcome == Outcome.SUPERSEDED)
    contexts["as_of"] = np.where(placed, np.maximum(contexts["as_of"], ms), contexts["as_of"])
    contexts["cold"][placed] = 0


def position(row: np.void) -> tuple[int, int]:
    """Where a row or an entry stands in the order of events."""
    return int(row["ms"]), int(row["id"])
