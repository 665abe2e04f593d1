"""A residual block of two convolution layers (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.cnn import CNN


class Residual(nn.Module):
    """y = relu(x' + CNN(CNN(x))), where x' is x, or its 1x1 projection where shape changes.

    Args:
        in_channels: Channels of x.
        out_channels: Channels of y.
        stride: Step of the first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = CNN(in_channels, out_channels, stride=stride, normalise=True)
        self.second = CNN(out_channels, out_channels, activation=None, normalise=True)
        same = in_channels == out_channels and stride == 1
        self.shortcut = (
            None if same else CNN(in_channels, out_channels, kernel=1, stride=stride, activation=None, normalise=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        kept = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(kept + self.second(self.first(x)))
