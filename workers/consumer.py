"""Consumption: whole fetches from Kafka into the pipeline, and offsets committed from the ledger alone.

Everything about the group is here: joining, taking up partitions, fetching only for lanes with room, slow start after
an unclean end, committing, handing over. What a record means is the pipeline's business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import OffsetAndMetadata

from workers.ledger import Ledger, PartitionLedger
from workers.slow_start import BEGUN, CLEAN, Care, Mark, SlowStart, decode_mark

log = structlog.get_logger(__name__)

_FIRST_FETCH_POLLS: Final = 40
_POLL_MS: Final = 50  # a lane that gets room again is fetched for after this long at most


class OffsetsGoneError(Exception):
    """Committed offsets no longer exist in the topic: records were lost outside this system."""


class Sink(Protocol):
    """Where fetched records go."""

    def room(self, topic: str) -> bool:
        """Whether the topic's lane takes more."""
        ...

    async def accept(self, partition: TopicPartition, ledger: PartitionLedger, records: list[Any], care: Care) -> None:
        """Take records, already delivered to the ledger, in order."""
        ...

    async def settle(self, timeout_s: float) -> bool:
        """Forget what has not started, and wait for what has, at most this long; True when all of it ended."""
        ...


class Consumption(ConsumerRebalanceListener):  # type: ignore[misc]
    """The consumer group's side of one worker.

    Args:
        consumer: Not yet started; auto commit off, offset reset `none`.
        committed: Reads the group's committed offsets with their metadata.
        topics: Full topic names.
        sink: The pipeline.
        drain_s: Longest wait for work in flight at a hand-over.
        allow_reset: Whether to go on at the earliest record where committed offsets are gone.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        committed: Callable[[list[TopicPartition]], Awaitable[dict[TopicPartition, OffsetAndMetadata]]],
        topics: Iterable[str],
        sink: Sink,
        *,
        drain_s: float,
        allow_reset: bool = False,
    ) -> None:
        self._consumer = consumer
        self._read_committed = committed
        self._topics = list(topics)
        self._sink = sink
        self._drain_s = drain_s
        self._allow_reset = allow_reset
        self.ledger: Ledger[TopicPartition] = Ledger()
        self.joined = False
        self._held: dict[TopicPartition, deque[Any]] = {}  # fetched, not yet delivered: slow start
        self._slow: dict[TopicPartition, SlowStart] = {}
        self._fresh: set[TopicPartition] = set()
        self._taken_up: set[TopicPartition] = set()
        self._base: dict[TopicPartition, int] = {}  # committed offset
        self._marks: dict[TopicPartition, Mark] = {}  # what the commit of that offset says
        self._assigned = asyncio.Event()
        self._generation = 0  # counts assignments: a fetch may span the change from one to the next
        self._commit_turn = asyncio.Lock()

    async def start(self) -> None:
        """Join the group."""
        await self._consumer.start()
        self._consumer.subscribe(self._topics, listener=self)

    async def stop(self) -> None:
        """Hand over cleanly: drain, commit, leave."""
        self._assigned.clear()
        self._generation += 1  # what a fetch under way brings is left to the next owner
        await self._hand_over()
        await self._consumer.stop()

    # -- rebalance ------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Drain and commit before the partitions go; then forget them."""
        self._assigned.clear()
        self._generation += 1
        if self.ledger.in_flight or self._taken_up:
            await self._hand_over()
        self.ledger.revoke(list(revoked) + list(self._taken_up))
        for forget in (self._held, self._slow, self._base, self._marks):
            forget.clear()
        self._fresh.clear()
        self._taken_up.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what is ours; it is taken up outside this callback, where commits are possible."""
        partitions = list(assigned)
        self.ledger.assign(partitions)
        self._fresh = set(partitions)
        self.joined = True
        self._assigned.set()
        log.info("partitions_assigned", count=len(partitions))

    async def _hand_over(self) -> None:
        ended = await self._sink.settle(self._drain_s)
        if not ended:
            log.warning("drain_timeout", note="records under way stay uncommitted and come again")
        await self.commit(clean=ended)
        offsets = {f"{tp.topic}[{tp.partition}]": self._base[tp] for tp in sorted(self._taken_up)}
        log.info("handed_over", offsets=offsets, left=self.ledger.in_flight)

    # -- fetching ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fetch until cancelled.

        Raises:
            OffsetsGoneError: Committed offsets no longer exist and settings do not allow to go on.
        """
        while True:
            await self._assigned.wait()
            try:
                await self._turn()
            except IllegalStateError:  # a partition was revoked while we asked about it: look again
                await asyncio.sleep(0.005)

    async def _turn(self) -> None:
        generation = self._generation
        if self._fresh:
            await self._look_up(sorted(self._fresh))
        await self._advance_slow_starts()
        partitions = [tp for tp in self._taken_up if self._fetchable(tp)]
        if partitions:
            await self._fetch(partitions, generation)
        else:
            await asyncio.sleep(0.005)

    def _fetchable(self, tp: TopicPartition) -> bool:
        return not self._held.get(tp) and self._sink.room(tp.topic)

    async def _fetch(self, partitions: list[TopicPartition], generation: int) -> None:
        try:
            batches = await self._consumer.getmany(*partitions, timeout_ms=_POLL_MS)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            await self._offset_gone(error)
            return
        for tp, records in batches.items():
            if generation != self._generation:
                return  # not ours, or of the new assignment already: taking up seeks back to what was committed
            if tp in self._slow:
                self._held[tp] = deque(records)
            else:
                await self._deliver(tp, records, Care.NORMAL)

    async def _deliver(self, tp: TopicPartition, records: list[Any], care: Care) -> None:
        """Hand records on; nothing may be awaited between fetching them and this."""
        ledger = self.ledger[tp]
        ledger.deliver(record.offset for record in records)
        await self._sink.accept(tp, ledger, records, care)

    async def _offset_gone(self, error: Exception) -> None:
        gone = list(getattr(error, "args", [[]])[0] or [])
        names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in gone)
        known = await self._read_committed(gone)
        never_committed = [tp for tp in gone if tp not in known or known[tp].offset < 0]
        if never_committed or self._allow_reset:
            if len(never_committed) < len(gone):
                log.error("offset_reset_allowed", partitions=names)
            await self._consumer.seek_to_beginning(*(gone if self._allow_reset else never_committed))
            if self._allow_reset or len(never_committed) == len(gone):
                return
        raise OffsetsGoneError(
            f"the committed offset of {names} no longer exists in the topic (retention, or the topic was made anew): "
            "records may be lost. Decide, then start once with WARDSTREAM_KAFKA_ALLOW_OFFSET_RESET=true"
        )

    # -- taking up, slow start --------------------------------------------------------------------------------------

    async def _look_up(self, partitions: list[TopicPartition]) -> None:
        """How each partition was left; those left cleanly start at once, the others one at a time."""
        generation = self._generation
        try:
            known = await self._read_committed(partitions)
            for tp in partitions:
                if generation != self._generation:
                    return
                found = known.get(tp)
                if found is None or found.offset < 0:
                    await self._consumer.seek_to_beginning(tp)
                    self._base[tp] = await self._consumer.position(tp)
                else:
                    self._base[tp] = found.offset
                    self._consumer.seek(tp, found.offset)  # a fetch that waited through the rebalance moved past it
                    mark = decode_mark(found.metadata)
                    if mark.attempts:
                        self._slow[tp] = SlowStart(found.offset, *mark)
                        log.warning("slow_start", topic=tp.topic, partition=tp.partition, **mark._asdict())
        except (KafkaError, AssertionError) as error:
            log.warning("take_up_delayed", error=type(error).__name__)
            await asyncio.sleep(0.2)
            return
        if generation != self._generation:
            return
        self._fresh.difference_update(partitions)
        log.info("taking_up", offsets={f"{tp.topic}[{tp.partition}]": self._base[tp] for tp in partitions})
        clean = {tp: BEGUN for tp in partitions if tp not in self._slow}
        await self._mark(clean)
        if generation == self._generation:
            self._taken_up.update(clean)

    async def _mark(self, marks: dict[TopicPartition, Mark]) -> None:
        """Write, at the committed offset, what the next worker must know if this one dies."""
        if marks:
            await self._commit({tp: (self._base[tp], mark) for tp, mark in marks.items()})

    async def _advance_slow_starts(self) -> None:
        """Take up the next suspected partition, or widen the windows of those whose records have all ended."""
        generation = self._generation
        if not any(tp in self._taken_up and slow.at_head for tp, slow in self._slow.items()):
            for tp in [tp for tp in self._slow if tp not in self._taken_up][:1]:
                slow = self._slow[tp]
                await self._mark({tp: Mark(slow.attempts + 1, slow.until)})
                if generation == self._generation:
                    self._taken_up.add(tp)
        for tp in [tp for tp in self._slow if tp in self._taken_up]:
            if generation == self._generation:
                await self._advance(tp, self._slow[tp])

    async def _advance(self, tp: TopicPartition, slow: SlowStart) -> None:
        ledger, held = self.ledger[tp], self._held.get(tp)
        if ledger.in_flight:
            return
        generation = self._generation
        if ledger.committable is not None:
            await self.commit()
            if ledger.committable is not None:
                return
        if self._base.get(tp, slow.position) != slow.position:  # whoever committed it
            slow.progressed(self._base[tp])
        elif slow.at_head and not held and not await self._has_records(tp):
            await self._mark({tp: BEGUN})  # nothing to suspect: the partition is at its end
            slow.progressed(self._base[tp])
        held = self._held.get(tp)
        if generation != self._generation:
            return
        if slow.over:
            del self._slow[tp]
            if held:
                await self._deliver(tp, list(self._held.pop(tp)), Care.NORMAL)
            return
        if held:
            await self._deliver_window(tp, slow, held)

    async def _deliver_window(self, tp: TopicPartition, slow: SlowStart, held: deque[Any]) -> None:
        generation = self._generation
        records = [held.popleft() for _ in range(min(slow.window, len(held)))]
        if len(records) > 1:  # whoever finds us dead takes this window one record at a time
            slow.until = max(slow.until, records[-1].offset + 1)
            await self._mark({tp: slow.mark()})
        if generation == self._generation:
            await self._deliver(tp, records, slow.care())

    async def _has_records(self, tp: TopicPartition) -> bool:
        """Whether the partition has anything; what a fetch brings is held."""
        generation = self._generation
        for _ in range(_FIRST_FETCH_POLLS):
            batches = await self._consumer.getmany(tp, timeout_ms=_POLL_MS)
            if generation != self._generation:
                return True
            if batches.get(tp):
                self._held[tp] = deque(batches[tp])
                return True
            if self._consumer.highwater(tp) is not None:  # the broker has answered: there is nothing
                break
        return False

    # -- committing -------------------------------------------------------------------------------------------------

    async def commit(self, *, clean: bool = False) -> None:
        """Commit what the ledger allows.

        Args:
            clean: Say that this worker ends well here, for every partition taken up, moved or not.
        """
        offsets = {
            tp: (offset, CLEAN if clean else self._moving(tp)) for tp, offset in self.ledger.committable().items()
        }
        if clean:
            for tp in self._taken_up:
                if tp in self._base:
                    offsets.setdefault(tp, (self._base[tp], CLEAN))
        if offsets:
            await self._commit(offsets)

    async def blame(self, suspects: Iterable[tuple[TopicPartition, int]]) -> None:
        """Commit for the last time before the process exits because a call hangs on these records.

        Their partitions are marked up to the last of them; those that nobody suspected before are left clean.
        """
        until: dict[TopicPartition, int] = {}
        for tp, offset in suspects:
            until[tp] = max(until.get(tp, 0), offset + 1)
        moved = self.ledger.committable()
        offsets = {}
        for tp in self._taken_up:
            attempts = 1 if tp in moved else self._marks[tp].attempts
            if tp in until:
                offsets[tp] = moved.get(tp, self._base[tp]), Mark(attempts, until[tp])
            elif tp not in self._slow:
                offsets[tp] = moved.get(tp, self._base[tp]), CLEAN
        await self._commit(offsets)

    def _moving(self, tp: TopicPartition) -> Mark:
        slow = self._slow.get(tp)
        return BEGUN if slow is None else slow.mark()

    async def _commit(self, offsets: dict[TopicPartition, tuple[int, Mark]]) -> None:
        async with self._commit_turn:
            request = {tp: OffsetAndMetadata(o, mark.encode()) for tp, (o, mark) in offsets.items()}
            request = {tp: meta for tp, meta in request.items() if tp in self._consumer.assignment()}
            if not request:
                return
            try:
                await self._consumer.commit(request)
            except (CommitFailedError, IllegalStateError) as error:
                log.warning("commit_refused", error=type(error).__name__, note="the records come again")
                return
            except KafkaError as error:
                log.warning("commit_failed", error=type(error).__name__)
                return
            for tp in request:
                self._base[tp], self._marks[tp] = offsets[tp]
            self.ledger.committed({tp: offsets[tp][0] for tp in request})
