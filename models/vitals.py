"""The vitals network: one step an event, from the patient's carried state to two risks.

It sees a row of the clinical table three ways: what this event measured, what was known before, and how long ago.
Missing is an input of its own, never a normal value. The carried state has two parts: a gated one, which decides what
matters, and a linear memory of running means, which it reads. It knows neither the clock nor earlier events: whoever
folds the events gives it state, carried values and gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models.columns import COLUMNS
from models.layers.gated import GatedRNN
from models.layers.memory import LeakyMemory
from models.novelty import Novelty

LABELS: Final = ("sepsis_6h", "mortality")
"""Outputs of `heads`: sepsis onset (Sepsis-3) within six hours or by now; death in hospital."""

P: Final = len(COLUMNS)
FEATURES: Final = 4
"""Per column: best known value, change since the last, measured now, recency."""

STATIC: Final = 3
"""Beside the columns: age in years, 1 for male and 0 for female, hours since the patient's first event."""

_STAY_H: Final = (6.0, 24.0, 96.0)
"""Hours at which a stay counts as half over, on the scales of a shift, a day and a long stay."""

_PAUSE_H: Final = (1.0, 6.0)
"""Hours at which the time since the event before counts as half of what it can be."""

_NEVER_H = 1e6
_AGE_CENTRE, _AGE_SCALE = 60.0, 20.0  # years; about the mean and spread of adults in intensive care
_FARTHEST = 40.0  # scales from the centre: beyond it a value says no more, and infinities end here


@dataclass(frozen=True, slots=True)
class VitalsConfig:
    """Sizes.

    Attributes:
        hidden: Width H of the carried state, at most 128.
        memory: How much of it is memory, less than H; the gated part comes first.
        columns: Names of the table's columns the weights were made for, in order.
    """

    hidden: int = 128
    memory: int = 64
    columns: tuple[str, ...] = tuple(column.name for column in COLUMNS)


class VitalsEncoder(nn.Module):
    """Streaming recurrence over vitals events.

    Columns that training never saw (`used` is 0) are ignored, however they are filled in live events: their weights
    would be noise.

    Args:
        config: Sizes.

    Raises:
        ValueError: The configuration names other columns than `models.columns`, or is of an older network.
    """

    centre: Tensor
    scale: Tensor
    tau_h: Tensor
    used: Tensor
    half_h: Tensor
    pause_h: Tensor

    def __init__(self, config: VitalsConfig | None = None) -> None:
        super().__init__()
        self.config = config or VitalsConfig()
        if tuple(self.config.columns) != tuple(column.name for column in COLUMNS):
            raise ValueError("these vitals weights were made for another table of columns: train them again")
        if not 0 < self.config.memory < self.config.hidden:
            raise ValueError("these vitals weights were made for another network: train them again")
        self.register_buffer("centre", torch.zeros(P))
        self.register_buffer("scale", torch.ones(P))
        self.register_buffer("tau_h", torch.tensor([column.max_age_min / 60 for column in COLUMNS]))
        self.register_buffer("used", torch.ones(P))
        self.register_buffer("half_h", torch.tensor(_STAY_H), persistent=False)
        self.register_buffer("pause_h", torch.tensor(_PAUSE_H), persistent=False)
        inputs = FEATURES * P + STATIC - 1 + len(_STAY_H) + len(_PAUSE_H)
        gated = self.config.hidden - self.config.memory
        self.memory = LeakyMemory(inputs, self.config.memory)
        self.cell = GatedRNN(inputs + self.config.memory, gated)
        self.head = nn.Linear(gated, len(LABELS))
        self.novelty = Novelty(self.config.hidden)

    def initial(self, batch: int) -> Tensor:
        """The state of patients never seen: (batch, H) zeros."""
        return self.centre.new_zeros(batch, self.config.hidden)

    def standardised(self, values: Tensor) -> Tensor:
        """(..., P) standardised, bounded to (-4, 4) so that one wild value cannot outshout the rest; unknown is 0."""
        z = ((values - self.centre) * self.scale).clamp_(-_FARTHEST, _FARTHEST)
        return torch.nan_to_num_(z.div_(z.abs().mul_(0.25).add_(1)), nan=0.0)

    def features(self, values: Tensor, carried: Tensor, gap_h: Tensor, static: Tensor) -> Tensor:
        """What the recurrence reads.

        Args:
            values: (..., P) measured in this event in canonical units, NaN where not.
            carried: (..., P) the last value before this event, NaN if never.
            gap_h: (..., P) hours since that value, NaN if never; negative counts as 0.
            static: (..., 3), see STATIC; NaN where unknown, negative hours count as 0.

        Returns:
            (..., 4 P + 7), finite whatever goes in.
        """
        measured = torch.isnan(values).logical_not_().to(values.dtype).mul_(self.used)
        known = torch.isnan(carried).logical_not_().to(values.dtype).mul_(self.used)
        now, before = self.standardised(values), self.standardised(carried).mul_(self.used)
        best = torch.lerp(before, now, measured)
        change = (best - before).mul_(known)
        since_h = torch.nan_to_num(gap_h, nan=_NEVER_H, posinf=_NEVER_H, neginf=0.0).clamp_(min=0)
        pause = (since_h + (1 - self.used) * _NEVER_H).amin(-1, keepdim=True)
        paused = pause / (pause + self.pause_h)
        waited = since_h.div_(self.tau_h).add_(1)
        age = ((static[..., :1] - _AGE_CENTRE) / _AGE_SCALE).clamp(-4, 4)
        stay_h = torch.nan_to_num(static[..., 2:], nan=0.0, posinf=_NEVER_H, neginf=0.0).clamp(min=0)
        known_for = stay_h / (stay_h + self.half_h)
        fixed = torch.nan_to_num(torch.cat((age, static[..., 1:2] * 2 - 1, known_for), -1), nan=0.0)
        return torch.cat((best, change, measured, known.div_(waited), fixed, paused), -1)

    def step(self, h: Tensor, values: Tensor, carried: Tensor, gap_h: Tensor, static: Tensor) -> Tensor:
        """One event of each patient.

        Args:
            h: (B, H) state after the patient's previous event; zeros at first.
            values: (B, P), see `features`.
            carried: (B, P).
            gap_h: (B, P).
            static: (B, 3).

        Returns:
            (B, H) the state after this event.
        """
        x, (gated, memory) = self.features(values, carried, gap_h, static), self._parts(h)
        memory = self.memory.step(x, memory)
        return torch.cat((self.cell.step(torch.cat((x, memory), -1), gated), memory), -1)

    def _parts(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The gated part and the memory of states (..., H)."""
        gated = self.config.hidden - self.config.memory
        return h[..., :gated], h[..., gated:]

    def forward(self, values: Tensor, carried: Tensor, gap_h: Tensor, static: Tensor) -> Tensor:
        """Whole stays, for training: (B, T, P) thrice and static (B, T, 3) to the states (B, T, H)."""
        x = self.features(values, carried, gap_h, static)
        memory = self.memory(x)
        return torch.cat((self.cell(torch.cat((x, memory), -1)), memory), -1)

    def heads(self, h: Tensor) -> Tensor:
        """(..., H) to (..., 2) logits in the order of LABELS; the manifest's calibration makes them probabilities."""
        logits: Tensor = self.head(self._parts(h)[0])
        return logits

    def explain(
        self, h: Tensor, values: Tensor, carried: Tensor, gap_h: Tensor, static: Tensor, *, first: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """`step`, and what each column's value does to the sepsis logit at this step.

        The contribution is gradient x (input - reference), linearised at the input. The reference is the same event
        with that column at its training median and unchanged: a column's being measured is common to both.

        Args:
            h: As for `step`, and so on.
            values: (B, P).
            carried: (B, P).
            gap_h: (B, P).
            static: (B, 3).
            first: Of how many events the contributions are wanted; of all where None.

        Returns:
            h' (B, H), and (first, P) signed contributions in log odds before calibration; 0 where nothing is known or
            the column is unused.
        """
        first = len(h) if first is None else first
        x, (gated, memory) = self.features(values, carried, gap_h, static), self._parts(h)
        memory = self.memory.step(x, memory)
        seen = torch.cat((x, memory), -1)
        gated, gradient = self.cell.step_with_gradient(seen, gated, self.head.weight[0], first)
        width = x.shape[1]
        by_input = gradient[:, :width] + self.memory.gradient(gradient[:, width:])
        share = x[:first, : 2 * P] * by_input[:, : 2 * P]
        return torch.cat((gated, memory), -1), share[:, :P] + share[:, P:]
