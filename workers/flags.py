"""Which statement of a flag holds: the newest, whether a vitals event or a note made it.

Every flag carries its own time, because a statement holds until said otherwise: an event that says nothing of a flag
leaves it as it is, however new the event. Times are doubled epoch milliseconds, odd for notes: of two statements of the
same millisecond the note's holds, in whatever order they came.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.context import FLAG_COUNT

Bits = NDArray[np.uint32]
Times = NDArray[np.int64]

_EACH = np.uint32(1) << np.arange(FLAG_COUNT, dtype=np.uint32)


def time_of(ms: Times, *, note: bool) -> Times:
    """The time of a statement made at event time `ms`, epoch milliseconds."""
    return 2 * ms + note


def state(known: Bits, true: Bits, at: Times, said: Bits, yes: Bits, when: Times) -> tuple[Bits, Bits, Times]:
    """Flags after one statement a patient.

    Args:
        known: `(n,)` flags stated so far, bit by bit.
        true: `(n,)` those stated to hold.
        at: `(n, F)` time of each flag's statement, as `time_of` gives it; NEVER for none.
        said: `(n,)` flags that are stated now.
        yes: `(n,)` those that are stated to hold now.
        when: `(n,)` time of the statement.

    Returns:
        `known`, `true` and `at` after it; what is older than what is known changes nothing.
    """
    newer = (said[:, None] & _EACH != 0) & (when[:, None] >= at)
    bits = (newer @ _EACH).astype(np.uint32)
    return known | bits, (true & ~bits) | (yes & bits), np.where(newer, when[:, None], at)


def state_in(states: NDArray[np.void], said: Bits, yes: Bits, when: Times) -> None:
    """`state` on records with the fields `flags_known`, `flags_true` and `flags_at`, in place."""
    states["flags_known"], states["flags_true"], states["flags_at"] = state(
        states["flags_known"], states["flags_true"], states["flags_at"], said, yes, when
    )
