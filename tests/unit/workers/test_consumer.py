"""Consumption against a consumer that behaves as aiokafka's does around a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from workers.consumer import Consumption
from workers.ledger import PartitionLedger
from workers.slow_start import CLEAN, Mark, decode_mark

LANE = TopicPartition("patient.vitals", 0)


class GroupConsumer:
    """One partition of ten records. As in aiokafka, a fetch that waits while the group rebalances goes on to return
    records of the new assignment, and moves its position past them.
    """

    def __init__(self) -> None:
        self.committed_at = OffsetAndMetadata(0, "")
        self.position_at = 0
        self.records = [SimpleNamespace(offset=offset) for offset in range(10)]
        self.rebalancing = asyncio.Event()  # a fetch is under way and waits for the assignment
        self.rebalanced = asyncio.Event()
        self.rebalance_at = 4

    def subscribe(self, topics: Iterable[str], listener: Consumption) -> None:
        """As AIOKafkaConsumer."""

    async def start(self) -> None:
        """As AIOKafkaConsumer."""

    async def stop(self) -> None:
        """As AIOKafkaConsumer."""

    def assignment(self) -> set[TopicPartition]:
        return {LANE}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.position_at = offset

    async def committed(self, partitions: list[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        return dict.fromkeys(partitions, self.committed_at)

    async def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self.committed_at = offsets[LANE]

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[object]]:
        await asyncio.sleep(0)
        if self.position_at == self.rebalance_at and not self.rebalanced.is_set():
            self.rebalancing.set()
            await self.rebalanced.wait()
        start, self.position_at = self.position_at, min(10, self.position_at + 2)
        if start == self.position_at:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        return {LANE: self.records[start : self.position_at]}


class Sink:
    """Records below offset `ends` end at once; the others stay under way."""

    def __init__(self, ends: int = 10) -> None:
        self.ends = ends
        self.taken: list[int] = []
        self.together: list[int] = []

    def room(self, topic: str) -> bool:
        return True

    async def accept(self, partition: TopicPartition, ledger: PartitionLedger, records: list, care: object) -> None:
        self.together.append(len(records))
        for record in records:
            self.taken.append(record.offset)
            if record.offset < self.ends:
                ledger.done(record.offset)

    async def settle(self, timeout_s: float) -> bool:
        return self.ends == 10

    async def took_all(self) -> None:
        async with asyncio.timeout(5):
            while not self.taken or self.taken[-1] != 9:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def consuming(consumer: GroupConsumer, sink: Sink) -> AsyncIterator[Consumption]:
    consumption = Consumption(consumer, consumer.committed, [LANE.topic], sink, drain_s=1.0)
    await consumption.start()
    await consumption.on_partitions_assigned([LANE])
    running = asyncio.create_task(consumption.run())
    try:
        yield consumption
    finally:
        running.cancel()


@pytest.mark.parametrize("ahead", [0, 2])
async def test_a_fetch_that_waits_through_a_rebalance_loses_nothing(ahead: int) -> None:
    """The next assignment begins where the group committed, whatever a fetch of the one before brought and moved."""
    consumer, sink = GroupConsumer(), Sink()
    async with consuming(consumer, sink) as consumption:
        await asyncio.wait_for(consumer.rebalancing.wait(), 5)
        await consumption.on_partitions_revoked([LANE])
        assert consumer.committed_at.offset == 4
        consumer.position_at = 4 + ahead  # aiokafka's own idea of where to go on, or past it already
        await consumption.on_partitions_assigned([LANE])
        consumer.rebalanced.set()
        await sink.took_all()
    assert sink.taken == list(range(10))
    await consumption.commit()
    assert consumer.committed_at.offset == 10


async def test_who_hangs_is_named_in_the_last_commit() -> None:
    """What has ended is committed, with the span of the suspects, so that the next worker takes them one by one."""
    consumer, sink = GroupConsumer(), Sink(ends=2)
    async with consuming(consumer, sink) as consumption:
        await asyncio.wait_for(consumer.rebalancing.wait(), 5)
        assert sink.taken == [0, 1, 2, 3]
        await consumption.blame([(LANE, 3), (LANE, 2)])
    assert consumer.committed_at.offset == 2
    assert decode_mark(consumer.committed_at.metadata) == Mark(1, until=4)


async def test_who_is_not_blamed_is_left_clean() -> None:
    consumer = GroupConsumer()
    async with consuming(consumer, Sink(ends=2)) as consumption:
        await asyncio.wait_for(consumer.rebalancing.wait(), 5)
        await consumption.blame([(TopicPartition("patient.notes", 0), 3)])
    assert decode_mark(consumer.committed_at.metadata) == CLEAN


async def test_a_marked_span_is_taken_one_record_at_a_time() -> None:
    consumer, sink = GroupConsumer(), Sink()
    consumer.rebalanced.set()
    consumer.committed_at = OffsetAndMetadata(1, Mark(1, until=5).encode())
    async with consuming(consumer, sink):
        await sink.took_all()
    assert sink.together[:4] == [1, 1, 1, 1]
    assert sink.taken == list(range(1, 10))
