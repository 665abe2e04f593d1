"""Three-valued predicates over intervals, compiled once and evaluated for all records at once.

Grammar (`data/care_actions.json`): a leaf is [variable, operator, constant]; {"all": [...]}, {"any": [...]} and
{"not": ...} combine. Every leaf asks whether a variable lies in a closed range: TRUE if its whole interval does, FALSE
if none of it does, else UNKNOWN. Negation is pushed to the leaves and the rest multiplied out into "any of (all of
leaves)". Kleene's logic is a distributive lattice with De Morgan's laws, so this changes no value; it leaves three
array steps whatever the shape of the predicates: leaves, minima over terms, maxima over predicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.clinical.truth import FALSE, TRUE, Floats, Interval, Truth
from models.columns import ACVPU

ENUMERATIONS: Final[dict[str, tuple[str, ...]]] = {
    "acvpu": ACVPU,
    "input.plausibility": ("ok", "suspect"),
    "model.risk_band": ("low", "medium", "high"),
}
"""Variables whose constants are words; the value of a word is its index."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The claim that `variable` lies in [first, last], or with `negated` that it does not; both bounds are float32."""

    variable: str
    first: float
    last: float
    negated: bool = False


Term = tuple[Leaf, ...]
"""Leaves that must all hold."""


def _number(variable: str, constant: object) -> np.float32:
    if isinstance(constant, str):
        words = ENUMERATIONS.get(variable, ())
        if constant not in words:
            raise ValueError(f"{constant!r} is no value of {variable}: use one of {', '.join(words) or 'no words'}")
        return np.float32(words.index(constant))
    if isinstance(constant, bool | int | float):
        return np.float32(constant)
    raise ValueError(f"{constant!r} cannot be compared with {variable}: use a number, a truth value or a word")


def _leaves(variable: str, operator: str, constant: Any) -> list[Leaf]:
    """Ranges of which one must hold for `variable operator constant`."""
    infinity = np.float32(np.inf)
    if operator == "in":
        return [leaf for each in constant for leaf in _leaves(variable, "==", each)]
    if operator == "between":
        first, last = (_number(variable, each) for each in constant)
        return [Leaf(variable, float(first), float(last))]
    value = _number(variable, constant)
    ranges = {
        "==": (value, value),
        "!=": (value, value),
        ">=": (value, infinity),
        ">": (np.nextafter(value, infinity), infinity),
        "<=": (-infinity, value),
        "<": (-infinity, np.nextafter(value, -infinity)),
    }
    if operator not in ranges:
        raise ValueError(f"{operator!r} is no operator: use one of in, between, {', '.join(ranges)}")
    first, last = ranges[operator]
    return [Leaf(variable, float(first), float(last), negated=operator == "!=")]


def _multiply(factors: Iterable[list[Term]]) -> list[Term]:
    """`all` of several "any of terms", multiplied out."""
    return [tuple(leaf for term in choice for leaf in term) for choice in product(*factors)]


def terms_of(predicate: Any, negated: bool = False) -> list[Term]:
    """A predicate (or with `negated` its negation) as terms of which one must hold.

    Raises:
        ValueError: The predicate is not in the grammar; says what is wrong.
    """
    if isinstance(predicate, list) and len(predicate) == 3:
        leaves = _leaves(*predicate)
        if negated:
            return [tuple(Leaf(leaf.variable, leaf.first, leaf.last, not leaf.negated) for leaf in leaves)]
        return [(leaf,) for leaf in leaves]
    if isinstance(predicate, dict) and len(predicate) == 1:
        ((word, operand),) = predicate.items()
        if word == "not":
            return terms_of(operand, not negated)
        if word in {"all", "any"}:
            parts = [terms_of(each, negated) for each in operand]
            return _multiply(parts) if (word == "all") != negated else [term for part in parts for term in part]
    raise ValueError(f"no predicate: {predicate!r}; use [variable, operator, constant], all, any or not")


class Program:
    """Predicates, flattened; `variables` names the rows that `run` reads.

    Rows of leaves end with one that is always TRUE and one that is always FALSE; they pad shorter terms and predicates.
    """

    def __init__(self, predicates: Sequence[Sequence[Term]]) -> None:
        leaves = sorted({leaf for terms in predicates for term in terms for leaf in term}, key=repr)
        terms = sorted({term for each in predicates for term in each}, key=repr)
        self.variables: Final = tuple(sorted({leaf.variable for leaf in leaves}))
        self._row: Final = np.array([self.variables.index(leaf.variable) for leaf in leaves], dtype=np.intp)
        self._first: Final = np.array([[leaf.first] for leaf in leaves], dtype=np.float32)
        self._last: Final = np.array([[leaf.last] for leaf in leaves], dtype=np.float32)
        self._negated: Final = np.flatnonzero([leaf.negated for leaf in leaves])
        self._count: Final = len(leaves)
        self._terms: Final = _padded([[leaves.index(leaf) for leaf in term] for term in terms], len(leaves))
        self._predicates: Final = _padded([[terms.index(term) for term in each] for each in predicates], len(terms))

    def run(self, low: Floats, high: Floats) -> Truth:
        """Truth of every predicate.

        Args:
            low: (V, B) float32 lower bounds, rows as in `variables`.
            high: (V, B) float32 upper bounds.

        Returns:
            (number of predicates, B) int8 truth.
        """
        leaves = np.empty((self._count + 1, low.shape[1]), dtype=np.int8)
        leaves[-1] = TRUE
        self._test(low[self._row], high[self._row], leaves[:-1])
        terms = np.empty((self._terms.shape[1] + 1, low.shape[1]), dtype=np.int8)
        terms[-1] = FALSE
        _fold(np.minimum, leaves, self._terms, terms[:-1])
        return _fold(np.maximum, terms, self._predicates, np.empty((self._predicates.shape[1], low.shape[1]), np.int8))

    def _test(self, low: Floats, high: Floats, out: Truth) -> None:
        """Leaf truth into `out`: a range that contains the interval holds, one that it cannot meet does not."""
        holds = (low >= self._first) & (high <= self._last)
        can_hold = (high >= self._first) & (low <= self._last)
        np.add(holds, can_hold, out=out, dtype=np.int8)
        out[self._negated] = 2 - out[self._negated]


def _padded(rows: Sequence[Sequence[int]], padding: int) -> npt.NDArray[np.intp]:
    """(longest, number of rows): the i-th member of every row, `padding` where a row is shorter."""
    width = max(map(len, rows), default=0)
    return np.array([[*row, *[padding] * (width - len(row))] for row in rows], dtype=np.intp).reshape(-1, width).T


def _fold(operation: np.ufunc, source: Truth, members: npt.NDArray[np.intp], out: Truth) -> Truth:
    """Combines the rows of `source` that each column of `members` names, into `out`."""
    source.take(members[0], axis=0, out=out)
    for each in members[1:]:
        operation(out, source.take(each, axis=0), out=out)
    return out


def stacked(variables: Mapping[str, Interval], names: Sequence[str]) -> tuple[Floats, Floats]:
    """(V, B) lower and upper bounds of `names`; who is not in `variables` is unknown.

    Raises:
        ValueError: There is no variable at all, so the number of records cannot be known.
    """
    size = next((len(interval.low) for interval in variables.values()), None)
    if size is None:
        raise ValueError("no variables given: pass at least one, with a value a record")
    low = np.full((len(names), size), -np.inf, dtype=np.float32)
    high = np.full((len(names), size), np.inf, dtype=np.float32)
    for row, name in enumerate(names):
        if name in variables:
            low[row], high[row] = variables[name]
    return low, high
