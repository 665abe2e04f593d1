"""A plain recurrence, h_t = f(W x_t + U h_{t-1} + b).

One object serves both ways of running it: `step` advances a carried state by one observation, `forward` runs a whole
sequence. Both give the same states.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RNN(nn.Module):
    """h_t = f(W x_t + U h_{t-1} + b) (Elman 1990).

    Args:
        inputs: Size of x_t.
        hidden: Size of h_t.
        activation: f.
        state: Size of the state that U reads, where it differs from `hidden` (a gate of a wider cell).
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        state: int | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        bound = 1.0 / math.sqrt(hidden)
        self.W = nn.Parameter(torch.empty(hidden, inputs).uniform_(-bound, bound))
        self.U = nn.Parameter(torch.empty(hidden, state or hidden).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(hidden))

    def project(self, x: Tensor) -> Tensor:
        """W x + b: the part that needs no state, so that a whole sequence can be projected at once.

        Args:
            x: (..., inputs).

        Returns:
            (..., hidden).
        """
        return F.linear(x, self.W, self.b)

    def advance(self, projected: Tensor, h: Tensor) -> Tensor:
        """f(projected + U h).

        Args:
            projected: (B, hidden), from `project`.
            h: (B, state).

        Returns:
            (B, hidden).
        """
        return self.activation(torch.addmm(projected, h, self.U.t()))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One observation: x (B, inputs), h (B, hidden) to the next h (B, hidden)."""
        return self.advance(self.project(x), h)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """A whole sequence.

        Args:
            x: (B, T, inputs).
            h: (B, hidden) state before the first step; zeros when None.

        Returns:
            (B, T, hidden): the state after each step.
        """
        h = x.new_zeros(x.shape[0], self.U.shape[1]) if h is None else h
        states = []
        for projected in self.project(x).unbind(1):
            h = self.advance(projected, h)
            states.append(h)
        return torch.stack(states, 1)
