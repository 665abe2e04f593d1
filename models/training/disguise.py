"""Random changes of how a film looks that leave what it shows: so that looks alone cannot give the answer away.

In the training set normal films are sharper, of more contrast and of a wider field than films of pneumonia, and bear
their marks at other places. A network that reads these instead of the lungs fails on films made elsewhere. Each film
is turned, stretched, cut or set back, mirrored, softened or sharpened, its greys bent, its light tilted, grain added
and boxes laid over it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Disguise:
    """How strong each change may be; drawn evenly up to there in both directions.

    Attributes:
        turn: Radians.
        zoom: Logarithm of the scale.
        stretch: Logarithm of the change of each side, one up and the other down.
        shift: Of half the side.
        gamma: Logarithm of the power that greys are raised to.
        contrast: Logarithm of the factor.
        light: Grey added, of 1.
        tilt: Grey added at one edge and taken at the other, along each side.
        focus: Least and greatest share of the fine detail that is added: -1 removes it.
        grain: Spread of the noise.
        boxes: Share of films that get two boxes.
    """

    turn: float = 0.2
    zoom: float = 0.25
    stretch: float = 0.15
    shift: float = 0.12
    gamma: float = 0.5
    contrast: float = 0.35
    light: float = 0.15
    tilt: float = 0.1
    focus: tuple[float, float] = (-1.0, 1.2)
    grain: float = 0.04
    boxes: float = 0.5

    def __call__(self, x: Tensor, random: torch.Generator) -> Tensor:
        """(B, 1, H, W) in [0, 1] to the same; each film its own changes."""
        return self._covered(self._lit(self._focused(self._moved(x, random), random), random), random).clamp(0, 1)

    def _moved(self, x: Tensor, random: torch.Generator) -> Tensor:
        """What comes in from outside the film is black in one half of the batches, else its edge drawn out."""
        angle, zoom, stretch, across, down = _even(5, len(x), random)
        wide = torch.exp(zoom * self.zoom + stretch * self.stretch)
        tall = torch.exp(zoom * self.zoom - stretch * self.stretch)
        mirror = torch.where(_chance(0.5, len(x), random), -1.0, 1.0)
        cos, sin = torch.cos(angle * self.turn), torch.sin(angle * self.turn)
        rows = (
            cos * wide * mirror,
            -sin * tall,
            across * self.shift,
            sin * wide * mirror,
            cos * tall,
            down * self.shift,
        )
        grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
        outside = "zeros" if _chance(0.5, 1, random) else "border"
        return F.grid_sample(x, grid, padding_mode=outside, align_corners=False)

    def _focused(self, x: Tensor, random: torch.Generator) -> Tensor:
        if not _chance(0.7, 1, random):
            return x
        side = 3 if _chance(0.7, 1, random) else 5
        smooth = F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)
        low, high = self.focus
        return (x + (x - smooth) * _each(low + (high - low) * torch.rand(len(x), generator=random))).clamp(0, 1)

    def _lit(self, x: Tensor, random: torch.Generator) -> Tensor:
        power, contrast, light, across, down = _even(5, len(x), random)
        bent = (x + 1e-3) ** _each(torch.exp(power * self.gamma))
        rise = torch.linspace(-self.tilt, self.tilt, x.shape[-1])
        fall = torch.linspace(-self.tilt, self.tilt, x.shape[-2])[:, None]
        lit = (bent - 0.5) * _each(torch.exp(contrast * self.contrast)) + 0.5 + _each(light * self.light)
        lit = lit + _each(across) * rise + _each(down) * fall
        if _chance(0.4, 1, random):
            spread = _each(torch.rand(len(x), generator=random) * self.grain)
            lit = lit + torch.randn(x.shape, generator=random) * spread
        return lit

    def _covered(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Boxes of one grey, a twentieth to a quarter of the side, also over edges and corners where marks are."""
        rows, columns = x.shape[-2:]
        for film in torch.nonzero(_chance(self.boxes, len(x), random))[:, 0].tolist():
            for _ in range(2):
                top, left, tall, wide, grey = torch.rand(5, generator=random).tolist()
                tall, wide = (0.05 + 0.2 * tall) * rows, (0.05 + 0.2 * wide) * columns
                top, left = top * (rows + tall) - tall, left * (columns + wide) - wide
                x[film, :, max(int(top), 0) : int(top + tall) + 1, max(int(left), 0) : int(left + wide) + 1] = grey
        return x


def _even(numbers: int, films: int, random: torch.Generator) -> Tensor:
    """(numbers, films) evenly in -1 .. 1."""
    return torch.rand(numbers, films, generator=random) * 2 - 1


def _chance(share: float, count: int, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) < share


def _each(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
