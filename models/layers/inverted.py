"""An inverted residual block: widened, filtered channel by channel, narrowed (Sandler et al. 2018, arXiv:1801.04381).

Nearly all of its weights lie in the 1x1 convolutions, so that it sees far for few of them.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.cnn import CNN


class Inverted(nn.Module):
    """y = narrow(depthwise(widen(x))), plus x where the shape stays; ReLU6 after the first two, nothing at the end.

    Args:
        in_channels: Channels of x.
        out_channels: Channels of y.
        kernel: Side of the depthwise kernel, odd.
        stride: Step of the depthwise convolution.
        widening: Channels in between are `in_channels` times this; 1 leaves the first convolution out.
        normalise: Batch normalisation in each of the three.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        widening: int = 6,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        wide = in_channels * widening
        self.widen = CNN(in_channels, wide, kernel=1, activation=F.relu6, normalise=normalise) if widening > 1 else None
        self.depthwise = CNN(
            wide, wide, kernel=kernel, stride=stride, groups=wide, activation=F.relu6, normalise=normalise
        )
        self.narrow = CNN(wide, out_channels, kernel=1, activation=None, normalise=normalise)
        self._same = in_channels == out_channels and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        wide = x if self.widen is None else self.widen(x)
        y: Tensor = self.narrow(self.depthwise(wide))
        return x + y if self._same else y
