"""Fit the vitals network to its training part: two sets, two heads, one state.

Batches of the two sets alternate, each teaching its own head twice over: by the label, which is rare and noisy, and by
the log odds that a teacher gives the row, which every row has. A third head, thrown away afterwards, forecasts what the
next event will measure. Age and sex are at times hidden, whole columns too, because live patients come without them.

What is kept is a running average of the weights, at the epoch that does best on the validation part.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.columns import COLUMNS
from models.training.average import Average
from models.training.metrics import auroc
from models.training.outcome import Progress
from models.training.scores import score
from models.training.sequences import Batch, Events, batches, pieces
from models.training.split import Part
from models.vitals import LABELS, VitalsEncoder

_HIDE_STATIC, _HIDE_COLUMN = 0.1, 0.1
_USUAL_EVENTS = 40  # of a stay in the sepsis set: keeps a batch's loss about as large as a mean
_SUREST = 1e-4  # a teacher's probability beyond tells rows apart that do not differ
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class VitalsPlan:
    """How to train.

    Attributes:
        epochs: Passes over both sets, at most.
        patience: Epochs without a better validation AUROC after which training ends.
        rate: Peak learning rate (AdamW, one cycle).
        batch: Stays a batch.
        length: Most events a piece.
        seed: Of weights, order and dropping.
        hidden: Width of the state, at most 128.
        memory: How much of it is memory.
        decay: Weight decay.
        dropout: Share of the state hidden from the heads.
        death: Weight of the mortality label: it is the same in every row of a stay and says less per row.
        teacher: Weight of the teacher's log odds, a label each; 0 for both trains without teachers.
        forecast: Weight of forecasting the next event.
        average: How much of the running average stays at each step.
        device: Where the steps are computed; batches are drawn and hidden on the CPU, the same for every device.
    """

    epochs: int = 12
    patience: int = 4
    rate: float = 5e-3
    batch: int = 32
    length: int = 192
    seed: int = 0
    hidden: int = 128
    memory: int = 64
    decay: float = 0.05
    dropout: float = 0.2
    death: float = 0.5
    teacher: tuple[float, float] = (0.3, 0.3)
    forecast: float = 0.1
    average: float = 0.999
    device: str = "cpu"


Sets = Sequence[Mapping[Part, list[Events]]]
"""For each label in the order of LABELS the stays of its set by part."""


def _hide(batch: Batch, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The inputs, with age, sex and whole columns hidden in some stays."""
    values, carried, gap_h, static = batch.inputs
    columns = torch.rand(len(values), 1, values.shape[2], generator=random) < _HIDE_COLUMN
    unsaid = torch.rand(len(static), 1, static.shape[2], generator=random) < _HIDE_STATIC
    unsaid[..., 2] = False  # how long a patient has been known is always known
    hidden = static.masked_fill(unsaid, torch.nan)
    nan = torch.nan
    return values.masked_fill(columns, nan), carried.masked_fill(columns, nan), gap_h.masked_fill(columns, nan), hidden


def _mean(loss: Tensor, head: int, plan: VitalsPlan) -> Tensor:
    """Over a batch's rows; for sepsis every hour of the set counts the same, though a batch has stays of one length."""
    return loss.mean() if head else loss.sum() / (plan.batch * _USUAL_EVENTS)


class Fitting:
    """One training under way.

    Args:
        network: Normalised; its weights are changed.
        plan: How.
    """

    def __init__(self, network: VitalsEncoder, plan: VitalsPlan, steps: int) -> None:
        self.network, self.plan = network.to(plan.device), plan
        self.average = Average(network, plan.average)
        self._forecaster = nn.Linear(plan.hidden, len(COLUMNS)).to(plan.device)
        self._parameters = [*network.parameters(), *self._forecaster.parameters()]
        self._hiding = torch.Generator().manual_seed(plan.seed)
        self._optimiser = torch.optim.AdamW(self._parameters, lr=plan.rate, weight_decay=plan.decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, plan.rate, total_steps=steps + 1)

    def step(self, batch: Batch, head: int) -> float:
        """Learn from a batch of one set; returns its loss."""
        self._optimiser.zero_grad()
        loss = self._loss(batch, head)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, _CLIP)
        self._optimiser.step()
        self._schedule.step()
        self.average.follow(self.network)
        return float(loss.detach())

    def _loss(self, batch: Batch, head: int) -> Tensor:
        """The label of its set, the teacher's log odds, and what the next event measures."""
        plan = self.plan
        hidden = [one.to(plan.device) for one in _hide(batch, self._hiding)]
        batch = batch.on(plan.device)
        states = self.network(*hidden)
        seen = F.dropout(states, plan.dropout)
        logits = self.network.heads(seen)[..., head]
        real = ~torch.isnan(batch.label)
        told = F.binary_cross_entropy_with_logits(logits[real], batch.label[real], reduction="none")
        loss = _mean(told, head, plan) * (plan.death if head else 1.0)
        taught = ~torch.isnan(batch.teacher)
        if taught.any():
            odds = torch.logit(batch.teacher[taught].clamp(_SUREST, 1 - _SUREST))
            loss = loss + plan.teacher[head] * _mean(
                F.smooth_l1_loss(logits[taught], odds, reduction="none"), head, plan
            )
        following = batch.inputs[0][:, 1:]
        measured = ~torch.isnan(following)
        ahead = self._forecaster(seen[:, :-1])[measured]
        return loss + plan.forecast * F.smooth_l1_loss(ahead, self.network.standardised(following)[measured])


def fit(
    network: VitalsEncoder, sets: Sets, plan: VitalsPlan, progress: Progress
) -> tuple[VitalsEncoder, tuple[Mapping[str, float], ...]]:
    """Train; returns the averaged network of the best epoch, and a row for each epoch."""
    random = np.random.default_rng(plan.seed)
    training = [pieces(one["training"], plan.length) for one in sets]
    per_epoch = sum(-(-len(one) // plan.batch) for one in training)
    fitting = Fitting(network, plan, plan.epochs * per_epoch)
    best, history = fitting.average.network, list[dict[str, float]]()
    for epoch in range(plan.epochs):
        losses = []
        for done, (head, batch) in enumerate(_mixed(training, plan.batch, random), 1):
            losses.append(fitting.step(batch, head))
            progress(f"vitals, epoch {epoch + 1}", epoch * per_epoch + done, plan.epochs * per_epoch)
        found = {f"validation_auroc_{LABELS[head]}": _auroc(fitting, one, head) for head, one in enumerate(sets)}
        row = {"epoch": epoch + 1.0, "loss": float(np.mean(losses)), **found, "sum": sum(found.values())}
        if all(row["sum"] > before["sum"] for before in history):
            best = copy.deepcopy(fitting.average.network)
        history.append(row)
        progress(f"vitals, epoch {epoch + 1}: validation AUROC {_texts(found)}", epoch + 1, plan.epochs)
        if epoch + 1 - max(history, key=lambda one: one["sum"])["epoch"] >= plan.patience:
            break
    rows = tuple({name: value for name, value in row.items() if name != "sum"} for row in history)
    return best.cpu(), rows


def _texts(found: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.4f}" for value in found.values())


def _mixed(training: Sequence[Sequence[Events]], size: int, random: np.random.Generator) -> Iterator[tuple[int, Batch]]:
    """Batches of both sets in random order, with the number of their set; made as they are needed."""
    each = [batches(one, size, random) for one in training]
    turns: Any = np.repeat(np.arange(len(each)), [-(-len(one) // size) for one in training])
    for head in random.permutation(turns).tolist():
        yield head, next(each[head])


def _auroc(fitting: Fitting, one: Mapping[Part, list[Events]], head: int) -> float:
    """On validation, hourly for sepsis, at the last event for mortality; 0.5 where the part has one class only."""
    held = score(fitting.average.network, one["validation"], head)
    rows = held.last if head else np.ones_like(held.last)
    value = auroc(held.label[rows].astype(float), held.logit[rows].astype(float), np.ones(int(rows.sum())))
    return 0.5 if np.isnan(value) else value
