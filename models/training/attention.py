"""Training of the attention blocks of the notes network: they learn what its bags of words leave unexplained.

Each training text comes with the logits of a bag that was fitted without it. So the blocks see the errors that bags
make on texts they do not know, not the ones that are left after learning a text by heart.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.notes import NotesEncoder
from models.tokens import Tokens
from models.training.average import Average
from models.training.outcome import Progress

History = tuple[Mapping[str, float], ...]
Judge = Callable[[NotesEncoder], Mapping[str, float]]
"""Figures of a network on the validation part; the larger their mean, the better."""


@dataclass(frozen=True, slots=True)
class Task:
    """Texts with labels of one kind.

    Attributes:
        tokens: Of N texts.
        label: (N, C) 0 or 1.
        offset: (N, C) logits of a bag that did not see the text.
    """

    tokens: Tokens
    label: Tensor
    offset: Tensor


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """How to train.

    Attributes:
        epochs: Most passes.
        patience: Passes without a better figure after which it stops.
        rate: Peak learning rate (AdamW, one cycle).
        batch: Texts a batch, of each task.
        window: Tokens of a text seen at a time, from a random place; longer texts are cut.
        hidden: Share of tokens hidden.
        keep: Of the average of the weights, which is what is kept.
        trust: Share of what the blocks say of specialties that counts in the end; cross-validated.
        seed: Of order and windows.
    """

    epochs: int = 12
    patience: int = 4
    rate: float = 2e-3
    batch: int = 32
    window: int = 160
    hidden: float = 0.1
    keep: float = 0.95
    trust: float = 0.5
    seed: int = 0


def _window(
    tokens: Tokens, rows: NDArray[np.int64], plan: AttentionPlan, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A random stretch of each text, the beginning half of the time; some tokens hidden."""
    lengths = tokens.mask[rows].sum(1)
    width = int(min(plan.window, lengths.max(initial=1)))
    start = random.integers(0, np.maximum(lengths - width, 0) + 1) * (random.random(len(rows)) < 0.5)
    place = start[:, None] + np.arange(width)
    inside = place < lengths[:, None]
    ids = np.take_along_axis(tokens.ids[rows], np.minimum(place, tokens.ids.shape[1] - 1), 1)
    inside &= random.random(inside.shape) > plan.hidden
    return torch.from_numpy(ids * inside), torch.from_numpy(inside)


def _specialty_loss(network: NotesEncoder, ids: Tensor, mask: Tensor, label: Tensor, offset: Tensor) -> Tensor:
    logits = F.linear(network.project(network.pooled(ids, mask)), network.head.weight)
    return F.binary_cross_entropy_with_logits(logits + offset, label)


def _section_loss(network: NotesEncoder, ids: Tensor, mask: Tensor, label: Tensor, offset: Tensor) -> Tensor:
    assert network.section_head is not None
    logits = F.linear(network.pooled(ids, mask), network.section_head.weight)
    # A sum over the classes counts as much as that of a batch's independent labels.
    return F.cross_entropy(logits + offset, label.argmax(1)) / label.shape[1]


def _score(found: Mapping[str, float]) -> float:
    return float(np.mean(list(found.values())))


def fit(
    network: NotesEncoder, trained: list[Tensor], notes: Task, sections: Task | None, plan: AttentionPlan,
    judge: Judge, progress: Progress,
) -> History:  # fmt: skip
    """Train the blocks; the network ends with the averaged weights of the best pass, or as it came if none helped.

    Args:
        network: With fitted bags and heads, which stay as they are.
        trained: Its parameters that learn.
        notes: Specialties.
        sections: Section headers, if there are any.
        plan: How.
        judge: On the validation part.
        progress: Told each step.
    """
    random = np.random.default_rng(plan.seed)
    steps = len(notes.label) // plan.batch
    optimiser = torch.optim.AdamW(trained, lr=plan.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.epochs * steps + 1)
    average = Average(network, plan.keep)
    bags_alone = judge(network.eval())
    history: list[Mapping[str, float]] = [{"epoch": 0.0, **bags_alone}]
    best, since, state = _score(bags_alone), 0, copy.deepcopy(network.state_dict())
    for epoch in range(plan.epochs):
        network.train()
        total = 0.0
        order = random.permutation(len(notes.label))
        for step in range(steps):
            rows = order[step * plan.batch : (step + 1) * plan.batch]
            ids, mask = _window(notes.tokens, rows, plan, random)
            loss = _specialty_loss(network, ids, mask, notes.label[rows], notes.offset[rows])
            if sections is not None:
                some = random.integers(len(sections.label), size=plan.batch)
                ids, mask = _window(sections.tokens, some, plan, random)
                loss = loss + _section_loss(network, ids, mask, sections.label[some], sections.offset[some])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            average.follow(network)
            total += loss.item()
            progress(f"notes, epoch {epoch + 1}", epoch * steps + step + 1, plan.epochs * steps)
        found = judge(average.network)
        history.append({"epoch": epoch + 1.0, "loss": total / max(steps, 1), **found})
        since += 1
        if _score(found) > best:
            best, since, state = _score(found), 0, copy.deepcopy(average.network.state_dict())
        if since >= plan.patience:
            break
    network.load_state_dict(state)
    with torch.no_grad():
        network.project.weight *= plan.trust
    network.eval()
    return tuple(history)
