"""What a training run hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from models.weights import Manifest

Progress = Callable[[str, int, int], None]
"""Told what is under way, steps done and steps in all."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One trained network.

    Attributes:
        state: Tensors for `weights.save`.
        manifest: With calibration, thresholds and held-out metrics.
        history: One mapping an epoch: "epoch", counted from 1, "loss", and validation figures by name.
    """

    state: dict[str, Tensor]
    manifest: Manifest
    history: tuple[Mapping[str, float], ...] = ()
