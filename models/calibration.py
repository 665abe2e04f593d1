"""From a logit to a probability that means what it says: p = sigmoid(logit / temperature + bias).

Two numbers a label, fitted on a part of the data that the network was not trained on (Platt 1999; Guo et al. 2017).
They lie in the manifest and leave the order of scores as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class Calibration(BaseModel):
    """The map of one label.

    Attributes:
        temperature: > 1 where the network is over-confident.
        bias: Log odds added after the division.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(1.0, gt=0)
    bias: float = 0.0


IDENTITY: Final = Calibration(temperature=1.0, bias=0.0)


def calibrated_logits(
    logits: NDArray[np.float32], labels: Sequence[str], calibration: Mapping[str, Calibration]
) -> NDArray[np.float32]:
    """Divide by the temperature and add the bias, label by label.

    Args:
        logits: (B, L) float32, columns in the order of `labels`; NaN stays NaN.
        labels: L names.
        calibration: By label; a label without one is left as it is.

    Returns:
        (B, L) float32.
    """
    maps = [calibration.get(label, IDENTITY) for label in labels]
    scale = np.array([1.0 / one.temperature for one in maps], np.float32)
    shifted: NDArray[np.float32] = logits * scale + np.array([one.bias for one in maps], np.float32)
    return shifted


def exclusive_probabilities(
    logits: NDArray[np.float32], labels: Sequence[str], calibration: Mapping[str, Calibration]
) -> NDArray[np.float32]:
    """Softmax of calibrated (B, L) logits of exclusive labels; a row with NaN becomes NaN. Arguments as above."""
    shifted = calibrated_logits(logits, labels, calibration)
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probability: NDArray[np.float32] = np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    return probability


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logistic function of any array, without overflow; NaN stays NaN."""
    probability: NDArray[np.float32] = np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float32)
    return probability
