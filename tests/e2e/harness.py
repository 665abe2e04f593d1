"""A whole system under test: topics, workers under supervisors, made load at a bounded rate, and the verdict.

Used as an async context manager; it leaves no process behind, and shows the workers' logs when the block fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer

from tests.e2e.checker import Input, Place, Verdict, check, unended
from tests.e2e.load import NOTES, VITALS, Planned, digest
from tests.e2e.observer import Observer
from tests.e2e.processes import WORKER, Supervisor, Worker
from tests.servers import Broker, create_topics

PARTITIONS = 3
INPUTS = (VITALS, NOTES, "patient.feedback")
TOPICS = (VITALS, NOTES, "patient.imaging", "patient.recommendations", "patient.feedback", "wardstream.dead-letters")
SINGLE_TOPICS = ("wardstream.control", "wardstream.audit")


class System:
    """One group of workers on topics of its own.

    Args:
        broker: Running broker.
        redis_url: Running Redis-protocol server.
        prefix: Of every topic name; also names the group and, as `run`, the state in Redis.
        folder: For logs.
        settings: More WARDSTREAM_ variables for every worker.
        command: The worker's program and arguments.
        replicas: Nodes that hold a topic, by its name; both must be there for a record to be accepted.
    """

    def __init__(
        self, broker: Broker, redis_url: str, prefix: str, folder: Path, *,
        settings: Mapping[str, str] | None = None, command: Sequence[str] = WORKER,
        replicas: Mapping[str, Sequence[int]] | None = None,
    ) -> None:  # fmt: skip
        self.broker, self.prefix, self.folder, self.group = broker, prefix, folder, prefix.rstrip(".")
        self.inputs: list[Input] = []
        self.planned: list[Planned] = []
        self.supervisors: list[Supervisor] = []
        self._command, self._replicas = command, replicas
        self._feeds: list[asyncio.Task[None]] = []
        self.settings = {
            **broker.worker_environment(),
            "WARDSTREAM_REDIS_URL": redis_url,
            "WARDSTREAM_TOPIC_PREFIX": prefix,
            "WARDSTREAM_KAFKA_GROUP": self.group,
            "WARDSTREAM_RUN": self.group,
            "WARDSTREAM_DEVICE": "cpu",
            "WARDSTREAM_STALL_S": "8",
            "WARDSTREAM_DRAIN_S": "5",
            "WARDSTREAM_LOG_FORMAT": "json",
            **(settings or {}),
        }

    async def __aenter__(self) -> Self:
        for name in (*TOPICS, *SINGLE_TOPICS):
            nodes = None if self._replicas is None else self._replicas.get(name, [1])
            await create_topics(
                self.broker.bootstrap_servers,
                [f"{self.prefix}{name}"],
                partitions=PARTITIONS if name in TOPICS else 1,
                replicas=nodes,
                configs={"min.insync.replicas": str(len(nodes))} if nodes else None,
            )
        self.observer = await Observer(
            self.broker.bootstrap_servers, self.prefix, self.group, INPUTS, PARTITIONS
        ).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for feed in self._feeds:
            feed.cancel()
        await asyncio.gather(*self._feeds, return_exceptions=True)
        for supervisor in self.supervisors:
            await supervisor.close()
            supervisor.worker.kill()
        await self.observer.close()
        if error is not None:
            for supervisor in self.supervisors:
                print(f"--- {supervisor.worker.folder.name}, exits {supervisor.exits}\n{supervisor.worker.tail()}")

    async def worker(self, *, ready: bool = True, **settings: str) -> Supervisor:
        """Starts a worker under a supervisor."""
        folder = self.folder / f"worker-{len(self.supervisors)}"
        supervisor = Supervisor(Worker(self._command, {**self.settings, **settings}, folder))
        self.supervisors.append(supervisor)
        if ready:
            await supervisor.worker.ready(30.0)
        return supervisor

    def feed(self, records: Iterable[Planned], *, rate: float) -> asyncio.Task[None]:
        """Begins to write records, at most `rate` a second, as fast as the broker acknowledges them."""
        task = asyncio.create_task(self._feed(list(records), rate))
        self._feeds.append(task)
        return task

    async def written(self, count: int, timeout_s: float = 30.0) -> None:
        """Waits until `count` inputs lie in the broker."""
        await self._until(
            lambda: len(self.inputs) >= count, timeout_s, lambda: f"{len(self.inputs)} of {count} written"
        )

    async def published(self, count: int, timeout_s: float = 60.0) -> None:
        """Waits until `count` outputs were read."""
        await self._until(lambda: self.outputs >= count, timeout_s, lambda: f"{self.outputs} of {count} published")

    async def ended(self, timeout_s: float = 60.0) -> None:
        """Waits until all feeds are over and every input has ended. Returns as well when nothing moves any more:
        what is missing is then the verdict's to say."""
        await asyncio.gather(*self._feeds)
        before, since = -1, time.monotonic()
        while time.monotonic() - since < timeout_s:
            left = len(unended(self.inputs, self.observer.recommendations, self.observer.dead_letters))
            if not left:
                return
            if left != before:
                before, since = left, time.monotonic()
            await asyncio.sleep(0.3)

    async def verdict(self) -> Verdict:
        """Reads the outputs to their end and judges the run."""
        await self.observer.catch_up()
        seen = self.observer
        return check(self.inputs, seen.recommendations, seen.dead_letters, seen.samples)

    def reasons_by_kind(self) -> dict[str, set[str]]:
        """Reasons of dead letters by the kind of record that was planned."""
        kinds = {given.place: plan.kind for given, plan in zip(self.inputs, self.planned, strict=True)}
        found: dict[str, set[str]] = {}
        for letter in self.observer.dead_letters:
            found.setdefault(kinds[letter.cause], set()).add(letter.reason)
        return found

    @property
    def outputs(self) -> int:
        """Recommendations and dead letters read so far, repeats included."""
        return len(self.observer.recommendations) + len(self.observer.dead_letters)

    async def _until(self, condition, timeout_s: float, said) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, said()
            for feed in self._feeds:
                if feed.done():
                    feed.result()
            await asyncio.sleep(0.02)

    async def _feed(self, records: list[Planned], rate: float) -> None:
        idempotent = self.broker.kind == "kafka"  # a broker that comes back must not get a chunk twice
        async with AIOKafkaProducer(
            bootstrap_servers=self.broker.bootstrap_servers, acks="all", enable_idempotence=idempotent
        ) as producer:
            step = max(1, int(rate / 20))
            due = time.monotonic()
            for begin in range(0, len(records), step):
                chunk = records[begin : begin + step]
                sent = [await producer.send(self.prefix + plan.topic, plan.value, key=plan.key) for plan in chunk]
                for plan, metadata in zip(chunk, [await one for one in sent], strict=True):
                    place = Place(plan.topic, metadata.partition, metadata.offset)
                    whole = digest(plan.key, plan.value)
                    self.planned.append(plan)
                    self.inputs.append(Input(place, plan.patient, plan.event_id, whole, plan.expect))
                due += step / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
