"""The parts of a worker together, on a real Redis-protocol server: every record ends once, and no patient leaks.

Kafka is a fake producer here; the consumer's side is the ledger that a test fills by hand.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from contextlib import suppress
from typing import Self

import pytest
import structlog
from prometheus_client import generate_latest

from tests.fakes import FakeProducer
from tests.unit.workers.made import ILL, WELL, note, vitals
from topics import headers as names
from topics.catalogue import NOTES, VITALS
from topics.recommendation import RecommendationEvent
from workers.control import Control, ControlBoard
from workers.ledger import PartitionLedger
from workers.logs import configure
from workers.metrics import Metrics
from workers.offline import Line, Offline
from workers.outbox import Outbox
from workers.parts import build_parts
from workers.patients import Patients
from workers.pipeline import Pipeline
from workers.publisher import Publisher
from workers.records import Source
from workers.settings import Settings
from workers.state import describe
from workers.stores import RedisContexts

pytestmark = pytest.mark.integration
NOW_MS = 1_772_600_000_000


class KeepingProducer(FakeProducer):
    """Keeps key and headers too; may stop answering for ever."""

    def __init__(self) -> None:
        super().__init__(limit=10**6)
        self.records: list[tuple[str, int, bytes | None, bytes | None, dict[str, bytes]]] = []
        self.silent = False

    async def send_batch(self, batch, topic, *, partition):
        if self.silent:
            await asyncio.Event().wait()
        self.records += [(topic, partition, k, v, dict(h)) for k, v, h in batch.records]
        return await super().send_batch(batch, topic, partition=partition)


class Worker:
    """A pipeline from settings, as `workers.app` builds it, with a ledger for each topic."""

    def __init__(self, url: str, run: str) -> None:
        settings = Settings(redis_url=url, run=run, identity_key="a-key-for-tests-only", only="vitals,notes")
        self.store = RedisContexts(settings)
        self.metrics = Metrics()
        self.producer = KeepingProducer()
        self.parts = build_parts(settings, self.store, self.metrics.count_embedding)
        self.publisher = Publisher(lambda: self.producer, lambda _: None)
        self.patients = Patients(
            self.store, self._refold, self._settle, wait_s=60.0, most=100,
            count=self.metrics.count_context,
        )  # fmt: skip
        self.pipeline = Pipeline(
            settings, self.parts.encoders, self.parts.decider, self.patients, Outbox(self.publisher, ""),
            ControlBoard(), self.parts.threads, self.parts.identity, self.metrics,
        )  # fmt: skip
        self.ledgers = {VITALS: PartitionLedger(), NOTES: PartitionLedger()}
        self._task: asyncio.Task[None] | None = None

    def _settle(self, sources) -> None:
        self.pipeline.settle_now(sources)

    async def _refold(self, context, records) -> None:
        self.parts.decider.refold(context, records, Control())

    async def __aenter__(self) -> Self:
        await self.publisher.start()
        self._task = asyncio.create_task(self.pipeline.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self.parts.threads.close()
        await self.store.close()

    def sources(self, topic: str, values: list[bytes | None], *, first: int = 0, keys=None, headers=()) -> list[Source]:
        self.ledgers[topic].deliver(range(first, first + len(values)))
        return [
            Source(topic, 0, first + i, keys[i] if keys else None, value, headers, self.ledgers[topic], NOW_MS, 0.0,
                   full_topic=topic)
            for i, value in enumerate(values)
        ]  # fmt: skip

    async def take(self, topic: str, events: list, **more) -> None:
        """Hand records in and wait until all of them have ended."""
        values = [e if e is None or isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        await self.pipeline.accept(self.sources(topic, values, **more))
        async with asyncio.timeout(30):
            while self.ledgers[topic].in_flight:
                await asyncio.sleep(0.005)

    def results(self) -> list[dict]:
        return [json.loads(v) for topic, _, _, v, _ in self.producer.records if topic == "patient.recommendations"]

    def dead(self) -> list[tuple[bytes | None, dict[str, bytes]]]:
        return [(v, h) for topic, _, _, v, h in self.producer.records if topic == "wardstream.dead-letters"]

    async def contexts(self) -> dict[bytes, dict]:
        return {patient: describe(patient, value) for patient, value in await self.store.scan()}


def series(patients: int = 3, each: int = 6) -> list[dict]:
    return [
        vitals(f"p{n}", 10 * k, values=ILL if (n + k) % 4 == 0 else WELL | {"pulse": 60 + 3 * k})
        for k in range(each)
        for n in range(patients)
    ]


async def test_every_record_ends_as_one_result_dead_letter_or_duplicate(valkey, unique):
    async with Worker(valkey.url, unique) as worker:
        good = series()
        poison = [b"\xff", b"{", None, json.dumps(vitals() | {"patient_id": ""}).encode()]
        await worker.take(VITALS, [*good[:9], *poison, *good[9:], *good[:3]])
        ids = [body["caused_by"]["event_id"] for body in worker.results()]
        assert sorted(ids) == sorted(event["event_id"] for event in good)
        assert [h[names.ERROR_REASON] for _, h in worker.dead()] == [
            b"not_utf8",
            b"not_json",
            b"null_value",
            b"identity",
        ]
        assert worker.ledgers[VITALS].committable == len(good) + len(poison) + 3
        for body in worker.results():
            RecommendationEvent.model_validate_json(json.dumps(body))


async def test_results_of_a_patient_come_in_the_order_of_their_inputs(valkey, unique):
    async with Worker(valkey.url, unique) as worker:
        await worker.take(VITALS, series(patients=4, each=10))
        offsets: dict[str, list[int]] = {}
        for body in worker.results():
            offsets.setdefault(body["patient_id"], []).append(body["caused_by"]["offset"])
        assert all(found == sorted(found) for found in offsets.values())
        assert sum(map(len, offsets.values())) == 40


async def test_an_end_before_the_write_recomputes_the_same_results(valkey, unique):
    """Published or not, what was not written is done again by the next worker, with the same ids and content."""
    events = series(patients=2, each=4)
    async with Worker(valkey.url, unique) as first:
        first.producer.silent = True
        await first.pipeline.accept(first.sources(VITALS, [json.dumps(e).encode() for e in events]))
        await asyncio.sleep(0.1)
        assert first.ledgers[VITALS].committable is None
    async with Worker(valkey.url, unique) as second:
        await second.take(VITALS, events)
        again = [(b["recommendation_id"], b["alert"]["alert_id"]) for b in second.results()]
        assert len(again) == len(events)
    async with Worker(valkey.url, unique) as third:  # after the write they are recognised
        await third.take(VITALS, events)
        assert third.results() == []
        assert third.ledgers[VITALS].committable == len(events)


async def test_states_and_results_equal_those_of_the_offline_pipeline(valkey, unique):
    events = series(patients=3, each=15)
    async with Worker(valkey.url, unique) as worker:
        await worker.take(VITALS, events)
        online = await worker.contexts()
        online_results = worker.results()
    offline = Offline(Settings(run=unique, identity_key="a-key-for-tests-only", only="vitals,notes"))
    lines = [Line(VITALS, None, json.dumps(e).encode()) for e in events]
    offline_results = [json.loads(line) async for line in offline.run(lines)]
    expected = {patient: describe(patient, value) for patient, value in offline.states()}
    await offline.close()
    assert online.keys() == expected.keys()
    for patient, state in online.items():
        hidden, other = state.pop("recurrent"), expected[patient].pop("recurrent")
        assert hidden == pytest.approx(other, abs=1e-4)
        assert state == expected[patient]
    for one, other in zip(
        sorted(online_results, key=lambda b: b["caused_by"]["offset"]),
        sorted(offline_results, key=lambda b: b["caused_by"]["offset"]),
        strict=True,
    ):
        assert one["recommendation_id"] == other["recommendation_id"]
        assert one["alert"] == other["alert"]
        assert [r["action_id"] for r in one["recommendations"]] == [r["action_id"] for r in other["recommendations"]]


async def test_two_workers_on_one_patient_lose_no_event(valkey, unique):
    """A former owner and the new one, or the workers of two modalities."""
    async with Worker(valkey.url, unique) as one, Worker(valkey.url, unique) as other:
        evens = [vitals("p1", 10 * k) for k in range(0, 10, 2)]
        odds = [vitals("p1", 10 * k) for k in range(1, 10, 2)]
        for a, b, k in zip(evens, odds, range(5), strict=True):
            await asyncio.gather(one.take(VITALS, [a], first=k), other.take(VITALS, [b], first=k))
        (state,) = (await one.contexts()).values()
        assert len(state["events"]["vitals"]) == 10
        assert len(one.results()) == len(other.results()) == 5


TOKEN = "Zebulon-4711"


def leaking(unique: str) -> tuple[list, list]:
    """Events that hold the token wherever an event holds text, good ones and bad ones."""
    everywhere = {
        "event_id": f"event {TOKEN}", "encounter_id": f"stay {TOKEN}", "unit": f"ward {TOKEN}", "source": f"s {TOKEN}",
    }  # fmt: skip
    good = vitals(f"patient {TOKEN}", 0, **everywhere)
    good["observations"] += [{"code": TOKEN, "value": TOKEN}, {"code": "pulse", "value": TOKEN}]
    good["flags"] = {TOKEN: TOKEN}
    conflict = good | {"acvpu": TOKEN}
    bad = [
        good | {"event_id": f"e2 {TOKEN}", TOKEN: TOKEN},
        good | {"event_id": f"e3 {TOKEN}", "event_time": TOKEN},
        good | {"event_id": f"e4 {TOKEN}", "schema_version": TOKEN},
        good | {"event_id": f"e5 {TOKEN}", "observations": TOKEN},
        good | {"event_id": f"e6 {TOKEN}", "status": TOKEN},
        good | {"event_id": f"{TOKEN}\n"},
        f'{{"patient_id": "{TOKEN}"'.encode(),
        f"{TOKEN}\xff".encode("latin-1"),
    ]
    text = note(f"patient {TOKEN}", 5, f"Seen by Dr {TOKEN}, {unique}.", **everywhere)
    return [good, conflict, *bad], [text, text | {"text": f"Other {TOKEN}, {unique}"}]


@pytest.mark.parametrize("failing_model", [False, True])
async def test_no_patient_data_in_logs_metrics_headers_and_keys(valkey, unique, monkeypatch, failing_model):
    stderr = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    monkeypatch.setattr(sys, "stderr", stderr)
    configure(Settings(log_format="json", log_level="debug"))
    try:
        async with Worker(valkey.url, unique) as worker:
            if failing_model:

                def fail(texts):
                    raise RuntimeError(f"cannot encode {texts}")

                monkeypatch.setattr(worker.parts.models.notes, "encode", fail)
            vital, notes = leaking(unique)
            keyed = [(json.loads(json.dumps(e))["patient_id"] + "x").encode() for e in vital[:1]]
            headers = ((f"x-{TOKEN}", TOKEN.encode()), ("traceparent", TOKEN.encode()))
            await worker.take(VITALS, vital, headers=headers)
            await worker.take(NOTES, notes, headers=headers)
            await worker.take(VITALS, vital[:1], first=len(vital), keys=keyed, headers=headers)
            assert len(worker.results()) == 2
            assert len(worker.dead()) == len(vital) + len(notes) + 1 - 2
            reasons = {h[names.ERROR_REASON] for _, h in worker.dead()}
            assert {b"schema", b"event_id_conflict", b"key_mismatch", b"identity", b"event_time_invalid"} <= reasons
            assert TOKEN not in generate_latest(worker.metrics.registry).decode()
            for topic, _, _, _, sent in worker.producer.records:
                for name, value in sent.items():
                    if topic == "patient.recommendations" or name.startswith("x-error-"):
                        assert TOKEN not in name
                        assert TOKEN.encode() not in value, name
            stored = await worker.store.scan()
            assert stored
            assert not any(TOKEN.encode() in key + value for key, value in stored)
            keys = await worker.store._client.keys("*")
            assert not any(TOKEN.encode() in key for key in keys)
            assert TOKEN not in json.dumps([describe(*each) for each in stored])
    finally:
        root.handlers[:], logging.raiseExceptions = before[0], before[2]
        root.setLevel(before[1])
        structlog.reset_defaults()
    said = stderr.getvalue()
    assert "dead_letter" in said
    assert ("model_failed" in said) is failing_model
    assert TOKEN not in said
    assert "Zebulon" not in said
