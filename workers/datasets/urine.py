"""Urine output as a rate, from volumes noted when a bag is emptied.

A volume counts for the time since the one before it, as KDIGO (Kidney Int Suppl 2:1-138, 2012) reads a chart. The
first volume of a stay has no such time and gives no rate: it may have gathered in the operating theatre.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

USUAL_KG: Final = 80.0
"""For the one stay in twelve whose weight nobody noted; the median of the others."""

_WEIGHT_KG = (30.0, 300.0)  # outside: a recording error
_SHORTEST_MIN = 30  # volumes noted closer together belong to one emptying, and count with the next
_LONGEST_MIN = 12 * 60  # a longer gap means that nobody noted what came
_MOST = 50.0  # mL/kg/h that the contract believes


def urine_rate(
    minute: NDArray[np.int64], ml: NDArray[np.float32], weight_minute: NDArray[np.int64], kg: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N,) mL/kg/h at each volume, NaN where none can be told.

    Args:
        minute: (N,) ascending, when volumes were noted.
        ml: (N,) volumes.
        weight_minute: (M,) ascending.
        kg: (M,) weights; one counts from when it was noted.
    """
    real = (kg >= _WEIGHT_KG[0]) & (kg <= _WEIGHT_KG[1])
    place = np.searchsorted(weight_minute[real], minute, side="right")
    weight = np.concatenate((np.array([USUAL_KG], np.float32), kg[real]))[place]
    rate = np.full(len(minute), np.nan, np.float32)
    gathered, since = 0.0, None
    for i, (now, volume) in enumerate(zip(minute.tolist(), ml.tolist(), strict=True)):
        if since is None or now - since > _LONGEST_MIN:
            gathered, since = 0.0, now
            continue
        gathered += volume
        more = i + 1 < len(minute) and minute[i + 1] == now  # another bag at the same minute
        if now - since >= _SHORTEST_MIN and not more:
            found = gathered / weight[i] / (now - since) * 60
            rate[i] = found if 0 <= found <= _MOST else np.nan
            gathered, since = 0.0, now
    return rate
