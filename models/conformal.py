"""Which answers a calibrated probability leaves open: class-conditional split conformal prediction.

A class stays in an input's prediction set unless its probability is lower than is usual for inputs of that class. How
low is usual is read off held-back inputs of each class alone (Vovk 2012, "Conditional validity of inductive conformal
predictors"), so that a rare class is kept as often as a common one: of new inputs of any one class, drawn like the
held-back ones, at least the share `coverage` has the true class in its set.

One class in the set is an answer. More than one, or none, is ambiguous: the model cannot tell them apart at that level,
or each is less probable than is usual for its inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float32] | NDArray[np.float64]

COVERAGE: Final = 0.85
"""Policy: the share of each class that its set must keep. Trainers take it from here; the manifest is what counts. At
0.80 hardly any hour of intensive care is called ambiguous for sepsis, at 0.90 every fourth: see docs/adr."""

YES_NO: Final = ("no", "yes")
"""Classes of a label that holds or does not."""

NO: Final = 1
YES: Final = 2
UNKNOWN: Final = -1
"""Codes of `answers`."""

_LIKELY: Final = 0.5  # a rare label is not certain just because its absence would be unusual

_DIGITS: Final = 8
_ROUNDING: Final = 1e-9  # 20 * (1 - 0.95) is a little below 1


class Conformal(BaseModel):
    """The sets of one label, or of labels that exclude one another.

    Attributes:
        coverage: Share of each class that is kept, for inputs like the held-back ones.
        least: By class, in the order of the probabilities' columns, the least probability that keeps it in the set;
            0 keeps it always.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float = Field(gt=0, lt=1)
    least: dict[str, float]

    @classmethod
    def fit(cls, probability: Floats, label: NDArray[np.int64], classes: Sequence[str], coverage: float) -> Conformal:
        """Read the least probabilities off held-back inputs.

        With n inputs of a class, the floor((n + 1) (1 - coverage)) lowest of their probabilities count as unusual. A
        class of too few inputs for even one to count so is never left out.

        Args:
            probability: (N, C) calibrated, columns in the order of `classes`; rows with NaN are left out.
            label: (N,) column of the true class.
            classes: C names.
            coverage: Share to keep, between 0 and 1.
        """
        known = ~np.isnan(probability).any(axis=1)
        least: dict[str, float] = {}
        for column, name in enumerate(classes):
            own = np.sort(probability[known & (label == column), column].astype(np.float64))
            unusual = math.floor((len(own) + 1) * (1 - coverage) + _ROUNDING)
            least[name] = _below(float(own[unusual - 1])) if unusual else 0.0
        return cls(coverage=coverage, least=least)

    def sets(self, probability: Floats) -> NDArray[np.bool_]:
        """Which classes stay.

        Args:
            probability: (B, C) calibrated, columns in the order of `least`.

        Returns:
            (B, C) bool; a row with NaN keeps every class, for nothing is known of it.
        """
        below: NDArray[np.bool_] = probability < np.array(list(self.least.values()), np.float64)
        kept: NDArray[np.bool_] = ~below | np.isnan(probability).any(axis=1, keepdims=True)
        return kept


def both(probability: Floats) -> NDArray[np.float64]:
    """(...) probability of yes to (..., 2) of no and yes, the order of YES_NO."""
    yes = probability.astype(np.float64)
    return np.stack((1 - yes, yes), axis=-1)


def fit_yes_no(probability: Floats, label: Floats, coverage: float = COVERAGE) -> Conformal:
    """`Conformal.fit` of a label that holds or does not: (N,) probability of yes, (N,) 0 or 1."""
    return Conformal.fit(both(probability), label.astype(np.int64), YES_NO, coverage)


def limits(labels: Sequence[str], conformal: Mapping[str, Conformal]) -> NDArray[np.float64]:
    """(2, L): highest probability of yes that leaves no open, lowest that leaves yes open; NaN without sets."""
    known = [conformal[label].least if label in conformal else {"no": np.nan, "yes": np.nan} for label in labels]
    return np.array([[1 - least["no"] for least in known], [least["yes"] for least in known]], np.float64)


def answers(probability: Floats, limits: NDArray[np.float64]) -> NDArray[np.int8]:
    """The answers that yes-no labels leave open.

    Args:
        probability: (B, L) of yes.
        limits: As the function of that name made them.

    Returns:
        (B, L) the bits NO and YES; UNKNOWN, which has both bits and more, where there is no probability or no set.
    """
    codes: NDArray[np.int8] = (probability <= limits[0]) * np.int8(NO) + (probability >= limits[1]) * np.int8(YES)
    codes[np.isnan(probability + limits[1])] = UNKNOWN
    return codes


def certain(code: NDArray[np.int8], probability: Floats) -> NDArray[np.bool_]:
    """Where yes stands alone and is the more probable answer: (B, L) of `answers` and of the probability of yes."""
    found: NDArray[np.bool_] = (code & (NO | YES) == YES) & (probability >= _LIKELY)
    return found


def unsettled(code: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where the set is known and no answer stands alone: both are left, or none."""
    found: NDArray[np.bool_] = (code == 0) | (code == (NO | YES))
    return found


def _below(value: float) -> float:
    """Few digits for the manifest, rounded down: rounding up could leave out the very input that set the value."""
    return math.floor(value * 10**_DIGITS) / 10**_DIGITS
