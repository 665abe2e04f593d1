"""Whether the class-activation map points at what the score rests on.

Places of a film give way to those of a film without findings, first those that the map ranks highest, and the fall of
the log odds of pneumonia is compared with that after as many places at random. A map that only decorates does no better
than chance. An even grey or a blur instead would look like an opacity itself: films without findings then score higher.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.imaging import ImagingEncoder, log_odds

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


def without(x: Tensor, cells: Tensor, clear: Tensor) -> Tensor:
    """Films whose chosen places fade to those of other films, of the greys of the film.

    Args:
        x: (B, 1, H, W) in [0, 1].
        cells: (B, h, w) bool, a grid laid over the film; True is taken away.
        clear: (B, 1, H, W) what comes instead, brought to the mean and spread of greys of each film.
    """
    mask = F.interpolate(cells[:, None].float(), size=x.shape[-2:], mode="nearest")
    for _ in range(2):
        mask = F.avg_pool2d(mask, _EDGE, 1, _EDGE // 2, count_include_pad=False)
    (spread, mean), (other_spread, other_mean) = (
        torch.std_mean(one, (1, 2, 3), keepdim=True, correction=0) for one in (x, clear)
    )
    return torch.lerp(x, ((clear - other_mean) / (other_spread + 1e-6) * spread + mean).clamp(0, 1), mask)


@torch.inference_mode()
def fall(network: ImagingEncoder, x: Tensor, clear: Tensor, *, cells: int = CELLS, seed: int = 0) -> Fall:
    """Measure the falls.

    Args:
        network: In evaluation mode.
        x: (B, 1, 224, 224) films.
        clear: (N, 1, 224, 224) films without findings; each of `x` gets the places of one drawn at random.
        cells: Of the map, to take away; fewer than it has.
        seed: Of the random places and films.
    """
    out = network(x)
    score, shape = log_odds(out.logits), out.cam.shape
    places = shape[1] * shape[2]
    random = torch.Generator().manual_seed(seed)
    chance = torch.rand(len(x), places, generator=random)
    instead = clear[torch.randint(len(clear), (len(x),), generator=random)]

    def after(rank: Tensor) -> Tensor:
        chosen = torch.zeros(len(x), places, dtype=torch.bool).scatter_(1, rank.topk(cells, dim=1).indices, value=True)
        return score - log_odds(network(without(x, chosen.view(shape), instead)).logits)

    return Fall(after(out.cam.flatten(1)), after(chance), after(-out.cam.flatten(1)))
