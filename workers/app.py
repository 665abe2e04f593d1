"""The composition root: builds a worker from settings and runs it as a Faust app.

Faust gives the process: its worker, signals, and the order in which services start and stop. Consumption is a service
of ours inside it (docs/adr/0001): Faust's own consumer, producer and web server stay off.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from faust.app.base import BootStrategy

from models.bundle import Bundle
from topics.catalogue import AUDIT, CONTROL, FEEDBACK, IMAGING, NOTES, VITALS, full_name
from workers import kafka_clients, logs
from workers.auditor import SPREAD_S, Auditor
from workers.clock import now_ms
from workers.consumer import Consumption, OffsetsGoneError
from workers.control import Control, ControlBoard
from workers.control_reader import ControlReader
from workers.health import Web
from workers.ledger import PartitionLedger
from workers.metrics import Metrics
from workers.outbox import Outbox
from workers.parts import Parts, build_parts
from workers.patients import Patients
from workers.pipeline import Pipeline
from workers.publisher import Publisher
from workers.records import Source
from workers.settings import Settings
from workers.shadow import Shadow
from workers.slow_start import Care
from workers.stores import RedisContexts
from workers.warm_up import tune_interpreter, warm_up

log = structlog.get_logger(__name__)

TOPIC_OF = {"vitals": VITALS, "notes": NOTES, "imaging": IMAGING, "feedback": FEEDBACK}
EXIT_STALLED = 70  # EX_SOFTWARE
_LAST_COMMIT_S = 2.0
_VERSIONS_EVERY_S = 0.2
_VERSIONS_AGAIN_S = 30.0  # a version that was not there may have been copied meanwhile
_PUBLISH_BATCH_BYTES = 1_000_000  # below Kafka's default message.max.bytes, headers included


class _Boot(BootStrategy):  # type: ignore[misc]
    """Only Faust's sensors and our services: two consumers would join the group with protocols that do not match."""

    enable_kafka = False

    def server(self) -> Iterable[Any]:
        """Services that Faust starts itself."""
        return list(self._chain(self.sensors()))


class WardApp(faust.App):  # type: ignore[misc]
    """The Faust app of a worker."""

    BootStrategy = _Boot


class Runner(faust.Service):  # type: ignore[misc]
    """Everything of one worker that runs; started and stopped by Faust."""

    def __init__(self, settings: Settings, store: RedisContexts, parts: Parts, metrics: Metrics) -> None:
        super().__init__()
        self.settings = settings
        self.failure: BaseException | None = None
        self.metrics = metrics
        self.board = ControlBoard()
        self._store = store
        self._parts = parts
        self._shadow = Shadow(parts.shelf, metrics)
        for encoder in parts.encoders.values():
            encoder.along = self._shadow.encoded
        self._warm = False
        self._work: asyncio.Task[None] | None = None
        self._logical = {full_name(settings.topic_prefix, topic): topic for topic in TOPIC_OF.values()}

    async def on_start(self) -> None:
        """Build what needs a running loop, connect, and begin."""
        settings, metrics = self.settings, self.metrics
        self._publisher = Publisher(
            lambda: AIOKafkaProducer(
                **kafka_clients.producer_options(settings), max_batch_size=_PUBLISH_BATCH_BYTES, linger_ms=0
            ),
            lambda error: metrics.publish_retries.labels(error).inc(),
        )
        self._patients = Patients(
            self._store, self._refold, self._settle, wait_s=settings.context_write_wait_s,
            most=settings.context_pinned_max, count=metrics.count_context,
        )  # fmt: skip
        self.pipeline = Pipeline(
            settings, self._parts.encoders, self._parts.decider, self._patients,
            Outbox(self._publisher, settings.topic_prefix), self.board, self._parts.threads, self._parts.identity,
            metrics, self._shadow,
        )  # fmt: skip
        self._admin = AIOKafkaAdminClient(**kafka_clients.admin_options(settings))
        self._consumer = AIOKafkaConsumer(**kafka_clients.group_consumer_options(settings))
        self.consumption = Consumption(
            self._consumer, self._committed, [full_name(settings.topic_prefix, TOPIC_OF[m]) for m in settings.only],
            self, drain_s=settings.drain_s, allow_reset=settings.kafka_allow_offset_reset,
        )  # fmt: skip
        self._auditor = Auditor(
            lambda: AIOKafkaConsumer(**kafka_clients.consumer_options(settings)),
            lambda: AIOKafkaProducer(**kafka_clients.producer_options(settings)),
            full_name(settings.topic_prefix, AUDIT), random.uniform(0, SPREAD_S), metrics.audit_waiting.set,
        )  # fmt: skip
        self._control = ControlReader(
            AIOKafkaConsumer(**kafka_clients.consumer_options(settings)),
            full_name(settings.topic_prefix, CONTROL), self.board, metrics.control_offset.set, self._auditor.note,
        )  # fmt: skip
        self._work = asyncio.create_task(self._run())

    async def on_stop(self) -> None:
        """Hand over and end; what is under way is finished within the drain bound."""
        if self._work is None:
            return
        if not self._work.done() and self.failure is None and self.consumption.joined:
            await self.consumption.stop()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        for close in (
            self._consumer.stop,
            self._publisher.stop,
            self._admin.close,
            self._store.close,
            self._parts.close,
        ):
            try:
                async with asyncio.timeout(5):
                    await close()
            except Exception as error:  # noqa: BLE001 - the next part must be closed all the same
                log.warning("close_failed", part=close.__qualname__, error=type(error).__name__)
        self._shadow.close()
        log.info("worker_stopped")

    # -- what consumption asks ----------------------------------------------------------------------------------------

    def room(self, topic: str) -> bool:
        """See consumer.Sink."""
        return self.pipeline.room(self._logical[topic])

    async def accept(self, partition: TopicPartition, ledger: PartitionLedger, records: list[Any], care: Care) -> None:
        """See consumer.Sink."""
        topic, received, received_ms = self._logical[partition.topic], time.monotonic(), now_ms()
        sources = [
            Source(
                topic, partition.partition, r.offset, r.key, r.value, r.headers, ledger, received_ms, received, care,
                partition.topic,
            )
            for r in records
        ]  # fmt: skip
        await self.pipeline.accept(sources)

    async def settle(self, timeout_s: float) -> bool:
        """See consumer.Sink."""
        return await self.pipeline.settle(timeout_s)

    # -- readiness ----------------------------------------------------------------------------------------------------

    def ready(self) -> dict[str, bool]:
        """What readiness needs, and whether it is there."""
        started = self._work is not None
        parts = {
            "warmed_up": self._warm,
            "joined_group": started and self.consumption.joined,
            "control_read": started and self._control.caught_up.is_set(),
            "publisher": started and self._publisher.working,
            "running": started and self._work is not None and not self._work.done(),
        }
        self.metrics.ready.set(all(parts.values()))
        return parts

    def alive(self) -> bool:
        """Whether no model call is stuck."""
        return self._work is None or self._parts.threads.longest()[1] < self.settings.stall_s

    # -- running ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await warm_up(self._parts, self.settings)
            tune_interpreter()
            self._warm = True
            await _connected(self._publisher.start)
            await _connected(self._admin.start)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._control.run())
                group.create_task(self._auditor.run())
                group.create_task(self._watch())
                await self._control.caught_up.wait()
                await self._take_up(self.board.snapshot(now_ms()))
                group.create_task(self._follow_control())
                group.create_task(self.pipeline.run())
                await self.consumption.start()
                group.create_task(self.consumption.run())
                group.create_task(self._commit())
                log.info("worker_started", group=self.settings.kafka_group, modalities=self.settings.only)
        except BaseExceptionGroup as group_error:
            self._fail(_first(group_error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the process must end without committing
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the process without committing: whatever had not ended is read again."""
        if isinstance(error, asyncio.CancelledError):
            return
        self.failure = error
        log.critical("worker_failed", error=type(error).__name__, advice=_advice(error), exc_info=error)
        signal.raise_signal(signal.SIGTERM)  # the one public way to stop a Faust worker from inside

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(self.settings.kafka_commit_interval_s)
            await self.consumption.commit()
            for tp in self._consumer.assignment():
                end = self._consumer.highwater(tp)
                if end is not None:
                    lag = max(0, end - (await self._consumer.position(tp)))
                    self.metrics.lag.labels(self._logical.get(tp.topic, tp.topic), str(tp.partition)).set(lag)

    async def _follow_control(self) -> None:
        """Take up what control asks for beside the next batch's snapshot: versions of models, budgets to show."""
        known, tried = self.board.snapshot(now_ms()), time.monotonic()
        while True:
            await asyncio.sleep(_VERSIONS_EVERY_S)
            control = self.board.snapshot(now_ms())
            again = self._parts.shelf.absent and time.monotonic() - tried > _VERSIONS_AGAIN_S
            if control is not known or again:
                await self._take_up(control)
                known, tried = control, time.monotonic()

    async def _take_up(self, control: Control) -> None:
        budgets = {unit: policy.budget for unit, policy in control.policies.items() if policy.budget is not None}
        self.metrics.note_budgets(budgets)
        if control.switches or self._parts.shelf.absent:
            await asyncio.to_thread(self._parts.shelf.load, control)
            self.metrics.versions_absent.set(len(self._parts.shelf.absent))

    def shadow(self) -> dict[str, Any] | None:
        """What a candidate that scores along has shown so far."""
        return self._shadow.report()

    async def _watch(self) -> None:
        """A model call that never returns holds its thread for good: only a new process helps."""
        while True:
            await asyncio.sleep(min(1.0, self.settings.stall_s / 4))
            name, seconds = self._parts.threads.longest()
            if seconds > self.settings.stall_s:
                log.critical("stalled", thread=name, seconds=round(seconds, 1), note="exiting; records come again")
                with suppress(Exception):  # it only makes the next worker's search shorter
                    async with asyncio.timeout(_LAST_COMMIT_S):
                        await self._blame(name)
                os._exit(EXIT_STALLED)

    async def _blame(self, thread: str) -> None:
        suspects = [
            (TopicPartition(source.full_topic, source.partition), source.offset)
            for source in self.pipeline.in_hand(thread)
        ]
        if suspects:
            await self.consumption.blame(suspects)

    async def _committed(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
        found = await self._admin.list_consumer_group_offsets(self.settings.kafka_group, partitions=partitions)
        return dict(found)

    async def _refold(self, context: Any, records: Any) -> None:
        control = self.board.snapshot(now_ms())
        refold = functools.partial(self._parts.decider.refold, context, records, control)
        await self._parts.threads.run("decide", refold)

    def _settle(self, sources: Iterable[Source]) -> None:
        self.pipeline.settle_now(sources)


async def _connected(start: Callable[[], Awaitable[Any]]) -> None:
    """Start a Kafka client; a broker that is not there yet is waited for."""
    while True:
        try:
            await start()
        except KafkaConnectionError:
            log.warning("kafka_unreachable", advice="check WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS, and that Kafka runs")
            await asyncio.sleep(2.0)
        else:
            return


def _advice(error: BaseException) -> str:
    """What an operator should do; only errors whose text we wrote are quoted."""
    if isinstance(error, OffsetsGoneError):
        return str(error)
    return "it stays uncommitted: start again; if it comes back, look at the place named in `at`"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure that is not itself a group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run(settings: Settings, *, bundle: Bundle | None = None) -> int:
    """Run one worker until it is told to stop.

    Args:
        settings: Its settings.
        bundle: Models to use instead of the configured ones.

    Returns:
        The exit status: 0 after SIGTERM or SIGINT, 1 after a failure.

    Raises:
        KafkaSettingsError: Settings for Kafka contradict each other.
        WeightsError: A model cannot be loaded.
        ValueError: The image allow-list or the Redis URL is not well formed.
        OffsetsGoneError: Committed offsets no longer exist.
    """
    logs.configure(settings)
    for options in (kafka_clients.producer_options, kafka_clients.group_consumer_options):
        options(settings)  # raises here, in words, what is wrong with them
    metrics = Metrics()
    store = RedisContexts(settings)
    parts = build_parts(settings, store, metrics.count_embedding, bundle)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = WardApp(
        settings.kafka_group, broker=f"kafka://{settings.kafka_bootstrap_servers}", autodiscover=False,
        web_enabled=False, topic_disable_leader=True, topic_allow_declare=False, loop=loop,
        datadir=str(Path(tempfile.gettempdir()) / "wardstream"),  # Faust makes one; nothing of ours lies in it
    )  # fmt: skip
    runner = Runner(settings, store, parts, metrics)
    app.service(runner)
    app.service(
        Web(settings.web_host, settings.web_port, runner.metrics.registry, runner.ready, runner.alive, runner.shadow)
    )
    worker = faust.Worker(app, loop=loop, redirect_stdouts=False, override_logging=False, quiet=True, loglevel=None)
    worker.spinner = None  # at the end of the start it writes escapes to stdout, also where that is no terminal
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        status = int(end.code or 0)
    if isinstance(runner.failure, OffsetsGoneError):
        raise runner.failure  # for the command line to say
    return 1 if runner.failure is not None else status
