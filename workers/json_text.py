"""JSON by the column: a batch's numbers turned into text in one call, and what recurs spelt out once.

A result has some two hundred values, most of them the same in every result or one of a few. Building each as a tree of
dictionaries only to serialise it was half of a decision's cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

T = TypeVar("T")

SLOT: Final = "\0"
"""Stands in a shape for a value whose text is put in later."""

_SLOT_TEXT: Final = orjson.dumps(SLOT).decode()


def text(value: Any) -> str:
    """One value as JSON."""
    return orjson.dumps(value).decode()


def template(shape: Any) -> str:
    """`shape` as JSON with one `%s` for each SLOT, in order: fill it with `template % (texts, ...)`."""
    return text(shape).replace("%", "%%").replace(_SLOT_TEXT, "%s")


def numbers(values: NDArray[Any]) -> list[str]:
    """Numbers, truth values or instants (datetime64) of any shape as JSON texts, flat. NaN and infinities are null.

    Float32 gets as many digits as tell it from its neighbours, which is fewer than its float64 would.
    """
    if not values.size:
        return []
    flat = np.ascontiguousarray(values).ravel()
    return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC)[1:-1].decode().split(",")


def instants(ms: NDArray[np.int64]) -> list[str]:
    """Epoch milliseconds of any shape as JSON texts, flat, in UTC: as `datetime.isoformat` has them, in quotes.

    Raises:
        TypeError: A moment before the year 1, or after 9999-12-30; the codec lets none in.
    """
    return numbers(ms.astype("datetime64[ms]"))


def lists(entries: Sequence[str], counts: Sequence[int]) -> list[str]:
    """JSON arrays: the first `counts[0]` of the entries, the next `counts[1]`, and so on."""
    following: Iterator[str] = iter(entries)
    return [f"[{','.join(islice(following, count))}]" for count in counts]


class Patterns(Generic[T]):
    """What rows of small integers stand for, each pattern spelt out once and kept.

    Args:
        spell: What one row stands for.
        most: Patterns kept; beyond, all are forgotten, so that the memory is bounded.
    """

    def __init__(self, spell: Callable[[list[int]], T], most: int = 20_000) -> None:
        self._spell = spell
        self._most = most
        self._known: dict[bytes, T] = {}

    def of(self, codes: NDArray[Any]) -> list[T]:
        """By row of `(n, k)` integers, which must fit into 32 bits."""
        packed = np.ascontiguousarray(codes, np.int32)
        width, whole, known = packed.shape[1] * packed.itemsize, packed.tobytes(), self._known
        if len(known) > self._most:
            known = self._known = {}
        found = []
        for i, start in enumerate(range(0, len(whole), width)):
            key = whole[start : start + width]
            meaning = known.get(key)
            if meaning is None:
                meaning = known[key] = self._spell(packed[i].tolist())
            found.append(meaning)
        return found
