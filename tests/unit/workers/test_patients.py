"""Contexts between store and pipeline: lost comparisons, a store that is away, keys that vanish."""

from __future__ import annotations

import pytest
import structlog

from tests.fakes import FakeStore
from tests.unit.workers.made import Ward, record, vitals
from workers.context import pack, unpack
from workers.control import Control
from workers.patients import Change, Patients
from workers.stores import VERSION_BYTES


class Worker:
    """A worker's way with contexts: read, fold, write. Several of them may share a store."""

    def __init__(self, store: FakeStore, *, wait_s: float = 60.0, most: int = 100) -> None:
        self.settled: list[int] = []
        self.counts: list[tuple[str, str, int]] = []
        self.ward = Ward()
        self.patients = Patients(
            store, self._refold, lambda sources: self.settled.extend(s.offset for s in sources), wait_s=wait_s,
            most=most, count=lambda *counted: self.counts.append(counted),
        )  # fmt: skip

    async def _refold(self, context, records) -> None:
        self.ward.decider.refold(context, records, Control())

    async def take(self, event: dict, offset: int, now: float = 0.0) -> list[bool]:
        """One record from reading to writing; whether its context did not come from the store."""
        made = record(event, offset=offset)
        contexts, degraded = await self.patients.read([made.patient])
        self.ward.decider.refold(contexts, [made], Control())
        await self.patients.write(contexts, [Change(made.patient, [made], [made.source])], now)
        return degraded.tolist()

    async def flush(self, now: float) -> set[bytes]:
        return await self.patients.flush(set, now)

    async def rows(self, patient: str = "p1") -> list[int]:
        """Minutes of the events in the context that this worker would read."""
        contexts, _ = await self.patients.read([record(vitals(patient)).patient])
        return minutes(contexts)


def minutes(contexts) -> list[int]:
    start = record(vitals("p1")).event_ms
    context = contexts[0]
    return [(int(row["ms"]) - start) // 60_000 for row in context["window"][: int(context["rows"])]]


def stored(store: FakeStore, patient: str = "p1") -> list[int] | None:
    value = store.values.get(record(vitals(patient)).patient)
    return None if value is None else minutes(unpack([value]))


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def worker(store):
    return Worker(store)


class TestAHealthyStore:
    async def test_a_context_is_written_then_its_record_ends(self, store, worker):
        assert await worker.take(vitals("p1", 0), 7) == [False]
        assert stored(store) == [0]
        assert worker.settled == [7]
        assert worker.patients.unwritten == 0

    async def test_each_write_has_a_version_of_its_own(self, store, worker):
        versions = set()
        for k in range(5):
            await worker.take(vitals("p1", k), k)
            versions.add(next(iter(store.values.values()))[:VERSION_BYTES])
        assert len(versions) == 5

    async def test_the_store_is_read_for_every_batch(self, store, worker):
        await worker.take(vitals("p1", 0), 0)
        other = Worker(store)
        await other.take(vitals("p1", 1), 1)
        assert await worker.rows() == [0, 1]

    async def test_what_is_held_is_not_gone_on_from_once_another_worker_has_written(self, store, worker):
        other = Worker(store)
        for minute, who in enumerate([worker, worker, other, worker, other]):
            await who.take(vitals("p1", minute), minute)
        assert stored(store) == [0, 1, 2, 3, 4]
        assert ("write", "lost", 1) not in worker.counts + other.counts

    async def test_nothing_to_write_asks_nothing(self, store, worker):
        contexts, _ = await worker.patients.read([])
        await worker.patients.write(contexts, [], 0.0)
        assert store.calls == []

    async def test_reads_and_writes_are_counted(self, worker):
        await worker.take(vitals("p1", 0), 0)
        assert ("read", "miss", 1) in worker.counts
        assert ("write", "written", 1) in worker.counts


class TestALostComparison:
    async def test_folds_again_into_what_the_other_wrote_and_ends(self, store, worker):
        other = Worker(store)

        async def be_quicker(_keys):
            await other.take(vitals("p1", 5), 50)

        store.before_write = be_quicker
        await worker.take(vitals("p1", 0), 7)
        assert stored(store) == [0, 5]
        assert worker.settled == [7]
        assert other.settled == [50]
        assert ("write", "lost", 1) in worker.counts

    async def test_is_tried_again_when_lost_again(self, store, worker):
        other = Worker(store)
        left = [5, 6, 7]

        async def be_quicker(_keys):
            if left:
                await other.take(vitals("p1", left.pop()), 50)
                store.before_write = be_quicker

        store.before_write = be_quicker
        await worker.take(vitals("p1", 0), 9)
        assert stored(store) == [0, 5, 6, 7]
        assert worker.settled == [9]

    async def test_costs_no_other_patient_of_the_batch_anything(self, store, worker):
        one, two = record(vitals("p1", 0), offset=1), record(vitals("p2", 0), offset=2)
        contexts, _ = await worker.patients.read([one.patient, two.patient])
        await Worker(store).take(vitals("p1", 5), 50)
        worker.ward.decider.refold(contexts[:1], [one], Control())
        worker.ward.decider.refold(contexts[1:], [two], Control())
        changes = [Change(r.patient, [r], [r.source]) for r in (one, two)]
        await worker.patients.write(contexts, changes, 0.0)
        assert stored(store, "p1") == [0, 5]
        assert stored(store, "p2") == [0]
        assert sorted(worker.settled) == [1, 2]

    async def test_whose_reading_again_fails_keeps_the_event(self, store, worker):
        """The events must not leave the state that this worker holds, or a sick patient looks well."""
        other = Worker(store)
        await worker.take(vitals("p1", 0), 0)

        async def be_quicker_and_go(_keys):
            await other.take(vitals("p1", 5), 50)
            contexts_read = store.read

            async def gone(keys):
                store.read = contexts_read
                store.away = True
                return await contexts_read(keys)

            store.read = gone

        store.before_write = be_quicker_and_go
        await worker.take(vitals("p1", 1), 1)
        assert worker.settled == [0]
        assert await worker.rows() == [0, 1]
        store.away = False
        await worker.flush(1.0)
        assert stored(store) == [0, 1, 5]
        assert worker.settled == [0, 1]

    async def test_whose_reading_again_fails_and_whose_store_is_then_empty_keeps_the_event(self, store, worker):
        other = Worker(store)

        async def be_quicker_and_go(_keys):
            await other.take(vitals("p1", 5), 50)
            contexts_read = store.read

            async def gone(keys):
                store.read = contexts_read
                store.away = True
                return await contexts_read(keys)

            store.read = gone

        store.before_write = be_quicker_and_go
        await worker.take(vitals("p1", 1), 1)
        store.away = False
        store.values.clear()
        await worker.flush(1.0)
        assert stored(store) == [1]
        assert worker.settled == [1]


class TestAStoreThatIsAway:
    async def test_pins_the_context_and_keeps_the_record_open(self, store, worker):
        store.away = True
        assert await worker.take(vitals("p1", 0), 7) == [True]
        assert worker.settled == []
        assert worker.patients.unwritten == 1
        assert worker.patients.degraded

    async def test_the_next_records_go_on_from_what_is_pinned(self, store, worker):
        store.away = True
        for k in range(3):
            await worker.take(vitals("p1", k), k)
        assert await worker.rows() == [0, 1, 2]

    async def test_the_near_cache_serves_a_patient_seen_before(self, store, worker):
        await worker.take(vitals("p1", 0), 0)
        store.away = True
        contexts, degraded = await worker.patients.read([record(vitals("p1")).patient])
        assert minutes(contexts) == [0]
        assert degraded.tolist() == [True]

    async def test_a_patient_not_seen_before_starts_blank_and_is_said_to(self, store, worker):
        await Worker(store).take(vitals("p1", 0), 0)
        store.away = True
        contexts, degraded = await worker.patients.read([record(vitals("p1")).patient])
        assert contexts["cold"].tolist() == [1]
        assert degraded.tolist() == [True]

    async def test_coming_back_writes_what_is_pinned_and_ends_the_records(self, store, worker):
        store.away = True
        for k in range(3):
            await worker.take(vitals("p1", k), k)
        store.away = False
        claimed = await worker.flush(1.0)
        assert claimed == {record(vitals("p1")).patient}
        assert stored(store) == [0, 1, 2]
        assert worker.settled == [0, 1, 2]
        assert worker.patients.unwritten == 0
        assert not worker.patients.degraded

    async def test_coming_back_the_next_record_writes_it_too(self, store, worker):
        store.away = True
        await worker.take(vitals("p1", 0), 0)
        store.away = False
        await worker.take(vitals("p1", 1), 1)
        assert stored(store) == [0, 1]
        assert worker.settled == [0, 1]
        assert worker.patients.unwritten == 0

    async def test_coming_back_to_what_another_wrote_folds_into_it(self, store, worker):
        await worker.take(vitals("p1", 0), 0)
        store.away = True
        await worker.take(vitals("p1", 1), 1)
        store.away = False
        await Worker(store).take(vitals("p1", 5), 50)
        await worker.flush(1.0)
        assert stored(store) == [0, 1, 5]
        assert worker.settled == [0, 1]

    async def test_a_patient_that_a_batch_holds_is_not_written_beside_it(self, store, worker):
        store.away = True
        await worker.take(vitals("p1", 0), 0)
        store.away = False
        assert await worker.patients.flush(lambda _: set(), 1.0) == set()
        assert stored(store) is None
        assert worker.patients.unwritten == 1

    async def test_offsets_wait_for_it_up_to_the_bound(self, store):
        worker = Worker(store, wait_s=60.0)
        store.away = True
        await worker.take(vitals("p1", 0), 0, now=100.0)
        await worker.take(vitals("p1", 1), 1, now=130.0)
        await worker.flush(159.9)
        assert worker.settled == []
        await worker.flush(160.0)
        assert worker.settled == [0, 1]
        assert worker.patients.unwritten == 1  # the context still waits
        await worker.flush(300.0)
        assert worker.settled == [0, 1]
        store.away = False
        await worker.flush(301.0)
        assert stored(store) == [0, 1]
        assert worker.settled == [0, 1]

    async def test_no_more_is_pinned_than_the_bound(self, store):
        worker = Worker(store, most=2)
        store.away = True
        for k in range(4):
            await worker.take(vitals(f"p{k}", 0), k)
        assert worker.patients.unwritten == 2
        assert worker.settled == [0, 1]
        assert ("write", "dropped", 1) in worker.counts

    async def test_a_context_pushed_out_while_it_is_being_written_ends_once(self, store):
        worker = Worker(store, most=1)
        store.away = True
        await worker.take(vitals("p1", 0), 0)
        store.away = False

        async def another_patient(_keys):
            store.away = True
            await worker.take(vitals("p2", 0), 1)
            store.away = False

        store.before_write = another_patient
        await worker.flush(1.0)
        assert worker.settled == [0]
        assert stored(store, "p1") == [0]
        await worker.flush(2.0)
        assert worker.settled == [0, 1]

    async def test_a_hand_over_leaves_waiting_records_to_the_next_owner(self, store, worker):
        store.away = True
        await worker.take(vitals("p1", 0), 0)
        worker.patients.forget_waiting()
        store.away = False
        await worker.flush(1.0)
        assert worker.settled == []
        assert stored(store) == [0]

    async def test_is_logged_once_and_without_patients(self, store, worker):
        with structlog.testing.capture_logs() as logs:
            store.away = True
            for k in range(3):
                await worker.take(vitals("p1", k), k)
            store.away = False
            await worker.flush(1.0)
        assert [each["event"] for each in logs] == ["context_store_away", "context_store_back"]
        assert "p1" not in str(logs)


class TestLostAnswersAndKeys:
    async def test_a_write_whose_answer_was_lost_is_neither_lost_nor_doubled(self, store, worker):
        store.lose_answers = 1
        await worker.take(vitals("p1", 0), 0)
        assert worker.settled == []
        await worker.flush(1.0)
        assert worker.settled == [0]
        assert stored(store) == [0]

    async def test_a_lost_answer_between_two_records_keeps_both(self, store, worker):
        store.lose_answers = 1
        await worker.take(vitals("p1", 0), 0)
        await worker.take(vitals("p1", 1), 1)
        assert stored(store) == [0, 1]
        assert worker.settled == [0, 1]

    async def test_a_write_that_arrives_after_the_next_one_changes_nothing(self, store, worker):
        store.delay = True
        await worker.take(vitals("p1", 0), 0)
        await worker.take(vitals("p1", 1), 1)
        (late,) = store.delayed
        assert await store.compare_and_set(*late) == [False]
        assert stored(store) == [0, 1]

    async def test_a_patient_who_had_to_start_cold_gets_their_history_back(self, store):
        worker = Worker(store, most=1)
        await worker.take(vitals("p1", 0), 0)
        await worker.take(vitals("p2", 0), 1)  # pushes the first out of what is held
        store.away = True
        assert await worker.take(vitals("p1", 5), 2) == [True]
        store.away = False
        await worker.flush(1.0)
        assert stored(store) == [0, 5]
        assert sorted(worker.settled) == [0, 1, 2]

    async def test_a_key_that_the_store_lost_is_replaced_by_what_is_held(self, store, worker):
        await worker.take(vitals("p1", 0), 0)
        store.values.clear()
        assert await worker.take(vitals("p1", 1), 1) == [False]
        assert stored(store) == [0, 1]

    async def test_the_near_cache_is_bounded(self, store):
        worker = Worker(store, most=2)
        for k in range(4):
            await worker.take(vitals(f"p{k}", 0), k)
        store.values.clear()
        assert await worker.rows("p0") == []
        assert await worker.rows("p3") == [0]

    async def test_the_near_cache_never_outdoes_the_store(self, store, worker):
        await worker.take(vitals("p1", 0), 0)
        empty = pack(unpack([None]))[0]
        store.values[record(vitals("p1")).patient] = empty
        assert await worker.rows() == []
