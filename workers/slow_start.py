"""Slow start after an unclean end: how much of a partition may be under way when something in it may kill the process.

The metadata of every offset commit is a mark: how many workers have taken this very offset and not ended cleanly, and
where the suspected span that begins here ends. A count of 1 is written before the first record is delivered and with
every commit that moves, one more than was found when a worker takes up an offset that others left uncleanly, and
nothing at a clean end (shutdown, hand-over). So a count above zero says: somebody died here.

Which record kills is one of those that were under way. Where the span is known, its records run one at a time: a model
that hangs names the batch that it hangs on before the process exits, and a window is marked before it is delivered.
Where it is not known (the process was killed in full flight), one record runs first, then another, and then, each time
everything under way was committed, twice as many, as TCP probes a path after a loss. So a poison is the head, alone, at
the second death after a hang and at the third after a kill; then the head gets:

| unclean ends at this offset | what the head record gets |
|---|---|
| 0 | everything |
| 1, 2 | a batch of its own, with models |
| 3, 4 | a batch of its own, without models: status indeterminate with the clinical scores |
| 5 and more | a dead letter without being decoded: decoding itself kills |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

_WITHOUT_MODELS_AT = 3
_UNDECODED_AT = 5
_MOST_ATTEMPTS = 1_000_000
_LAST_OFFSET = 2**63 - 1
_OPEN_AT = 1024  # records under way from which on the window is not worth keeping


class Care(IntEnum):
    """How carefully a record is treated."""

    NORMAL = 0
    ALONE = 1
    WITHOUT_MODELS = 2
    UNDECODED = 3


class Mark(NamedTuple):
    """What a commit says beside its offset.

    Attributes:
        attempts: Workers that took up this offset and have not ended cleanly; 0 says that the last one has.
        until: Offset below which, from the committed one on, every record is suspected; 0 where that is not known.
    """

    attempts: int = 0
    until: int = 0

    def encode(self) -> str:
        """The metadata string of an offset commit; empty when the end is clean."""
        if not self.attempts:
            return ""
        return json.dumps(self._asdict() if self.until else {"attempts": self.attempts})


CLEAN: Final = Mark()
BEGUN: Final = Mark(1)


def decode_mark(metadata: str | None) -> Mark:
    """The mark in a commit's metadata; a clean one for anything that this system did not write."""
    try:
        value = json.loads(metadata or "{}")
    except (ValueError, RecursionError):
        return CLEAN
    if not isinstance(value, dict):
        return CLEAN
    attempts, until = value.get("attempts", 0), value.get("until", 0)
    if type(attempts) is not int or not 0 < attempts < _MOST_ATTEMPTS:
        return CLEAN
    return Mark(attempts, until if type(until) is int and 0 < until <= _LAST_OFFSET else 0)


@dataclass(slots=True)
class SlowStart:
    """The window of a partition that others left uncleanly.

    Attributes:
        position: The committed offset.
        attempts: Unclean ends at the committed offset, not counting the present attempt; at least 1.
        until: End of the span whose records run one at a time, 0 where none is known.
        window: Records that may be under way.
        at_head: Whether nothing has been committed yet: the next record is the one under suspicion.
    """

    position: int
    attempts: int
    until: int = 0
    window: int = 1
    at_head: bool = True

    def care(self) -> Care:
        """The treatment of the next record."""
        if not self.at_head:
            return Care.NORMAL
        if self.attempts >= _UNDECODED_AT:
            return Care.UNDECODED
        return Care.WITHOUT_MODELS if self.attempts >= _WITHOUT_MODELS_AT else Care.ALONE

    def progressed(self, position: int) -> None:
        """Everything below offset `position` has ended and was committed: open the window further."""
        self.window = 1 if self.at_head or position < self.until else self.window * 2
        self.position, self.at_head = position, False

    def mark(self) -> Mark:
        """What a commit that moves must say while the window is not open."""
        return Mark(1, self.until)

    @property
    def over(self) -> bool:
        """Whether the window is wide enough to be forgotten."""
        return self.window >= _OPEN_AT
