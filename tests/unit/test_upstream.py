"""What Faust and aiokafka really do, where the design works around it. An upgrade that changes one reports itself here.

Each test names the rule of ours that it supports. A failure is no fault of the product: read the rule, and drop the
detour if it is no longer needed. What takes a broker to show is in tests/integration/test_faust_behaviour.py.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import faust
import pytest
from faust.app.base import BootStrategy
from faust.cli.worker import worker as worker_command
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from faust.types.tuples import ConsumerMessage

NOWHERE = "kafka://127.0.0.1:1"
LANE = TP("in", 0)


class Silent(BootStrategy):
    """Faust without Kafka, as the worker uses it."""

    enable_kafka = False

    def server(self) -> list[Any]:
        return list(self.sensors())


class Quiet(faust.App):
    BootStrategy = Silent


class Producer:
    """Stands for Faust's producer, whose sends end when a test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, asyncio.Future[None]]] = []

    async def maybe_start(self) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def send(self, *_: Any, headers: Any = None, **__: Any) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.sent.append((headers, future))
        return future


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., faust.App]]:
    """Makes apps; closes the event loop that Faust opens for a consumer thread even where none is started."""
    made: list[faust.App] = []

    def build(kind: type[faust.App] = Quiet, **settings: Any) -> faust.App:
        made.append(kind("upstream", broker=NOWHERE, web_enabled=False, **settings))
        return made[-1]

    yield build
    for app in made:
        if app._consumer is not None:
            app._consumer._thread.thread_loop.close()


@pytest.fixture
async def app(make: Callable[..., faust.App]) -> faust.App:
    """An app as Faust makes it, ready to process records of LANE."""
    made = make(faust.App)
    made.flow_control.resume()
    made.topics.acking_topics.add(LANE.topic)
    return made


def event(app: faust.App, offset: int) -> faust.Event:
    generation = app.consumer_generation_id
    message = ConsumerMessage(
        LANE.topic, LANE.partition, offset, time.time(), 0, {"traceparent": b"1"}, b"k", b"v", None, tp=LANE,
        generation_id=generation,
    )  # fmt: skip
    return faust.Event(app, b"k", b"v", {"traceparent": b"1"}, message)


async def stream_of(app: faust.App, count: int) -> Any:
    stream = app.stream(app.channel())
    for offset in range(count):
        await stream.channel.queue.put(event(app, offset))
    return stream


class TestFaustStreams:
    """Rule: consumption is a service of ours with its own ledger; Faust's agents and streams are not used."""

    async def test_iteration_acknowledges_the_event_whose_processing_raised(self, app: faust.App) -> None:
        stream = await stream_of(app, 1)
        with pytest.raises(ValueError, match="lost"):
            async with asyncio.timeout(5):
                async for _ in stream:
                    raise ValueError("lost")
        await asyncio.sleep(0.01)  # the abandoned generator is closed by the loop
        assert app.consumer._new_offset(LANE) == 1

    async def test_take_acknowledges_the_batch_whose_processing_raised(self, app: faust.App) -> None:
        stream = await stream_of(app, 3)
        taking = stream.take(3, within=5)
        with pytest.raises(ValueError, match="lost"):
            async with asyncio.timeout(5):
                async for _ in taking:
                    raise ValueError("lost")
        await taking.aclose()
        assert app.consumer._new_offset(LANE) == 3

    async def test_the_first_commit_passes_what_is_not_acknowledged(self, app: faust.App) -> None:
        app.consumer._acked[LANE] = [5]  # 0 to 4 are still being processed
        assert app.consumer._new_offset(LANE) == 6

    async def test_a_failed_commit_is_remembered_as_done(self, app: faust.App) -> None:
        async def refused(_: object) -> bool:
            return False

        consumer = app.consumer
        consumer._commit, consumer.assignment, app.producer = refused, lambda: {LANE}, Producer()
        assert await consumer._commit_offsets({LANE: 7}) is False
        assert consumer._committed_offset[LANE] == 7

    async def test_idle_partitions_are_waited_for_by_a_constant(self) -> None:
        # rule: our own consumer, with kafka_fetch_wait_ms
        assert "fetch_max_wait_ms=1500" in inspect.getsource(AIOKafkaConsumerThread._create_worker_consumer)


class TestFaustTopics:
    """Rule: a publisher of ours, which awaits every acknowledgement; topic.send is not used."""

    async def test_send_returns_before_the_broker_has_answered_and_hides_a_refusal(self, app: faust.App) -> None:
        app.producer = producer = Producer()
        pending = await app.topic("out", value_serializer="raw").send(value=b"x")
        assert not pending.done()
        producer.sent[0][1].set_exception(RuntimeError("refused"))
        await asyncio.sleep(0)  # the callback only logs: nothing raises unless somebody awaits a second time
        with pytest.raises(RuntimeError, match="refused"):
            await pending

    async def test_headers_of_the_event_at_hand_are_not_sent_on(self, app: faust.App) -> None:
        app.producer = producer = Producer()
        stream = await stream_of(app, 1)
        async with asyncio.timeout(5):
            async for _ in stream:
                await app.topic("out", value_serializer="raw").send(value=b"x")
                break
        assert not producer.sent[0][0]

    async def test_a_request_of_the_producer_may_hang_for_twenty_minutes(self, app: faust.App) -> None:
        # rule: kafka_request_timeout_s is ours, 30 s
        assert app.conf.producer_request_timeout == 1200.0


class TestFaustWorker:
    """Rule: Faust gives process, signals and the order of services, and its Kafka side stays off."""

    async def test_an_app_without_kafka_starts_where_there_is_no_broker(self, make: Any) -> None:
        app = make()
        async with asyncio.timeout(5):
            await app.start()
            assert app.started
            await app.stop()

    async def test_without_the_setting_it_would_consume_as_a_member_of_the_group(self, app: faust.App) -> None:
        names = {type(service).__name__ for service in app.boot_strategy.server()}
        assert {"Consumer", "Producer", "Conductor", "TableManager"} <= names

    async def test_a_consumer_switched_off_takes_conductor_and_tables_with_it(self, app: faust.App) -> None:
        boot = BootStrategy(app, enable_kafka_consumer=False)
        assert [*boot.kafka_consumer(), *boot.kafka_conductor(), *boot.tables()] == []

    async def test_an_app_cannot_be_started_twice(self, make: Any) -> None:
        # rule: a factory of apps; a fresh one for each run and test
        app = make()
        async with asyncio.timeout(5):
            await app.start()
            await app.stop()
            with pytest.raises(AssertionError):
                await app.start()

    async def test_the_command_line_redirects_standard_output_whatever_the_app_says(self, make: Any) -> None:
        # rule: a faust.Worker of ours, or structlog's lines would be wrapped by Faust's logging
        assert worker_command.redirect_stdouts is True
        app = make(worker_redirect_stdouts=False)
        assert app.conf.worker_redirect_stdouts is False

    async def test_a_worker_of_ours_leaves_output_and_logging_alone(self, make: Any) -> None:
        app = make()
        worker = faust.Worker(app, redirect_stdouts=False, override_logging=False, loop=asyncio.get_running_loop())
        assert worker.redirect_stdouts is False
        assert worker.override_logging is False
