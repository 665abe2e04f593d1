"""A gated recurrence (GRU) made of plain ones.

Each gate is an RNN step with the logistic function as f; the candidate is an RNN step with tanh that reads the reset
state (Cho et al. 2014, arXiv:1406.1078, eq. 5-8; the reset gate acts before U, not after it as in cuDNN):

    z, r = sigmoid(W x + U h + b)        one RNN of twice the width
    n    = tanh(W' x + U' (r o h) + b')  another
    h'   = z o h + (1 - z) o n
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.rnn import RNN


class GatedRNN(nn.Module):
    """The cell, by step, by sequence and with the gradient of a linear read-out.

    Args:
        inputs: Size of x.
        hidden: Size of h.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = RNN(inputs, 2 * hidden, activation=torch.sigmoid, state=hidden)
        self.candidate = RNN(inputs, hidden)

    def _advance(self, gates: Tensor, candidate: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        z, r = self.gates.advance(gates, h).chunk(2, 1)
        n = self.candidate.advance(candidate, r * h)
        return torch.lerp(n, h, z), z, r, n

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One observation: x (B, inputs), h (B, hidden) to h' (B, hidden)."""
        return self._advance(self.gates.project(x), self.candidate.project(x), h)[0]

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """A whole sequence: x (B, T, inputs) to the state after each step, (B, T, hidden); h as in `RNN.forward`."""
        h = x.new_zeros(x.shape[0], self.candidate.b.shape[0]) if h is None else h
        states = []
        for gates, candidate in zip(self.gates.project(x).unbind(1), self.candidate.project(x).unbind(1), strict=True):
            h = self._advance(gates, candidate, h)[0]
            states.append(h)
        return torch.stack(states, 1)

    def step_with_gradient(self, x: Tensor, h: Tensor, readout: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """One observation, and d(readout . h') / dx in closed form (no autograd graph: a third of its cost).

        Args:
            x: (B, inputs).
            h: (B, hidden).
            readout: (hidden,) weights of the linear read-out.
            first: Of how many of the B the gradient is wanted.

        Returns:
            h' (B, hidden) and the gradient (first, inputs).
        """
        after, *gates = self._advance(self.gates.project(x), self.candidate.project(x), h)
        z, r, n, h = (each[:first] for each in (*gates, h))
        dn = readout * (1 - z) * (1 - n * n)
        dz = readout * (h - n) * z * (1 - z)
        dr = (dn @ self.candidate.U) * h * r * (1 - r)
        return after, torch.addmm(dn @ self.candidate.W, torch.cat((dz, dr), 1), self.gates.W)
