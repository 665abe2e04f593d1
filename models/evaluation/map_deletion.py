"""Whether the class-activation map points at what the score rests on.

Places of a film are taken away, those first that the map ranks highest, and the fall of the log odds of pneumonia is
compared with that after as many places at random. A map that only decorates does no better than chance.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.imaging import ImagingEncoder

CELLS: Final = 5
"""Map cells taken away: a tenth of a 7 x 7 map."""
_EDGE: Final = 17
"""Side in pixels of the square, used twice, over which a place fades out: half a cell. Hard edges would themselves be
seen, and scattered places have more of them."""


class Fall(NamedTuple):
    """How far the log odds of pneumonia fell, by film, (B,) each.

    Attributes:
        top: After the highest-ranked cells were taken away.
        random: After as many cells at random.
        bottom: After the lowest-ranked cells, which speak against pneumonia.
    """

    top: Tensor
    random: Tensor
    bottom: Tensor


def without(x: Tensor, cells: Tensor) -> Tensor:
    """Films whose chosen places fade to the mean grey of the film.

    Args:
        x: (B, 1, H, W) in [0, 1].
        cells: (B, h, w) bool, a grid laid over the film; True is taken away.
    """
    mask = F.interpolate(cells[:, None].float(), size=x.shape[-2:], mode="nearest")
    for _ in range(2):
        mask = F.avg_pool2d(mask, _EDGE, 1, _EDGE // 2, count_include_pad=False)
    return torch.lerp(x, x.mean((2, 3), keepdim=True), mask)


def log_odds(logits: Tensor) -> Tensor:
    """(B, 3) logits of normal and findings to the (B,) log odds of any finding against normal."""
    return torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]


@torch.inference_mode()
def fall(network: ImagingEncoder, x: Tensor, *, cells: int = CELLS, seed: int = 0) -> Fall:
    """Measure the falls.

    Args:
        network: In evaluation mode.
        x: (B, 1, 224, 224) films.
        cells: Of the map, to take away; fewer than it has.
        seed: Of the random places.
    """
    out = network(x)
    score, shape = log_odds(out.logits), out.cam.shape
    places = shape[1] * shape[2]
    chance = torch.rand(len(x), places, generator=torch.Generator().manual_seed(seed))

    def after(rank: Tensor) -> Tensor:
        chosen = torch.zeros(len(x), places, dtype=torch.bool).scatter_(1, rank.topk(cells, dim=1).indices, value=True)
        return score - log_odds(network(without(x, chosen.view(shape))).logits)

    return Fall(after(out.cam.flatten(1)), after(chance), after(-out.cam.flatten(1)))
