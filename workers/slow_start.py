"""Slow start after an unclean end: how much of a partition may be under way when something in it may kill the process.

The metadata of every offset commit says how many workers have taken this very offset and not ended cleanly: 1 is
written before the first record is delivered and with every commit that moves, one more than was found when a worker
takes up an offset that others left uncleanly, and nothing at a clean end (shutdown, hand-over). So a count above zero
says: somebody died here. Which record kills is not known; it is one of those that were under way. Therefore one record
runs first, then another, and then, each time everything under way was committed, twice as many, as TCP probes a path
after a loss. A crash on the way lands the next worker closer to the poison, until it is the head and alone:

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

_WITHOUT_MODELS_AT = 3
_UNDECODED_AT = 5
_OPEN_AT = 1024  # records under way from which on the window is not worth keeping


class Care(IntEnum):
    """How carefully a record is treated."""

    NORMAL = 0
    ALONE = 1
    WITHOUT_MODELS = 2
    UNDECODED = 3


def encode_attempts(attempts: int) -> str:
    """The metadata string of an offset commit; empty when the end is clean."""
    return json.dumps({"attempts": attempts}) if attempts else ""


def decode_attempts(metadata: str | None) -> int:
    """The count in a commit's metadata; 0 for anything that this system did not write."""
    try:
        value = json.loads(metadata or "{}")
    except (ValueError, RecursionError):
        return 0
    count = value.get("attempts", 0) if isinstance(value, dict) else 0
    return count if type(count) is int and 0 <= count < 1_000_000 else 0


@dataclass(slots=True)
class SlowStart:
    """The window of a partition that others left uncleanly.

    Attributes:
        attempts: Unclean ends at the committed offset, not counting the present attempt; at least 1.
        window: Records that may be under way.
        at_head: Whether nothing has been committed yet: the next record is the one under suspicion.
    """

    attempts: int
    window: int = 1
    at_head: bool = True

    def care(self) -> Care:
        """The treatment of the next record."""
        if not self.at_head:
            return Care.NORMAL
        if self.attempts >= _UNDECODED_AT:
            return Care.UNDECODED
        return Care.WITHOUT_MODELS if self.attempts >= _WITHOUT_MODELS_AT else Care.ALONE

    def progressed(self) -> None:
        """Everything under way has ended and was committed: open the window further."""
        self.window = 1 if self.at_head else self.window * 2
        self.at_head = False

    @property
    def over(self) -> bool:
        """Whether the window is wide enough to be forgotten."""
        return self.window >= _OPEN_AT
