"""Fit a calibration on held-back logits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.calibration import IDENTITY, Calibration

_FARTHEST = 2.0
"""Temperatures stay between e^-2 and e^2: beyond, the logits say nothing, and ranking must not be lost to rounding."""


def _scale(log_scale: torch.Tensor) -> torch.Tensor:
    return (_FARTHEST * torch.tanh(log_scale / _FARTHEST)).exp()


def fit(logits: NDArray[np.float32], label: NDArray[np.float32], *, with_bias: bool = True) -> Calibration:
    """Temperature and bias of least log loss.

    Args:
        logits: (N,).
        label: (N,) 0 or 1.
        with_bias: False fits the temperature alone.

    Returns:
        The map; the identity where the labels are all alike, for then nothing can be fitted.
    """
    if label.min() == label.max():
        return IDENTITY
    x, y = torch.tensor(logits, dtype=torch.float64), torch.tensor(label, dtype=torch.float64)
    log_scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    wanted = [log_scale, bias] if with_bias else [log_scale]
    optimiser = torch.optim.LBFGS(wanted, max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(x * _scale(log_scale) + bias, y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Calibration(temperature=round(float(1 / _scale(log_scale).detach()), 4), bias=round(float(bias.detach()), 4))


def fit_softmax(logits: NDArray[np.float32], label: NDArray[np.int64]) -> Calibration:
    """One temperature for a softmax over exclusive classes: logits (N, C), label (N,) class numbers."""
    x, y = torch.tensor(logits, dtype=torch.float64), torch.tensor(label)
    log_scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_scale], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x * _scale(log_scale), y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Calibration(temperature=round(float(1 / _scale(log_scale).detach()), 4), bias=0.0)
