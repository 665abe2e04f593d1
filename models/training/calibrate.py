"""Fit a calibration on held-back logits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.calibration import IDENTITY, Calibration
from models.weights import Thresholds

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


def fit_softmax(
    logits: NDArray[np.float32], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> list[Calibration]:
    """One temperature and a bias a class for a softmax over exclusive classes.

    Args:
        logits: (N, C).
        label: (N,) class numbers.
        weight: (N,) how much each row counts; all the same when left out.

    Returns:
        C maps, all of one temperature; the first bias is 0, for only their differences matter.
    """
    x, y = torch.tensor(logits, dtype=torch.float64), torch.tensor(label)
    each = torch.ones(len(y), dtype=torch.float64) if weight is None else torch.tensor(weight)
    log_scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(x.shape[1] - 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_scale, biases], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        moved = x * _scale(log_scale) + F.pad(biases, (1, 0))
        # a little pull to 0 keeps the bias of a class that does not occur finite
        value = (F.cross_entropy(moved, y, reduction="none") * each).sum() / each.sum() + 1e-4 * biases.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    temperature = round(float(1 / _scale(log_scale).detach()), 4)
    return [Calibration(temperature=temperature, bias=round(one, 4)) for one in (0.0, *biases.detach().tolist())]


def bands(probability: NDArray[np.float32]) -> Thresholds:
    """Medium is the highest tenth of held-back rows, high the highest fiftieth: a first policy, by alert load."""
    medium, high = np.quantile(probability, [0.90, 0.98])
    return Thresholds(medium=round(float(medium), 4), high=round(float(high), 4))
