"""Averaging a network's weights while it is trained: like an ensemble of its last states, at the cost of one."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


class Average(Generic[N]):
    """A running average of a network's parameters; its buffers are those of the last step.

    Args:
        network: What is trained.
        keep: Share of the average that stays at each step, towards the end.
    """

    def __init__(self, network: N, keep: float) -> None:
        self.network: N = copy.deepcopy(network).eval()
        self._keep, self._steps = keep, 0

    @torch.no_grad()
    def follow(self, network: N) -> None:
        """Move a little towards the network as it is now; at first more, so that the start is soon forgotten."""
        self._steps += 1
        keep = min(self._keep, self._steps / (self._steps + 10))
        for mean, now in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for kept, last in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(last)
