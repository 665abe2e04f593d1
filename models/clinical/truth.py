"""Three-valued truth, so that what nobody measured is never taken for normal.

Kleene's strong logic on int8 arrays with FALSE < UNKNOWN < TRUE: conjunction is the minimum, disjunction the maximum,
negation the reflection 2 - x (S. C. Kleene, Introduction to Metamathematics, 1952, section 64).
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

FALSE: Final = 0
UNKNOWN: Final = 1
TRUE: Final = 2

Truth: TypeAlias = npt.NDArray[np.int8]
"""Array of FALSE, UNKNOWN or TRUE."""

Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float32]
Times: TypeAlias = npt.NDArray[np.int64]


def both(a: Truth, b: Truth) -> Truth:
    """`a and b`, element by element."""
    return np.minimum(a, b)


def either(a: Truth, b: Truth) -> Truth:
    """`a or b`, element by element."""
    return np.maximum(a, b)


def negate(a: Truth) -> Truth:
    """`not a`, element by element."""
    return np.subtract(2, a, dtype=np.int8)


def truth(holds: Bools, known: Bools) -> Truth:
    """TRUE or FALSE by `holds` where `known`, UNKNOWN elsewhere."""
    return np.where(known, np.where(holds, TRUE, FALSE), UNKNOWN).astype(np.int8)


class Interval(NamedTuple):
    """The values a variable can still have, per record.

    Attributes:
        low: (B,) float32, -inf where nothing bounds it below; never NaN.
        high: (B,) float32, +inf where nothing bounds it above; never below `low`.
    """

    low: Floats
    high: Floats
