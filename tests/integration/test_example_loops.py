"""The loops of the example consumers, once each on a real broker: read, deliver, answer, commit."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.servers import Broker, create_topics
from tests.unit.projections.published import published
from tests.unit.test_consumer_examples import PAGER, POSTER
from topics.feedback import FeedbackEvent

pytestmark = pytest.mark.integration

OTHER = "00000000-d84c-5dcd-8b44-ce5544271566"


def fresh() -> dict[str, Any]:
    """The example, told now."""
    now = datetime.now(UTC)
    times = {name: (now + timedelta(hours=hours)).isoformat() for name, hours in (("ack_by", 1), ("expires_at", 8))}
    return published(times)


async def loop_once(program: Any, broker: Broker, topic: str, got: asyncio.Queue, count: int) -> list[Any]:
    """Run the program's loop on one record until `count` requests came and its offset is committed, or not."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    async with producer:
        value, headers = json.dumps(fresh()).encode(), [("wardstream-alert-state", b"raise")]
        await producer.send_and_wait(topic, value, key=b"example-patient-17", headers=headers)
    running = asyncio.create_task(program.main())
    try:
        async with asyncio.timeout(60):
            found = [await got.get() for _ in range(count)]
            await asyncio.sleep(3)  # the loop polls each second and commits after it
        assert not running.done(), running
        return found
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def committed(broker: Broker, topic: str, group: str) -> int | None:
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, group_id=group, enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return await consumer.committed(TopicPartition(topic, 0))


@pytest.mark.parametrize(("program", "count", "group"), [(PAGER, 1, "pager"), (POSTER, 3, "fhir-poster")])
async def test_a_loop_delivers_a_record_and_commits_it(broker, prefix, monkeypatch, program, count, group):
    topic, answers = f"{prefix}patient.recommendations", f"{prefix}patient.feedback"
    await create_topics(broker.bootstrap_servers, [topic, answers], partitions=1)
    got: asyncio.Queue = asyncio.Queue()

    async def handle(request: web.Request) -> web.Response:
        await got.put(await request.json())
        return web.json_response({"outcome": "acknowledged", "actor_role": "nurse"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        for name in ("WEBHOOK_URL", "FHIR_BASE_URL"):
            monkeypatch.setenv(name, str(server.make_url("/in")))
        monkeypatch.setattr(program, "TOPIC", topic)
        monkeypatch.setattr(PAGER, "FEEDBACK", answers)
        found = await loop_once(program, broker, topic, got, count)
    assert len(found) == count
    assert await committed(broker, topic, group) == 1
    if program is PAGER:
        async with (
            AIOKafkaConsumer(
                answers, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
            ) as reader,
            asyncio.timeout(30),
        ):
            answer = await reader.getone()
        assert answer.key == b"example-patient-17"
        assert FeedbackEvent.model_validate_json(answer.value).outcome == "acknowledged"


async def test_the_pager_reads_its_backlog_before_it_pages(broker, prefix, monkeypatch):
    topic = f"{prefix}patient.recommendations"
    await create_topics(broker.bootstrap_servers, [topic, f"{prefix}patient.feedback"], partitions=1)
    got: asyncio.Queue = asyncio.Queue()

    async def handle(request: web.Request) -> web.Response:
        await got.put((await request.json())["key"])
        return web.Response()

    told = fresh()
    answered = told | {"alert": told["alert"] | {"state": "suppress", "answered_at": datetime.now(UTC).isoformat()}}
    asked_once = {"alert_id": OTHER, "dedupe_key": "0" * 32, "escalation": told["alert"]["escalation"][:1]}
    other = told | {"alert": told["alert"] | asked_once}
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server, AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for value in (told, answered, other):
            headers = [("wardstream-alert-state", value["alert"]["state"].encode())]
            await producer.send_and_wait(topic, json.dumps(value).encode(), headers=headers)
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        monkeypatch.setenv("WEBHOOK_URL", str(server.make_url("/in")))
        monkeypatch.setattr(PAGER, "TOPIC", topic)
        running = asyncio.create_task(PAGER.main())
        try:
            async with asyncio.timeout(60):
                assert await got.get() == OTHER
            await asyncio.sleep(3)  # the loop polls each second and commits after it
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    assert got.empty()
    assert await committed(broker, topic, "pager") == 2  # the one that still waits
