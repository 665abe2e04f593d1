"""A convolution layer, y = f(W * x + b), for images of any size.

`*` is cross-correlation, as in every deep-learning library. The layer knows nothing of what the image shows; its
parameters depend on channels and kernel only, never on the height and width of the input.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class CNN(nn.Module):
    """y = f(W * x + b), with an optional normalisation between the sum and f.

    Args:
        in_channels: Channels of x.
        out_channels: Channels of y.
        kernel: Side of the square kernel; odd, so that `padding` of half a kernel keeps the centre.
        groups: Parts that the channels fall into, each convolved on its own; `in_channels` of them is depthwise.
        stride: Step of the kernel; the output has ceil(H / stride) rows and ceil(W / stride) columns.
        activation: f; None is the identity.
        normalise: Batch normalisation before f. In `eval()` it is a fixed scale and shift per channel, so that a
            record's result does not depend on its batch.

    Raises:
        ValueError: The kernel is even.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[Tensor], Tensor] | None = torch.relu,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {kernel}")
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=not normalise
        )
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(out_channels) if normalise else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve.

        Args:
            x: (B, in_channels, H, W) float32, any H and W >= 1.

        Returns:
            (B, out_channels, ceil(H / stride), ceil(W / stride)).
        """
        y: Tensor = self.convolution(x)
        if self.norm is not None:
            y = self.norm(y)
        return y if self.activation is None else self.activation(y)

    def fold(self) -> None:
        """Let the convolution do what the normalisation does in `eval()`: one pass less over the data."""
        if self.norm is not None:
            self.convolution, self.norm = fuse_conv_bn_eval(self.convolution, self.norm), None
