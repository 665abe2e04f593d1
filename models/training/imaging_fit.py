"""Fit the imaging network to films that are disguised anew each time, until held-back films gain no more."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.imaging import LABELS, ImagingEncoder, log_odds
from models.training.average import Average
from models.training.disguise import Disguise
from models.training.metrics import auroc
from models.training.outcome import Progress

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]

SHARES: Final = (0.45, 0.33, 0.22)
"""How often each class is drawn in training: normal films are a quarter of the set, and half of the question."""


@dataclass(frozen=True, slots=True)
class ImagingPlan:
    """How to train.

    Attributes:
        epochs: Passes at most.
        patience: Epochs without a better order of held-back films, disguised like those of training, before it stops.
        rate: Peak learning rate (AdamW, one cycle).
        decay: Weight decay.
        batch: Images a batch.
        seed: Of weights, order and changes of appearance.
        average: How much of the running average of the weights stays at each step.
        smoothing: Of the labels.
        disguise: Changes of appearance.
        device: Where the steps are computed; films are drawn and disguised on the CPU, the same for every device.
    """

    epochs: int = 8
    patience: int = 4
    rate: float = 7e-4
    decay: float = 0.02
    batch: int = 32
    seed: int = 0
    average: float = 0.99
    smoothing: float = 0.05
    disguise: Disguise = field(default_factory=Disguise)
    device: str = "cpu"


class Held:
    """Validation films, as they are and disguised once for all epochs, and what an averaged network makes of them."""

    def __init__(self, films: Tensor, label: Tensor, plan: ImagingPlan) -> None:
        random = torch.Generator().manual_seed(plan.seed + 1)
        parts = [plan.disguise(films[i : i + 64], random) for i in range(0, len(films), 64)]
        self._films, self._disguised, self._label = films, torch.cat(parts), label

    @torch.inference_mode()
    def judge(self, network: ImagingEncoder) -> dict[str, float]:
        """AUROC of pneumonia on both, log loss on the disguised films."""
        plain, disguised = (_logits(network, films) for films in (self._films, self._disguised))
        truth = (self._label > 0).double().numpy()

        def area(logits: Tensor) -> float:
            score = log_odds(logits).double().numpy()
            return auroc(truth, score, np.ones_like(truth))

        return {
            "validation_loss": float(F.cross_entropy(disguised, self._label)),
            "validation_auroc": area(plain),
            "validation_auroc_disguised": area(disguised),
        }

    @torch.inference_mode()
    def disguised_logits(self, network: ImagingEncoder) -> Tensor:
        """(N, 3) of the disguised films."""
        return _logits(network, self._disguised)


def as_input(pixels: Pixels) -> Tensor:
    """(B, 224, 224) uint8 to (B, 1, 224, 224) float32 in [0, 1]."""
    return torch.from_numpy(pixels).unsqueeze(1).float().div_(255)


def halved(pixels: Pixels) -> Tensor:
    """(N, 224, 224) uint8 to (N, 1, 112, 112) float32 in [0, 1], the resolution that the network works at."""
    return torch.cat([F.avg_pool2d(as_input(pixels[i : i + 256]), 2) for i in range(0, len(pixels), 256)])


def _logits(network: ImagingEncoder, films: Tensor) -> Tensor:
    device = network.head.weight.device
    return torch.cat([network.read(films[i : i + 64].to(device)).logits.cpu() for i in range(0, len(films), 64)])


def fit(
    network: ImagingEncoder, films: Tensor, label: Tensor, held: Held, plan: ImagingPlan, progress: Progress
) -> tuple[ImagingEncoder, list[dict[str, float]]]:
    """Train.

    Args:
        network: Changed by it.
        films: (N, 1, 112, 112) as `halved` makes them.
        label: (N,) class numbers.
        held: Other patients' films.
        plan: How.
        progress: Told each step.

    Returns:
        The averaged network of the epoch that did best on held-back films, and one mapping an epoch.
    """
    order, random = np.random.default_rng(plan.seed), torch.Generator().manual_seed(plan.seed)
    network.to(plan.device)
    steps, chance = max(1, len(films) // plan.batch), _chances(label.numpy())
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.epochs * steps + 1)
    average, best, history = Average(network, plan.average), network, list[dict[str, float]]()
    for epoch in range(plan.epochs):
        rows, total = order.choice(len(films), (steps, plan.batch), p=chance), 0.0
        network.train()
        for step, chosen in enumerate(rows):
            out = network.read(plan.disguise(films[chosen], random).to(plan.device))
            loss = F.cross_entropy(out.logits, label[chosen].to(plan.device), label_smoothing=plan.smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            average.follow(network)
            total += loss.item()
            progress(f"imaging, epoch {epoch + 1}", epoch * steps + step + 1, plan.epochs * steps)
        history.append({"epoch": epoch + 1, "loss": total / steps} | held.judge(average.network))
        highest = max(history, key=_standing)["epoch"]
        if highest == epoch + 1:
            best = copy.deepcopy(average.network)
        elif epoch + 1 - highest >= plan.patience:
            break
    return best.cpu(), history


def _standing(one: dict[str, float]) -> float:
    """What an epoch is chosen by; where held-back films are all of one kind it is not defined, and any will do."""
    area = one["validation_auroc_disguised"]
    return 0.0 if math.isnan(area) else area


def _chances(label: Numbers) -> NDArray[np.float64]:
    """(N,) how often to draw each film, so that the classes come in SHARES; classes that are missing are left out."""
    count = np.bincount(label, minlength=len(LABELS))
    chance = (np.array(SHARES) / np.maximum(count, 1))[label]
    shares: NDArray[np.float64] = chance / chance.sum()
    return shares
