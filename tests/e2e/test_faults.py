"""Faults on the real worker: after each, nothing is lost, repeated without being recognisable, or out of order.

Every load has late, corrected, retracted and repeated events and 1 % of records that cannot be used, so each
scenario tests those as well. Apache Kafka counts for the guarantees; the embedded broker is tested everywhere.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.e2e.chaos_worker import MARK
from tests.e2e.checker import Verdict
from tests.e2e.harness import System
from tests.e2e.load import REASONS, Load, Planned, hours_ago
from tests.e2e.observer import RECOMMENDATIONS
from tests.e2e.processes import WORKER
from tests.e2e.states import difference_from_offline
from tests.servers import (
    ApacheKafka,
    Broker,
    EmbeddedRedis,
    SecondKafka,
    Tansu,
    alter_topic,
    coordinator_ready,
    delete_topics,
)

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.timeout(180)]

CHAOS = (sys.executable, "-m", "tests.e2e.chaos_worker")
COUNT, RATE = 2000, 600.0
REAL = WORKER[-1] == "worker"


def load(*, seed: int, count: int = COUNT, **more: float | bool) -> list[Planned]:
    return list(Load(seed=seed, start=hours_ago(6), **more).records(count))


def marked(records: list[Planned], whom: Callable[[Planned], bool]) -> list[Planned]:
    """The load with the mark on some events, on which the chaos worker's network fails."""

    def mark(record: Planned) -> Planned:
        if record.value is None or record.expect == "dead letter" or not whom(record):
            return record
        event = json.loads(record.value)
        if "observations" not in event:
            return record
        event["observations"] = [*event["observations"], {"code": "etco2", "value": MARK, "unit": "mm[Hg]"}]
        return record._replace(value=json.dumps(event).encode())

    return [mark(record) for record in records]


async def judged(system: System) -> Verdict:
    """The verdict when all has ended; anything lost is in it."""
    await system.ended()
    verdict = await system.verdict()
    assert not verdict.violations, repr(verdict)
    assert verdict.ends["recommendation"] > 0.9 * len(system.inputs)
    assert verdict.ends["duplicate"] > 0
    missing = await system.observer.all_committed(system.inputs)
    assert not missing, f"committed offsets stay behind: {missing}"
    return verdict


async def assert_state_equals_offline(system: System) -> None:
    """No step lost, none applied twice: each patient's state is that of one pass over the same records."""
    for supervisor in system.supervisors:
        await supervisor.close()
        await supervisor.worker.sigterm()
    if REAL:
        found = await asyncio.to_thread(difference_from_offline, system)
        assert found is None, found


@pytest.fixture
async def system(broker: Broker, valkey: EmbeddedRedis, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    async with System(broker, valkey.url, prefix, tmp_path) as running:
        yield running


async def test_kill_9_twice_under_load_loses_nothing(system: System) -> None:
    worker = await system.worker()
    system.feed(load(seed=1, notes=0.2), rate=RATE)
    for share in (0.3, 0.7):
        await system.written(int(share * COUNT))
        worker.kill9()
        await worker.worker.ready()
    await judged(system)
    assert worker.exits == [-9, -9]
    await assert_state_equals_offline(system)


async def test_sigterm_ends_cleanly_and_repeats_nothing(system: System) -> None:
    first = await system.worker()
    system.feed(load(seed=2), rate=RATE)
    await system.written(COUNT // 2)
    status, took_s = await first.worker.sigterm()
    assert status == 0
    assert took_s < 8.0
    await system.worker(ready=False)
    verdict = await judged(system)
    assert not verdict.repeated, repr(verdict)


async def test_a_second_worker_joins_and_leaves(system: System) -> None:
    first = await system.worker()
    system.feed(load(seed=3, count=2 * COUNT, notes=0.2), rate=RATE)
    await system.written(COUNT // 4)
    second = await system.worker()
    await system.written(COUNT)
    status, _ = await second.worker.sigterm()
    assert status == 0
    await judged(system)
    assert first.exits == []
    await assert_state_equals_offline(system)


async def test_redis_stopped_and_started(tansu: Tansu, unique: str, tmp_path: Path) -> None:
    with EmbeddedRedis(data=tmp_path / "redis") as redis:
        async with System(tansu, redis.url, f"{unique}.", tmp_path) as system:
            worker = await system.worker()
            # without Redis nobody can tell that an event id was used before for something else
            system.feed(load(seed=4, conflicts=False), rate=RATE / 2)
            await system.written(COUNT // 4)
            redis.stop()
            before = system.outputs
            await system.published(before + 50)  # results go on
            await asyncio.sleep(1.0)
            redis.start()
            await judged(system)
            assert worker.exits == []
            if REAL:
                assert any("redis_unavailable" in body["reasons"] for body in system.observer.bodies)
            await assert_state_equals_offline(system)


async def test_poison_of_every_kind_and_a_patient_on_whom_the_model_raises(
    tansu: Tansu, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    records = load(seed=5, poison=0.03)
    victim = records[0].patient
    records = marked(records, lambda record: record.patient == victim)
    settings = {"WARDSTREAM_CHAOS": "raise"}
    async with System(tansu, valkey.url, f"{unique}.", tmp_path, settings=settings, command=CHAOS) as system:
        await system.worker()
        system.feed(records, rate=RATE)
        await judged(system)
        assert system.reasons_by_kind() == {kind: {reason} for kind, reason in REASONS.items()}
        status = Counter((body["patient_id"] == victim, body["status"]) for body in system.observer.bodies)
        assert status[True, "indeterminate"] > 20
        assert {name for mine, name in status if mine} <= {"indeterminate", "retracted"}, status
        others = [body for body in system.observer.bodies if body["patient_id"] != victim]
        assert not [body["reasons"] for body in others if "model_failed" in body["reasons"]], "a neighbour was harmed"
        failed = [b for b in system.observer.bodies if b["patient_id"] == victim and b["status"] == "indeterminate"]
        assert all("model_failed" in body["reasons"] for body in failed)
        assert all(body["clinical_scores"]["news2"]["high"] > 0 for body in failed), "the scores stand without models"


@pytest.mark.kafka  # the embedded broker forgets the metadata of a commit, where the attempts are counted
async def test_a_record_on_which_the_model_hangs_ends_without_the_model(
    kafka: ApacheKafka, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    kafka.start()
    records = load(seed=6, count=400)
    victim = next(record.event_id for record in records[150:] if record.kind == "final")
    records = marked(records, lambda record: record.event_id == victim)
    settings = {"WARDSTREAM_CHAOS": "hang", "WARDSTREAM_STALL_S": "2"}
    async with System(kafka, valkey.url, f"{unique}.", tmp_path, settings=settings, command=CHAOS) as system:
        worker = await system.worker()
        system.feed(records, rate=RATE)
        await judged(system)
        # One end in full flight, which names the records that were being computed; they run alone from there. Then
        # three at the head, before the models are skipped.
        assert 1 <= len(worker.exits) <= 4
        assert all(status > 0 for status in worker.exits)
        (body,) = [body for body in system.observer.bodies if body["caused_by"]["event_id"] == victim]
        assert body["status"] == "indeterminate"


@pytest.mark.kafka
async def test_the_broker_killed_and_started(
    kafka: ApacheKafka, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    kafka.start()
    async with System(kafka, valkey.url, f"{unique}.", tmp_path) as system:
        worker = await system.worker()
        system.feed(load(seed=7), rate=RATE)
        await system.written(COUNT // 3)
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(2.0)
        await asyncio.to_thread(kafka.start)
        await judged(system)
        assert worker.exits == [], "the worker should have waited"


@pytest.mark.kafka
async def test_outputs_refused_for_want_of_replicas(
    kafka: ApacheKafka, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    kafka.start()
    await coordinator_ready(kafka.bootstrap_servers)
    with SecondKafka(kafka) as second:
        async with System(kafka, valkey.url, f"{unique}.", tmp_path, replicas={RECOMMENDATIONS: [1, 2]}) as system:
            worker = await system.worker()
            system.feed(load(seed=8), rate=RATE)
            await system.written(COUNT // 4)
            await asyncio.to_thread(second.kill)
            await asyncio.sleep(
                3.0
            )  # the cluster notices after 1.5 s; until then nothing is acknowledged, later refused
            assert system.outputs < len(system.inputs) - 100, "nothing was refused"
            await asyncio.to_thread(second.start)
            await judged(system)
            assert worker.exits == [], "the worker should have waited"
        await delete_topics(kafka.bootstrap_servers, f"{unique}.")


@pytest.mark.kafka
async def test_outputs_refused_for_their_size_become_dead_letters(
    kafka: ApacheKafka, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    kafka.start()
    # A refused result is not remembered, so an event that reuses its id would be the first to have it: no conflicts.
    planned = load(seed=9, conflicts=False)
    records = [record if record.expect == "dead letter" else record._replace(expect=None) for record in planned]
    async with System(kafka, valkey.url, f"{unique}.", tmp_path) as system:
        worker = await system.worker()
        system.feed(records, rate=RATE)
        await system.written(COUNT // 3)
        refused = f"{unique}.{RECOMMENDATIONS}"
        await alter_topic(kafka.bootstrap_servers, refused, {"max.message.bytes": "400"})
        await system.written(COUNT // 2)
        await alter_topic(kafka.bootstrap_servers, refused, {"max.message.bytes": "1048588"})
        await system.ended()
        verdict = await system.verdict()
        assert not verdict.violations, repr(verdict)
        assert verdict.reasons["output_refused"] > 10
        assert worker.exits == [], "one refused record ended the worker"
        assert verdict.ends["recommendation"] > COUNT // 3
