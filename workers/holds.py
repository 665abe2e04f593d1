"""What clinicians answered about single actions, and for how long it keeps them from being recommended again.

A hold is kept with the patient. It withholds its action visibly: a result names it among what is withheld, and why.

| kind | of an override that says | holds |
|---|---|---|
| DONE | it was done already | for the time in which the action was due, an hour at least |
| DECLINED | it does not apply here, or the patient refuses | for the encounter |
| BLOCKED | a contraindication that the record does not show | for the encounter, also when the patient gets worse |

What was done or declined was so for the patient as they were: when NEWS2's lower bound has risen by 2 since, or a
parameter newly scores 3, the action is recommended again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from topics.override_reasons import Effect
from workers.context import HOLDS, Contexts

HOUR_MS: Final = 3_600_000
ENCOUNTER_MS: Final = 30 * 24 * HOUR_MS
"""How long an answer for the encounter holds where no other encounter begins before."""

_WORSE: Final = 2


class Kind(IntEnum):
    """Why an action is withheld."""

    NONE = 0
    DONE = 1
    DECLINED = 2
    BLOCKED = 3


KIND_OF: Final[dict[Effect, Kind]] = {
    "suppress_validity": Kind.DONE, "suppress_encounter": Kind.DECLINED, "block_encounter": Kind.BLOCKED,
}  # fmt: skip


class Hold(NamedTuple):
    """One answer about one action.

    Attributes:
        action: Index in the catalogue.
        kind: Why.
        until_ms: Event time at which it ends.
        encounter: Digest of the encounter that it holds for, 0 for any.
        ident: Digest of the feedback event.
    """

    action: int
    kind: Kind
    until_ms: int
    encounter: int
    ident: int


def note(context: np.void, hold: Hold) -> None:
    """Keep an answer; one about the same action takes the place of the one before it, else the oldest gives way."""
    kept = [one.copy() for one in context["hold"][: int(context["holds"])] if one["action"] != hold.action]
    kept = kept[-(HOLDS - 1) :]
    new = context["hold"][0].copy()
    for name, value in (
        ("action", hold.action), ("kind", hold.kind), ("until_ms", hold.until_ms), ("encounter", hold.encounter),
        ("id", hold.ident), ("news2", context["news2"]), ("signs", context["signs"]),
    ):  # fmt: skip
        new[name] = value
    _keep(context, [*kept, new])


def forget(context: np.void, ident: int) -> None:
    """Take back the answer of a feedback event that was entered in error, or is replaced by another."""
    _keep(context, [one.copy() for one in context["hold"][: int(context["holds"])] if int(one["id"]) != ident])


def _keep(context: np.void, kept: list[np.void]) -> None:
    for k, one in enumerate(kept):
        context["hold"][k] = one
    context["holds"] = len(kept)


def in_force(
    contexts: Contexts, actions: int, encounters: NDArray[np.uint64], news2: NDArray[np.int16], signs: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """`(n, actions)` of Kind: what holds each action of each patient at their newest event.

    Args:
        contexts: `(n,)` folded contexts.
        actions: Length of the catalogue.
        encounters: `(n,)` digests of the encounter of the newest event, 0 where it names none.
        news2: `(n,)` lowest possible NEWS2 now.
        signs: `(n,)` signs now, as in `workers.alerts.Facts`.
    """
    hold = contexts["hold"]
    used = np.arange(hold.shape[1]) < contexts["holds"][:, None]
    same = (hold["encounter"] == 0) | (encounters[:, None] == 0) | (hold["encounter"] == encounters[:, None])
    worse = (news2[:, None] >= hold["news2"] + _WORSE) | (signs[:, None] & ~hold["signs"] != 0)
    holds = used & same & (contexts["as_of"][:, None] < hold["until_ms"])
    holds &= ~worse | (hold["kind"] == Kind.BLOCKED)
    found = np.zeros((len(contexts), actions), np.uint8)
    row, slot = np.nonzero(holds)
    found[row, hold["action"][row, slot]] = hold["kind"][row, slot]
    return found
