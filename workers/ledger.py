"""The offset ledger: which records have ended, and how far each partition may be committed.

It decides the one number on which "nothing is lost" rests: the offset below which every delivered record has ended.
It knows no Kafka, no clock and no payloads; it is told what was delivered, in order, and what has ended, in any order.

Delivery order, not arithmetic on offsets, is what counts: compaction and transaction markers leave gaps, and an offset
that was never delivered lies below or between delivered ones, so it needs no care. A revoked partition's ledger is
forgotten whole; records still under way keep a reference to it and their late `done` changes nothing that is committed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


class PartitionLedger:
    """The records of one partition under one assignment.

    Attributes:
        revoked: True once the partition was taken away: nothing of it will be committed by this worker.
    """

    __slots__ = ("_committed", "_delivered", "_low", "_under_way", "revoked")

    def __init__(self) -> None:
        self._delivered: deque[int] = deque()
        self._under_way: set[int] = set()
        self._low: int | None = None
        self._committed: int | None = None
        self.revoked = False

    def deliver(self, offsets: Iterable[int]) -> None:
        """Note records in the order in which they were delivered.

        Raises:
            ValueError: An offset is not above the one before it; the same delivery twice would commit too far.
        """
        last = self._delivered[-1] if self._delivered else (-1 if self._low is None else self._low - 1)
        for offset in offsets:
            if offset <= last:
                raise ValueError(f"offset {offset} delivered after {last}")
            self._delivered.append(offset)
            self._under_way.add(offset)
            last = offset

    def done(self, offset: int) -> None:
        """Note that a delivered record has ended.

        Raises:
            ValueError: The record was not under way: it was never delivered, or has ended before.
        """
        if offset not in self._under_way:
            raise ValueError(f"offset {offset} is not under way")
        self._under_way.remove(offset)
        while self._delivered and self._delivered[0] not in self._under_way:
            self._low = self._delivered.popleft() + 1

    @property
    def in_flight(self) -> int:
        """Records delivered and not yet ended."""
        return len(self._under_way)

    @property
    def committable(self) -> int | None:
        """The offset to commit (the next to read), or None when nothing has ended since the last commit."""
        return self._low if self._low != self._committed else None

    @property
    def head(self) -> int | None:
        """The oldest offset under way, or None."""
        return self._delivered[0] if self._delivered else None

    def committed(self, offset: int) -> None:
        """Note that the broker has confirmed `offset`. Only the broker's answer counts, never the attempt."""
        self._committed = offset


class Ledger(Generic[P]):
    """The ledgers of the partitions that this worker holds. `P` names a partition (topic, number)."""

    def __init__(self) -> None:
        self._partitions: dict[P, PartitionLedger] = {}

    def __getitem__(self, partition: P) -> PartitionLedger:
        """The ledger of an assigned partition; KeyError when it is not assigned."""
        return self._partitions[partition]

    def __contains__(self, partition: P) -> bool:
        return partition in self._partitions

    def assign(self, partitions: Iterable[P]) -> None:
        """Start a fresh ledger for each partition newly held."""
        for partition in partitions:
            if partition not in self._partitions:
                self._partitions[partition] = PartitionLedger()

    def revoke(self, partitions: Iterable[P]) -> None:
        """Forget partitions: the next owner reads again whatever was not committed."""
        for partition in partitions:
            ledger = self._partitions.pop(partition, None)
            if ledger is not None:
                ledger.revoked = True

    def committable(self) -> dict[P, int]:
        """Offsets to commit now, for the partitions where that moves something."""
        offsets = {partition: ledger.committable for partition, ledger in self._partitions.items()}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    def committed(self, offsets: dict[P, int]) -> None:
        """Note what the broker has confirmed."""
        for partition, offset in offsets.items():
            if partition in self._partitions:
                self._partitions[partition].committed(offset)

    @property
    def in_flight(self) -> int:
        """Records under way in all partitions."""
        return sum(ledger.in_flight for ledger in self._partitions.values())
