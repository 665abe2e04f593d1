"""Stays as the live pipeline would see them: one event a row, with carried values and gaps.

An event only happens when something was measured, so rows without any value are left out. Batches hold stays of
similar length, cut into pieces; a later piece starts from a zero state with its carried values known, as after a
patient's context was lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]

MS_PER_HOUR: Final = 3_600_000.0


class Course(Protocol):
    """What training needs of a stay; see `workers.datasets.stay.Stay`, which has it."""

    @property
    def patient_id(self) -> str:
        """Whose."""

    @property
    def time_h(self) -> F32:
        """(T,) hours, ascending."""

    @property
    def values(self) -> F32:
        """(T, P), NaN where not measured."""

    @property
    def label(self) -> F32:
        """(T,)."""

    @property
    def age_years(self) -> float:
        """NaN if unknown."""

    @property
    def male(self) -> float:
        """1, 0 or NaN."""


@dataclass(frozen=True, slots=True)
class Events:
    """A stay (or a piece of one) with everything that `VitalsEncoder.forward` reads.

    Attributes:
        patient_id: Whose.
        values: (T, P) measured now.
        carried: (T, P) last value before.
        gap_h: (T, P) hours since.
        label: (T,).
        static: (T, 3) as `models.vitals.STATIC` says.
        teacher: (T,) probability that a teacher gives the row; None without one.
    """

    patient_id: str
    values: F32
    carried: F32
    gap_h: F32
    label: F32
    static: F32
    teacher: F32 | None = None


def milliseconds(time_h: F32) -> NDArray[np.int64]:
    """(T,) hours as the whole milliseconds of event times, from whose differences live gaps come."""
    return np.rint(time_h.astype(np.float64) * MS_PER_HOUR).astype(np.int64)


def carry(time_h: F32, values: F32) -> tuple[F32, F32]:
    """The last value of each column before each row, and the hours since.

    Args:
        time_h: (T,) ascending.
        values: (T, P), NaN where not measured.

    Returns:
        carried (T, P) and gap_h (T, P); NaN before the first measurement.
    """
    if not len(values):
        return values, values
    rows = np.arange(len(values))[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    last = np.vstack((np.full((1, values.shape[1]), -1), seen[:-1]))
    never = last < 0
    carried = np.take_along_axis(values, np.maximum(last, 0), 0)
    ms = milliseconds(time_h)
    gap_h = (ms[:, None] - ms[np.maximum(last, 0)]) / MS_PER_HOUR
    return np.where(never, np.nan, carried).astype(np.float32), np.where(never, np.nan, gap_h).astype(np.float32)


def sequence(stay: Course) -> Events:
    """A stay's events."""
    some = ~np.isnan(stay.values).all(1)
    values = stay.values[some]
    carried, gap_h = carry(stay.time_h[some], values)
    ms = milliseconds(stay.time_h[some])
    stay_h = ((ms - ms[:1]) / MS_PER_HOUR).astype(np.float32)
    static = np.stack([np.full_like(stay_h, stay.age_years), np.full_like(stay_h, stay.male), stay_h], 1)
    return Events(stay.patient_id, values, carried, gap_h, stay.label[some], static)


def pieces(stays: Sequence[Events], length: int) -> list[Events]:
    """Cut stays into pieces of at most `length` events."""
    return [
        Events(
            s.patient_id, s.values[i : i + length], s.carried[i : i + length], s.gap_h[i : i + length],
            s.label[i : i + length], s.static[i : i + length], None if s.teacher is None else s.teacher[i : i + length],
        )
        for s in stays
        for i in range(0, len(s.label), length)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded sequences.

    Attributes:
        inputs: values, carried, gap_h (B, T, P) and static (B, T, 3), NaN where padded.
        label: (B, T), NaN where padded.
        teacher: (B, T), NaN where padded or without one.
        rows: Number of each sequence in the list that was batched.
    """

    inputs: tuple[Tensor, Tensor, Tensor, Tensor]
    label: Tensor
    teacher: Tensor
    rows: NDArray[np.int64]

    def on(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        values, carried, gap_h, static = (each.to(device) for each in self.inputs)
        return Batch((values, carried, gap_h, static), self.label.to(device), self.teacher.to(device), self.rows)


def _pad(arrays: list[F32], length: int) -> Tensor:
    padded = np.full((len(arrays), length, *arrays[0].shape[1:]), np.nan, np.float32)
    for row, array in enumerate(arrays):
        padded[row, : len(array)] = array
    return torch.from_numpy(padded)


def batches(stays: Sequence[Events], size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
    """Batches of stays of similar length, in random order where a generator is given."""
    lengths = np.array([len(s.label) for s in stays])
    jitter = random.random(len(stays)) * 4 if random else np.zeros(len(stays))
    order = np.argsort(lengths + jitter, kind="stable")
    groups = [order[i : i + size] for i in range(0, len(order), size)]
    for place in random.permutation(len(groups)) if random else range(len(groups)):
        rows = groups[place]
        chosen = [stays[i] for i in rows]
        longest = int(lengths[rows].max())
        values, carried, gap_h, static = (
            _pad([getattr(s, name) for s in chosen], longest) for name in ("values", "carried", "gap_h", "static")
        )
        teacher = [np.full_like(s.label, np.nan) if s.teacher is None else s.teacher for s in chosen]
        label = _pad([s.label for s in chosen], longest)
        yield Batch((values, carried, gap_h, static), label, _pad(teacher, longest), rows)
