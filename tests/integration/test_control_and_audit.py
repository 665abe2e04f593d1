"""Control from the command to the audit, on real brokers: written, applied, echoed, audited once, printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Self

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.integration.test_cli_tools import Done, Environment, fields, wardstream
from tests.servers import Broker
from tests.unit.workers.made import vitals
from tests.unit.workers.test_decide import Ward
from topics.audit import AuditEvent
from topics.catalogue import AUDIT, CONTROL
from workers import kafka_clients
from workers.auditor import Auditor
from workers.cli import cluster
from workers.cli.topics import apply_topics
from workers.control import EFFECTIVE_WITHIN_S, Control, ControlBoard
from workers.control_reader import ControlReader
from workers.settings import Settings

pytestmark = pytest.mark.integration
WHO = ("--actor", "dr.lee", "--reason", "A drill.")


@pytest.fixture
async def environment(broker: Broker, prefix: str) -> Environment:
    made = {**broker.worker_environment(), "WARDSTREAM_TOPIC_PREFIX": prefix, "WARDSTREAM_TOPIC_PARTITIONS": "1"}
    await apply_topics(Settings(**fields(made)))
    return made


@pytest.fixture
def settings(environment: Environment) -> Settings:
    return Settings(**fields(environment))


class Hearing:
    """What a worker has of control: board, reader and auditor, as `workers.app` builds them."""

    def __init__(self, settings: Settings, delay_s: float) -> None:
        def consumer() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(**kafka_clients.consumer_options(settings))

        self.board = ControlBoard()
        self.waiting: list[int] = []
        self._auditor = Auditor(
            consumer, lambda: AIOKafkaProducer(**kafka_clients.producer_options(settings)),
            settings.topic_prefix + AUDIT, delay_s, self.waiting.append,
        )  # fmt: skip
        self.reader = ControlReader(
            consumer(), settings.topic_prefix + CONTROL, self.board, lambda _: None, self._auditor.note
        )

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self.reader.run()), asyncio.create_task(self._auditor.run())]
        async with asyncio.timeout(15):
            await self.reader.caught_up.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def snapshot(self) -> Control:
        return self.board.snapshot(time.time_ns() // 1_000_000)


async def command(environment: Environment, *arguments: str) -> Done:
    done = await asyncio.to_thread(wardstream, environment, *arguments)
    assert done.returncode == 0, done.stderr
    return done


async def audited(settings: Settings) -> list[AuditEvent]:
    """The audit topic as it lies, repeats and all."""
    async with cluster.reader(settings, settings.topic_prefix + AUDIT) as consumer:
        return [AuditEvent.model_validate_json(record.value) async for record in cluster.everything(consumer)]


async def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def eventually(find: Callable[[], Awaitable[list[AuditEvent]]], count: int) -> list[AuditEvent]:
    async with asyncio.timeout(20):
        while len(found := await find()) < count:
            await asyncio.sleep(0.1)
    return found


async def test_a_change_by_command_is_applied_echoed_audited_and_printed(environment, settings):
    async with Hearing(settings, 0.0) as worker:
        said = (await command(environment, "control", "kill-switch", "--on", *WHO)).stdout
        written = time.monotonic()
        await until(lambda: worker.snapshot().kill_switch)
        assert time.monotonic() - written < EFFECTIVE_WITHIN_S
        offset = worker.snapshot().offset
        assert f"written at offset {offset}: kill_switch: on" in said
        assert Ward().body(vitals(), control=worker.snapshot())["control_offset"] == offset
        await eventually(lambda: audited(settings), 1)
        await command(environment, "control", "unset", "kill_switch", "--actor", "dr.kim", "--reason", "It is over.")
        await until(lambda: not worker.snapshot().kill_switch)
        first, second = await eventually(lambda: audited(settings), 2)
    assert (first.actor, first.reason, first.outcome, first.before) == ("dr.lee", "A drill.", "set", None)
    assert (second.actor, second.reason, second.outcome) == ("dr.kim", "It is over.", "taken_back")
    assert (second.before, second.after) == (first.after, None)
    lines = (await command(environment, "audit")).stdout.splitlines()
    assert [line.split()[2:4] for line in lines[1:]] == [["dr.lee", "kill_switch"], ["dr.kim", "kill_switch"]]
    assert "default -> on" in lines[1]
    assert "on -> default" in lines[2]
    assert (await command(environment, "audit", "--subject", "mute")).stdout == "no changes\n"


async def test_of_two_workers_one_audits_and_a_restart_audits_nothing_again(environment, settings):
    async with AsyncExitStack() as stack:
        for delay_s in (0.0, 4.0):
            await stack.enter_async_context(Hearing(settings, delay_s))
        for action in ("sepsis-screen", "esc-urgent-review"):
            await command(environment, "control", "mute", "--unit", "ICU", "--action", action, "--for", "2h", *WHO)
        await eventually(lambda: audited(settings), 2)
        await asyncio.sleep(4.5)  # the second worker's time comes
        assert [event.control_offset for event in await audited(settings)] == [0, 1]
    async with Hearing(settings, 0.0) as again:
        await until(lambda: again.waiting[-1] == 0)
        await command(environment, "control", "model", "notes", "--off", *WHO)
        await eventually(lambda: audited(settings), 3)
        assert [event.control_offset for event in await audited(settings)] == [0, 1, 2]


async def test_a_change_made_while_no_worker_ran_is_audited_by_the_next(environment, settings):
    await command(environment, "control", "model", "vitals", "--off", *WHO)
    async with Hearing(settings, 0.0):
        (event,) = await eventually(lambda: audited(settings), 1)
    assert (event.subject, event.actor, event.outcome) == ("model/vitals", "dr.lee", "set")


async def test_workers_that_are_equally_quick_write_repeats_that_the_trail_shows_once(environment, settings):
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(Hearing(settings, 0.0))
        await command(environment, "control", "kill-switch", "--on", *WHO)
        await eventually(lambda: audited(settings), 1)
        await asyncio.sleep(1.0)
        found = await audited(settings)
    assert len(set(found)) == 1 <= len(found) <= 2
    printed = (await command(environment, "audit", "--json")).stdout.splitlines()
    assert [AuditEvent.model_validate_json(line) for line in printed] == found[:1]


async def test_a_refused_record_is_audited_with_its_reason_and_changes_nothing(environment, settings):
    async with Hearing(settings, 0.0) as worker:
        await command(environment, "control", "model", "notes", "--off", *WHO)
        async with cluster.producer(settings) as producer:
            topic = settings.topic_prefix + CONTROL
            await producer.send_and_wait(topic, b'{"patient_id": "Jane"}', key=b"Jane")
            await producer.send_and_wait(topic, b"{}", key=b"model/notes")
        _, stray, bad = await eventually(lambda: audited(settings), 3)
        await until(lambda: worker.snapshot().offset == 2)
        assert worker.snapshot().models_off == {"notes"}
    assert (stray.outcome, stray.refusal, stray.subject) == ("refused", "schema_version", None)
    assert "Jane" not in stray.model_dump_json()
    assert (bad.outcome, bad.subject) == ("refused", "model/notes")
    shown = await command(environment, "control", "show")
    assert "offset 2 was refused" in shown.stderr


async def test_show_prints_what_is_in_force(environment):
    assert (await command(environment, "control", "show")).stdout == "nothing is set: defaults are in force\n"
    await command(environment, "control", "thresholds", "--unit", "ICU", "--news2-raise", "6", *WHO)
    await command(environment, "control", "model", "imaging", "--off", "--for", "1h", *WHO)
    await command(environment, "control", "model", "notes", "--off", *WHO)
    await command(environment, "control", "unset", "model/notes", *WHO)
    table = (await command(environment, "control", "show")).stdout.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [["model/imaging", "off", table[1].split()[2]],
                                                        ["thresholds/ICU", "news2_raise", "6"]]  # fmt: skip
    lines = [orjson.loads(line) for line in (await command(environment, "control", "show", "--json")).stdout.split("\n")
             if line]  # fmt: skip
    assert [line["subject"] for line in lines] == ["model/imaging", "thresholds/ICU"]
    assert lines[1]["setting"]["news2_raise"] == 6
    assert {line["actor"] for line in lines} == {"dr.lee"}


async def test_what_is_not_set_cannot_be_taken_back(environment):
    done = await asyncio.to_thread(wardstream, environment, "control", "unset", "model/vitals", *WHO)
    assert done.returncode == 1
    assert done.stderr == "wardstream: nothing is set for model/vitals; set: nothing at all\n"
