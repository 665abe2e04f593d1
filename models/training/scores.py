"""What the vitals network makes of whole stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.sequences import Events, batches
from models.vitals import VitalsEncoder

_STAYS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Scores:
    """Every row of a part; the rows of a stay lie together, in order.

    Attributes:
        logit: (N,).
        label: (N,).
        patient: (N,) whose.
        last: (N,) bool, the last row of its stay.
        state: (N, H).
    """

    logit: NDArray[np.float32]
    label: NDArray[np.float32]
    patient: NDArray[np.str_]
    last: NDArray[np.bool_]
    state: Tensor


@torch.inference_mode()
def score(network: VitalsEncoder, stays: Sequence[Events], head: int) -> Scores:
    """Run whole stays through the network, as they lie."""
    found: list[tuple[Tensor, Tensor, NDArray[np.str_], NDArray[np.bool_]]] = []
    device = network.head.weight.device
    for batch in batches(stays, _STAYS_AT_ONCE):
        states = network(*batch.on(device).inputs).cpu()
        real = ~torch.isnan(batch.label)
        lengths = real.sum(1).numpy()
        who = np.repeat(np.array([stays[i].patient_id for i in batch.rows]), lengths)
        last = np.zeros(lengths.sum(), bool)
        last[np.cumsum(lengths) - 1] = True
        found.append((states[real], batch.label[real], who, last))
    state = torch.cat([one[0] for one in found])
    return Scores(
        network.heads(state.to(device))[:, head].cpu().numpy(), torch.cat([one[1] for one in found]).numpy(),
        np.concatenate([one[2] for one in found]), np.concatenate([one[3] for one in found]), state,
    )  # fmt: skip


def by_patient(patient: NDArray[np.str_], value: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Values (N,) of rows that lie together by patient, apart."""
    starts = np.flatnonzero(np.concatenate(([True], patient[1:] != patient[:-1])))
    return dict(zip(patient[starts].tolist(), np.split(value, starts[1:]), strict=True))
