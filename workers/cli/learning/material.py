"""What `wardstream learn` has read, in numbers that name nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from models.clinical.actions import Catalogue
from models.training.answers import Answers
from workers.cli.learning.joining import Join

LINES_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Material:
    """Answers to learn from.

    Attributes:
        answers: As arrays.
        events: Feedback events read.
        left_out: Why others teach nothing, and how many.
        unreadable: Values that are no event of this version, by where they lay.
        without_readings: Answers whose vital signs are not known.
    """

    answers: Answers
    events: int
    left_out: Counter[str]
    unreadable: Mapping[str, int]
    without_readings: int

    @classmethod
    def of(cls, join: Join, events: int, unreadable: Mapping[str, int]) -> Self:
        """What a join has found."""
        answers, left = join.answers(Catalogue.load())
        blind = int(np.isnan(answers.features).all(axis=1).sum())
        return cls(answers, events, join.silent + left, unreadable, blind)

    def lines(self) -> list[str]:
        """All of it, for people."""
        told = [f"{self.events} feedback events; {len(self.answers.action)} answers teach something"]
        told += [f"  {count} teach nothing: {why}" for why, count in self.left_out.most_common()]
        told += [f"  {count} values of {where} cannot be read" for where, count in self.unreadable.items() if count]
        if self.without_readings:
            told.append(f"  {self.without_readings} answers without readings: their vital signs were not found")
        return told
