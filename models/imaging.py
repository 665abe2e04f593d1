"""The imaging network: a small residual CNN from a chest radiograph to findings and where they were seen.

It gets grey images of one size in [0, 1]; decoding, windowing and resizing are done before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.cnn import CNN
from models.layers.residual import Residual
from models.novelty import Novelty

LABELS: Final = ("normal", "bacterial", "viral")
SIDE: Final = 224
"""Height and width of the input, pixels."""
EMBEDDING: Final = 32
TILES: Final = 4
_CENTRE, _SCALE = 0.48, 0.24  # mean and spread of grey values of the training radiographs


@dataclass(frozen=True, slots=True)
class ImagingConfig:
    """Sizes.

    Attributes:
        widths: Channels of the stem and of each residual stage; each stage after the first halves the sides.
    """

    widths: tuple[int, ...] = (16, 24, 48, 96)


class ImagingOut(NamedTuple):
    """Results of a batch.

    Attributes:
        embedding: (B, 32).
        logits: (B, 3) in the order of LABELS; a softmax after division by the manifest's temperature.
        cam: (B, h, w) signed class-activation map (Zhou et al. 2016) of the likelier finding against normal: its mean
            is that finding's logit minus the logit of normal, up to the constant of the biases.
        appearance: (B, 48) the embedding, and the mean grey of each of 4 x 4 tiles: what novelty is judged by. The
            embedding alone forgets what findings do not need, such as how a film of an adult is laid out.
        novelty: (B,), > 1 is out of distribution.
    """

    embedding: Tensor
    logits: Tensor
    cam: Tensor
    appearance: Tensor
    novelty: Tensor


class ImagingEncoder(nn.Module):
    """Stem, residual stages, 1x1 projection, mean over places, linear read-out.

    Args:
        config: Sizes.
    """

    def __init__(self, config: ImagingConfig | None = None) -> None:
        super().__init__()
        self.config = config or ImagingConfig()
        first, *rest = self.config.widths
        self.stem = nn.Sequential(CNN(1, first, kernel=7, stride=4, normalise=True), Residual(first, first))
        stages = zip((first, *rest), rest, strict=False)
        self.stages = nn.Sequential(*(Residual(before, after, stride=2) for before, after in stages))
        self.project = CNN(self.config.widths[-1], EMBEDDING, kernel=1, activation=None)
        self.head = nn.Linear(EMBEDDING, len(LABELS))
        self.novelty = Novelty(EMBEDDING + TILES * TILES)

    def forward(self, x: Tensor) -> ImagingOut:
        """Encode.

        Args:
            x: (B, 1, H, W) float32 in [0, 1], made for 224 x 224; NaN counts as black.

        Returns:
            See `ImagingOut`; 224 x 224 gives a 7 x 7 map.
        """
        grey = (torch.nan_to_num(x, nan=0.0).clamp(0, 1) - _CENTRE) / _SCALE
        places = self.project(self.stages(self.stem(grey)))
        embedding = places.mean((2, 3))
        logits = self.head(embedding)
        finding = logits[:, 1:].argmax(1) + 1
        direction = self.head.weight[finding] - self.head.weight[0]
        cam = torch.einsum("bchw,bc->bhw", places, direction)
        appearance = torch.cat((embedding, F.adaptive_avg_pool2d(grey, TILES).flatten(1)), 1)
        return ImagingOut(embedding, logits, cam, appearance, self.novelty(appearance))
