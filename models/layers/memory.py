"""Leaky memory: running means of what comes in, on many time scales at once.

    m_t = a o m_{t-1} + (1 - a) o V x_t        with a learned a in (0, 1) for each unit

It is linear, so that it remembers over a hundred steps what a gated state has long overwritten, and its gradient is
V^T (1 - a), whatever the state. A diagonal linear recurrence as in Orvieto et al. 2023, arXiv:2303.06349, kept real.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SHORTEST, _LONGEST = 2.0, 60.0  # steps; where learning of the time scales starts


class LeakyMemory(nn.Module):
    """The cell, by step, by sequence and with the gradient of a linear read-out.

    Args:
        inputs: Size of x.
        size: Size of m.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.V = nn.Parameter(torch.empty(size, inputs).normal_(std=1 / math.sqrt(inputs)))
        scale = torch.exp(torch.linspace(math.log(_SHORTEST), math.log(_LONGEST), size))
        self.keep = nn.Parameter(torch.logit(torch.exp(-1 / scale)))

    def step(self, x: Tensor, m: Tensor) -> Tensor:
        """One observation: x (B, inputs), m (B, size) to m' (B, size)."""
        return torch.lerp(F.linear(x, self.V), m, torch.sigmoid(self.keep))

    def forward(self, x: Tensor) -> Tensor:
        """A whole sequence from an empty memory: x (B, T, inputs) to the memory after each step, (B, T, size)."""
        keep, taken = torch.sigmoid(self.keep), F.linear(x, self.V)
        m = taken.new_zeros(taken.shape[0], taken.shape[2])
        states = []
        for one in taken.unbind(1):
            m = torch.lerp(one, m, keep)
            states.append(m)
        return torch.stack(states, 1)

    def gradient(self, readout: Tensor) -> Tensor:
        """d(readout . m') / dx: readout (B, size) to (B, inputs)."""
        return (readout * (1 - torch.sigmoid(self.keep))) @ self.V
