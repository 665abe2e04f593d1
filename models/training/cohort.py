"""The constructed cohort: hours of sepsis stays, each with a note and a film of other people.

No set here links vitals, notes and images of one patient. So each hour is given a note and a film drawn by its label:
somewhat more often an acute medical note and a pneumonia film where sepsis is near. How much more often is a choice
made here, and the only way in which a note or film knows of the label: which one it is, and whether the hour has one
at all, is drawn without looking. Figures of this cohort say that fusing works, nothing about patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

ACUTE_NOTES: Final = frozenset(
    {
        "Cardiovascular / Pulmonary", "Consult - History and Phy.", "Discharge Summary", "Emergency Room Reports",
        "Gastroenterology", "General Medicine", "Nephrology",
    }
)  # fmt: skip
"""Specialties whose notes count as acute medical ones in the pairing."""

PNEUMONIA_IF: Final = (0.35, 0.60)
ACUTE_NOTE_IF: Final = (0.40, 0.60)
"""Chance of a pneumonia film, and of an acute note, where sepsis is not near and where it is. Odds ratios of 2.8 and
2.25: enough to be learned, too little for either to outweigh the vitals."""

EARLIER: Final = 6
"""Events back that stale vitals are taken from; most stays have one an hour."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Embeddings of one modality.

    Attributes:
        embedding: (N, 32).
        raised: (N,) bool, a pneumonia film or an acute note.
    """

    embedding: F32
    raised: Bools

    def of(self, rows: NDArray[np.int64]) -> Pool:
        """Only these."""
        return Pool(self.embedding[rows], self.raised[rows])


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of sepsis stays; a stay's rows lie together, in order.

    Attributes:
        logit: (N,) calibrated vitals logit.
        label: (N,) sepsis by then or within six hours.
        patient: (N,) whose.
    """

    logit: F32
    label: F32
    patient: NDArray[np.str_]

    def earlier(self) -> F32:
        """(N,) the logit EARLIER events before in the same stay, NaN where there was none."""
        before = np.full_like(self.logit, np.nan)
        same = self.patient[EARLIER:] == self.patient[:-EARLIER]
        before[EARLIER:] = np.where(same, self.logit[:-EARLIER], np.nan)
        return before


@dataclass(frozen=True, slots=True)
class Cohort:
    """Paired hours; N rows.

    Attributes:
        logit: (N,) calibrated vitals logit.
        earlier: (N,) that of EARLIER events before; NaN where there was none.
        note: (N, 32).
        image: (N, 32).
        label: (N,).
        patient: (N,) whose vitals.
    """

    logit: F32
    earlier: F32
    note: F32
    image: F32
    label: F32
    patient: NDArray[np.str_]

    def inputs(self, present: Bools, age_h: Sequence[float] = (0, 0, 0), *, stale: bool = False) -> tuple[Tensor, ...]:
        """What `LateFusion.forward` reads.

        Args:
            present: (N, 3) or (3,) which modalities there are.
            age_h: Of vitals, note and film.
            stale: Whether the vitals are those of EARLIER events before.
        """
        count = len(self.logit)
        arrays = (
            self.earlier if stale else self.logit, self.note, self.image,
            np.array(np.broadcast_to(present, (count, 3))), np.tile(np.array(age_h, np.float32), (count, 1)),
        )  # fmt: skip
        return tuple(torch.from_numpy(array) for array in arrays)


def pair(
    hours: Hours,
    notes: Pool,
    images: Pool,
    rows: int,
    seed: int,
    *,
    repeats: int = 1,
    note_if: tuple[float, float] = ACUTE_NOTE_IF,
    image_if: tuple[float, float] = PNEUMONIA_IF,
) -> Cohort:
    """Give a note and a film to at most `rows` of the hours, chosen by chance; the same for the same seed.

    Args:
        hours: To be given something.
        notes: What notes are drawn from.
        images: What films are drawn from.
        rows: Most hours.
        seed: Of every choice.
        repeats: How often each hour is given another note and film.
        note_if: Chance of a note that is raised, without and with the label.
        image_if: Likewise of a film.

    Raises:
        ValueError: A pool lacks notes or films of one kind.
    """
    for pool, what in ((notes, "notes"), (images, "films")):
        if pool.raised.all() or not pool.raised.any():
            raise ValueError(f"the constructed cohort needs {what} of both kinds, acute (or pneumonia) and other")
    random = np.random.default_rng(seed)
    chosen = np.tile(random.permutation(len(hours.label))[:rows], repeats)
    label = hours.label[chosen]
    note = _draw(notes, label, note_if, random)
    image = _draw(images, label, image_if, random)
    return Cohort(hours.logit[chosen], hours.earlier()[chosen], note, image, label, hours.patient[chosen])


def _draw(pool: Pool, label: F32, chance: tuple[float, float], random: np.random.Generator) -> F32:
    raised = random.random(len(label)) < np.where(label > 0, chance[1], chance[0])
    yes, no = np.flatnonzero(pool.raised), np.flatnonzero(~pool.raised)
    return pool.embedding[np.where(raised, random.choice(yes, len(label)), random.choice(no, len(label)))]
