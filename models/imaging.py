"""The imaging network: a small CNN from a chest radiograph to findings and where they were seen.

It gets grey images of one size in [0, 1]; decoding, windowing and resizing are done before it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.cnn import CNN
from models.layers.inverted import Inverted
from models.novelty import Novelty

LABELS: Final = ("normal", "bacterial", "viral")
SIDE: Final = 224
"""Height and width of the input, pixels."""
EMBEDDING: Final = 32
TILES: Final = 4
_CENTRE, _SCALE = 0.48, 0.24  # mean and spread of grey values of the training radiographs
_LEAST_SPREAD = 0.02  # added to a film's spread of greys: a blank film must not be blown up to noise

_HALF_WAY: Final = 5
"""Blocks before the place where channels are read for `appearance`: 14 x 14 places of 40 channels."""

Block = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ImagingConfig:
    """Sizes. Those left out are the first eleven blocks of EfficientNet-Lite0, whose weights training may start from.

    Attributes:
        stem: Channels of the first convolution, which halves the sides.
        blocks: Channels, kernel, stride and widening of each inverted residual block.
        normalise: With batch normalisation, as while it is trained; without, it is folded into the convolutions.
    """

    stem: int = 32
    blocks: tuple[Block, ...] = (
        (16, 3, 1, 1), (24, 3, 2, 6), (24, 3, 1, 6), (40, 5, 2, 6), (40, 5, 1, 6), (80, 3, 2, 6), (80, 3, 1, 6),
        (80, 3, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6),
    )  # fmt: skip
    normalise: bool = True


class ImagingOut(NamedTuple):
    """Results of a batch.

    Attributes:
        embedding: (B, 32).
        logits: (B, 3) in the order of LABELS; the manifest's calibration and a softmax make them probabilities.
        cam: (B, h, w) signed class-activation map (Zhou et al. 2016) of the likelier finding against normal: its mean
            is that finding's logit minus the logit of normal, up to the constant of the biases.
        appearance: (B, 56) the mean of each channel half way through, and the mean grey of each of 4 x 4 tiles: what
            novelty is judged by. The embedding forgets what findings do not need, such as how a film of an adult is
            laid out and how fine its ribs are.
        novelty: (B,), > 1 is out of distribution.
    """

    embedding: Tensor
    logits: Tensor
    cam: Tensor
    appearance: Tensor
    novelty: Tensor


class ImagingEncoder(nn.Module):
    """Greys relative to the film, stem, inverted residual blocks, 1x1 projection, mean over places, linear read-out.

    Works at half the resolution of its input: finer detail tells in the training set how a film was stored rather
    than what it shows.

    Args:
        config: Sizes.
    """

    def __init__(self, config: ImagingConfig | None = None) -> None:
        super().__init__()
        self.config = config or ImagingConfig()
        width, normalise = self.config.stem, self.config.normalise
        self.stem = CNN(1, width, stride=2, activation=F.relu6, normalise=normalise)
        blocks = list[Inverted]()
        for channels, kernel, stride, widening in self.config.blocks:
            blocks.append(
                Inverted(width, channels, kernel=kernel, stride=stride, widening=widening, normalise=normalise)
            )
            width = channels
        self.blocks = nn.Sequential(*blocks)
        self.project = CNN(width, EMBEDDING, kernel=1, activation=None)
        self.head = nn.Linear(EMBEDDING, len(LABELS))
        self.novelty = Novelty(self.config.blocks[_HALF_WAY - 1][0] + TILES * TILES)
        # The layout of the channels costs a third of the time of a batch otherwise.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> ImagingOut:
        """Encode.

        Args:
            x: (B, 1, H, W) float32 in [0, 1], made for 224 x 224; NaN counts as black.

        Returns:
            See `ImagingOut`; 224 x 224 gives a 7 x 7 map.
        """
        return self.read(F.avg_pool2d(torch.nan_to_num(x, nan=0.0).clamp(0, 1), 2))

    def read(self, half: Tensor) -> ImagingOut:
        """What `forward` does once the film is at half resolution: (B, 1, H / 2, W / 2) in [0, 1], all finite."""
        spread, mean = torch.std_mean(half, (1, 2, 3), keepdim=True, correction=0)
        relative = ((half - mean) / (spread + _LEAST_SPREAD)).contiguous(memory_format=torch.channels_last)
        early = self.blocks[:_HALF_WAY](self.stem(relative))
        places = self.project(self.blocks[_HALF_WAY:](early))
        embedding = places.mean((2, 3))
        logits = self.head(embedding)
        finding = logits[:, 1:].argmax(1) + 1
        direction = self.head.weight[finding] - self.head.weight[0]
        cam = torch.einsum("bchw,bc->bhw", places, direction)
        grey = (half - _CENTRE) / _SCALE
        appearance = torch.cat((early.mean((2, 3)), F.adaptive_avg_pool2d(grey, TILES).flatten(1)), 1)
        return ImagingOut(embedding, logits, cam, appearance, self.novelty(appearance))

    def folded(self) -> ImagingEncoder:
        """A copy for inference without batch normalisation, which its convolutions do instead: the same results."""
        made = copy.deepcopy(self).eval()
        for layer in made.modules():
            if isinstance(layer, CNN):
                layer.fold()
        made.config = replace(self.config, normalise=False)
        return made


def log_odds(logits: Tensor) -> Tensor:
    """(B, 3) logits of normal and findings to the (B,) log odds of any finding against normal."""
    return torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]
