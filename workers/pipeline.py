"""The way of a record, from Kafka to Kafka. Read it from top to bottom.

    fetched -> decode + validate -> lane -> micro-batch -> (notes, images: encode) -> context read, one round trip
       -> fold into the patient's context -> fuse -> clinical scores -> rank -> alert policy
       -> publish, wait for the broker's acknowledgement -> context written (compare and set) -> ledger marks done

A clinician's answer goes the same way without encoding, judging and publishing: it is applied to the patient's alert.

Two stages of micro-batches. `encode` runs notes and images through their networks, each modality in its own thread: it
needs no context, so a slow film holds up nothing else, not even its own patient's vitals. `decide` has one batch at a
time for any patient, computes in a thread of its own, and overlaps publishing with the next batch's computation.

The order publish, write, done is what keeps the promises: a crash before the write recomputes the same output from the
same state; after the write the record is recognised as a duplicate; an offset moves only once both have happened.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import numpy as np
import structlog

from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS
from topics.codec import Decoded, Rejected, decode
from topics.events import Event
from topics.feedback import FeedbackEvent
from topics.imaging import ImagingEvent
from topics.notes import NoteEvent
from topics.reasons import Reason
from topics.vitals import VitalsEvent
from workers.batcher import Batch, MicroBatcher
from workers.clock import now_ms
from workers.context import digest64, take
from workers.control import Control, ControlBoard
from workers.decide import Decider
from workers.encoders import Encoder
from workers.folding import Work
from workers.identity import Identity
from workers.metrics import Metrics
from workers.outbox import Outlet
from workers.patients import Change, Patients
from workers.records import Applied, Decision, Duplicate, Publish, Record, Refused, Source
from workers.remarks import INDETERMINATE
from workers.settings import Settings
from workers.shadow import Shadow
from workers.slow_start import Care
from workers.stage import Stage, decide_lanes, encode_lanes
from workers.threads import Threads

log = structlog.get_logger(__name__)
T = TypeVar("T")

KINDS: Final[dict[str, type[Event]]] = {
    VITALS: VitalsEvent, NOTES: NoteEvent, IMAGING: ImagingEvent,
    FEEDBACK: FeedbackEvent}  # fmt: skip
THREADS: Final = {NOTES: "notes", IMAGING: "imaging"}
ENCODE_DEPTH: Final = 2  # one batch of a modality in its network, the next being fetched and decoded
DECIDE_DEPTH: Final = 3  # one reading, one computing, one publishing
_FINISH_SHARE: Final = 0.3  # of the drain bound for queued records; the rest for batches under way


class Pipeline:
    """Everything that happens to records; consumption hands them in, the ledger hears when they end.

    Args:
        settings: Batching bounds.
        encoders: By topic.
        decider: Decides a batch.
        patients: Contexts.
        outbox: Publishes results and dead letters.
        board: Control settings.
        threads: Where models run.
        identity: Pseudonyms.
        metrics: What is counted.
        shadow: Compares candidates; None for nothing to compare.
    """

    def __init__(
        self, settings: Settings, encoders: dict[str, Encoder], decider: Decider, patients: Patients, outbox: Outlet,
        board: ControlBoard, threads: Threads, identity: Identity, metrics: Metrics, shadow: Shadow | None = None,
    ) -> None:  # fmt: skip
        self._encoders = encoders
        self._decider = decider
        self._patients = patients
        self._outbox = outbox
        self._board = board
        self._threads = threads
        self._identity = identity
        self._metrics = metrics
        self._shadow = shadow
        self._encode = {  # one stage a modality: while images wait for their source, notes go on
            lane.name: Stage(MicroBatcher([lane], exclusive=False), ENCODE_DEPTH, metrics)
            for lane in encode_lanes(settings)
            if lane.name in encoders
        }
        self._decide = Stage(MicroBatcher(decide_lanes(settings)), DECIDE_DEPTH, metrics)
        self._refusing: set[asyncio.Task[None]] = set()
        self._in_hand: defaultdict[str, dict[int, Sequence[Record]]] = defaultdict(dict)  # by thread

    # -- in -----------------------------------------------------------------------------------------------------------

    def room(self, topic: str) -> bool:
        """Whether the topic's lanes take more records."""
        return all(stage.batcher.room(topic) for stage in (self._encode.get(topic), self._decide) if stage is not None)

    async def accept(self, sources: Sequence[Source]) -> None:
        """Decode, validate and queue records of one partition, in order."""
        records, refused = self.read(sources)
        for record in records:
            self._encode.get(record.source.topic, self._decide).add(record)
        if refused:
            task = asyncio.create_task(self._refuse(refused))
            self._refusing.add(task)
            task.add_done_callback(self._refusing.discard)
            if len(self._refusing) > 8:  # a topic full of poison must not outrun the dead letters
                await asyncio.wait(self._refusing, return_when=asyncio.FIRST_COMPLETED)

    def read(self, sources: Sequence[Source]) -> tuple[list[Record], list[Refused]]:
        """Decode and validate; a bad record costs its neighbours nothing."""
        records: list[Record] = []
        refused: list[Refused] = []
        topic = sources[0].topic
        readable = [source for source in sources if source.care < Care.UNDECODED]
        answers = decode(KINDS[topic], [(s.key, s.value) for s in readable], now_ms=now_ms())
        for source, answer in zip(readable, answers, strict=True):
            if isinstance(answer, Rejected):
                refused.append(Refused(source, answer.reason, answer.detail))
            else:
                records.append(self._record(source, answer))
        refused += [
            Refused(source, Reason.DECODE_CRASH, "reading it ended the process repeatedly")
            for source in sources
            if source.care >= Care.UNDECODED
        ]
        return records, refused

    def _record(self, source: Source, decoded: Decoded[Event]) -> Record:
        event = decoded.event
        assert source.value is not None
        scope, sender = source.topic.encode(), event.source.encode()
        replaced = event.replaces
        return Record(
            source,
            event,
            decoded.event_ms,
            self._identity.patient(event.patient_id),
            digest64(scope, sender, event.event_id.encode()),
            digest64(source.value),
            0 if replaced is None else digest64(scope, sender, replaced.encode()),
            unknown_fields=decoded.unknown_fields,
        )

    # -- the two stages -----------------------------------------------------------------------------------------------

    async def encode(self, batch: Batch[Record]) -> None:
        """Notes or images through their network; then on to be decided, in the order in which they came."""
        stage = self._encode[batch.lane]
        before, after = stage.turn, asyncio.Event()
        stage.turn = after
        await self.encode_records(batch.lane, batch.items)
        await before.wait()  # a batch that the cache answers must not overtake the one in the network
        for record in batch.items:
            if not record.source.ledger.revoked:
                self._decide.add(record)
        after.set()

    async def encode_records(self, topic: str, records: Sequence[Record]) -> None:
        """Give each record what its network makes of it."""
        with self._holding(THREADS[topic], records):
            await self._encoders[topic].encode(records, self._board.snapshot(now_ms()))

    async def decide(self, batch: Batch[Record]) -> None:
        """One batch from context to done."""
        records = batch.items
        patients = list(dict.fromkeys(record.patient for record in records))
        slot = {patient: i for i, patient in enumerate(patients)}
        slots = np.array([slot[record.patient] for record in records], np.intp)
        with self._timed("context_read"):
            contexts, degraded = await self._patients.read(patients)
        control = self._board.snapshot(now_ms())
        earlier = None if self._shadow is None else self._shadow.before(contexts, control)
        work = Work(records, slots, contexts, degraded)
        with self._timed("decide"):
            decisions = await self._threads.run("decide", lambda: self._compute(work, control))
        published = [decision for decision in decisions if isinstance(decision, Publish)]
        applied = [decision for decision in decisions if isinstance(decision, Applied)]
        repeated = [decision for decision in decisions if isinstance(decision, Duplicate)]
        refused = [decision for decision in decisions if isinstance(decision, Refused)]
        with self._timed("publish"):
            refused_outputs = await self._outbox.publish(published)
            await self._outbox.bury(refused + refused_outputs)
        published = _without(published, refused_outputs)
        refused += refused_outputs
        self._observe(published)
        self.settle_now(each.record.source for each in repeated)
        self._count(published, refused, repeated)
        self._count_answers(applied)
        self._metrics.count_burden(published)
        if self._shadow is not None and earlier is not None:
            judged = {slot[each.record.patient]: each.record for each in published}
            self._shadow.offer(contexts, judged, earlier, control)
        # What could not be published must not be remembered as told: those contexts are made anew without it.
        lost = {id(each.source) for each in refused_outputs}
        tainted = {record.patient for record in records if id(record.source) in lost}
        changes = _changes(patients, [each.record for each in published] + [each.record for each in applied])
        good = [change for change in changes if change.patient not in tainted]
        rows = np.array([slot[change.patient] for change in good], np.intp)
        with self._timed("context_write"):
            await self._patients.write(take(contexts, rows), good, time.monotonic())
            if tainted:
                again = [change for change in changes if change.patient in tainted]
                await self._patients.make_anew(again, time.monotonic())
        self.settle_now(each.source for each in refused)

    def _compute(self, work: Work, control: Control) -> list[Decision]:
        with self._holding("decide", work.records):
            return self._decider.decide(work, control)

    @contextmanager
    def _holding(self, thread: str, records: Sequence[Record]) -> Iterator[None]:
        self._in_hand[thread][id(records)] = records
        try:
            yield
        finally:
            del self._in_hand[thread][id(records)]

    def in_hand(self, thread: str) -> list[Source]:
        """The records that a thread is computing: the suspects when it hangs."""
        return [record.source for records in self._in_hand[thread].values() for record in records]

    def settle_now(self, sources: Iterable[Source]) -> None:
        """The records have ended: the ledger may let their offsets pass."""
        for source in sources:
            if not source.ledger.revoked:
                source.ledger.done(source.offset)

    async def _refuse(self, refused: list[Refused]) -> None:
        await self._outbox.bury(refused)
        self._count((), refused)
        self.settle_now(each.source for each in refused)

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve both stages and write back late contexts, until cancelled or one of them fails for good."""
        async with asyncio.TaskGroup() as group:
            for stage in self._encode.values():
                group.create_task(stage.serve(self.encode))
            group.create_task(self._decide.serve(self.decide))
            group.create_task(self._write_back())

    async def _write_back(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            self._metrics.degraded.set(self._patients.degraded)
            self._metrics.unwritten.set(self._patients.unwritten)
            if self._patients.unwritten:
                claimed = await self._patients.flush(self._decide.batcher.claim, time.monotonic())
                self._decide.batcher.unclaim(claimed)
                self._decide.wake()

    async def settle(self, timeout_s: float) -> bool:
        """Finish what is queued if that is soon done, forget the rest, and wait for what has started.

        Finishing leaves no gap: a dead letter beyond a forgotten record would be sent again by the next owner.

        Returns:
            True when whoever takes these records up next needs no care: nothing hangs.
        """
        stages = (*self._encode.values(), self._decide)
        finish_by = time.monotonic() + timeout_s * _FINISH_SHARE
        try:
            async with asyncio.timeout(timeout_s):
                while any(stage.busy for stage in stages) or self._refusing:
                    if time.monotonic() > finish_by:
                        for stage in stages:
                            stage.batcher.drop()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            # Waiting for a broker or an image source is no reason to suspect the records; a model that hangs is.
            return self._threads.longest()[1] < timeout_s
        finally:
            self._patients.forget_waiting()
        return True

    # -- metrics ------------------------------------------------------------------------------------------------------

    def _timed(self, stage: str) -> Any:
        return self._metrics.stage.labels(stage).time()

    def _observe(self, published: Sequence[Publish]) -> None:
        now = time.monotonic()
        if not published:
            return
        latency = self._metrics.latency.labels(published[0].record.source.topic)  # a batch is of one topic
        for publish in published:
            latency.observe(now - publish.record.source.received)

    def _count_answers(self, applied: Sequence[Applied]) -> None:
        for answer in applied:
            self._metrics.records.labels(answer.record.source.topic, "applied").inc()
            self._metrics.count_answer(answer)

    def _count(
        self, published: Sequence[Publish], refused: Sequence[Refused], repeated: Sequence[Duplicate] = ()
    ) -> None:
        counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        unanswered: defaultdict[tuple[str, str], int] = defaultdict(int)
        arms: defaultdict[tuple[str, str], int] = defaultdict(int)
        for publish in published:
            counts[publish.record.source.topic, publish.status] += 1
            arms[publish.arm, publish.status] += 1
            if publish.status == "indeterminate":
                for reason in INDETERMINATE.intersection(publish.reasons):
                    unanswered[publish.record.source.topic, reason] += 1
            if publish.alert_state not in ("none", "suppress"):
                self._metrics.alerts.labels(publish.alert_state, publish.alert_tier or "none").inc()
        for duplicate in repeated:
            counts[duplicate.record.source.topic, "duplicate"] += 1
        for each in refused:
            counts[each.source.topic, "dead_letter"] += 1
            self._metrics.dead_letters.labels(each.reason).inc()
            log.info("dead_letter", reason=each.reason, topic=each.source.topic, partition=each.source.partition,
                     offset=each.source.offset)  # fmt: skip
        for (topic, outcome), number in counts.items():
            self._metrics.records.labels(topic, outcome).inc(number)
        for (arm, status), number in arms.items():
            self._metrics.arms.labels(arm, status).inc(number)
        for (topic, why), number in unanswered.items():
            self._metrics.indeterminate.labels(topic, why).inc(number)


def _without(published: Sequence[Publish], refused: Sequence[Refused]) -> list[Publish]:
    """The results that were acknowledged."""
    if not refused:
        return list(published)
    dead = {id(each.source) for each in refused}
    return [publish for publish in published if id(publish.record.source) not in dead]


def _changes(patients: Sequence[bytes], records: Sequence[Record]) -> list[Change]:
    """Per patient of the batch, the records that changed the context, in order."""
    mine: dict[bytes, list[Record]] = {}
    for record in records:
        mine.setdefault(record.patient, []).append(record)
    return [
        Change(patient, mine[patient], [record.source for record in mine[patient]])
        for patient in patients
        if patient in mine
    ]
