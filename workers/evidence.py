"""What is shown of an encoder's explanation: the spans of a note that counted most, and where on a film.

Plain numbers in, plain numbers out; made once for each encoded note or film, and cached with its result.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SPANS: Final = 5
"""Most spans of a note that are shown."""


def heat(signed: Floats) -> Floats:
    """A signed map `(h, w)` scaled to [0, 1] for showing: what speaks against the finding is 0."""
    top = float(signed.max())
    return np.clip(signed / top, 0.0, 1.0) if top > 0 else np.zeros_like(signed)


def spans(saliency: Floats, offsets: NDArray[np.int32], mask: NDArray[np.bool_]) -> tuple[tuple[int, int, float], ...]:
    """The most salient tokens as character spans with their weights; neighbours become one span.

    Args:
        saliency: `(T,)` share of each token.
        offsets: `(T, 2)` characters.
        mask: `(T,)` where a token stands.
    """
    strong = [int(k) for k in np.argsort(-saliency, kind="stable")[: SPANS * 2] if mask[k] and saliency[k] > 0]
    merged: list[tuple[int, int, float]] = []
    for k in sorted(strong):
        start, end = int(offsets[k, 0]), int(offsets[k, 1])
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], end, merged[-1][2] + float(saliency[k]))
        else:
            merged.append((start, end, float(saliency[k])))
    return tuple(sorted(sorted(merged, key=lambda span: -span[2])[:SPANS]))
