"""Where measurements take place: a broker, a Redis server, fresh topics for every measurement, and worker processes.

Decides how things are started and that they all end. Must not know what is measured.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import redis
from prometheus_client.parser import text_string_to_metric_families

from bench import process
from workers.cli.errors import UserError
from workers.cli.topics import apply_topics
from workers.demo.stage import WorkerProcess
from workers.embedded import EmbeddedBroker, EmbeddedError, EmbeddedRedis, ServerProcess, free_port
from workers.settings import Settings

BrokerName = Literal["embedded", "kafka", "auto"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment.

    Attributes:
        at: Monotonic seconds.
        results: Records that have ended since its start.
        batches: Micro-batches that have begun.
        cpu_s: Its CPU seconds.
    """

    at: float
    results: int
    batches: int
    cpu_s: float


class Place:
    """Topics, group and settings of one measurement; nothing of another is seen in them.

    Attributes:
        settings: For this process.
        changes: The same as text, for a worker's environment.
    """

    def __init__(self, changes: dict[str, str]) -> None:
        name = f"bench-{secrets.token_hex(4)}"
        self.changes = changes | {"kafka_group": name, "topic_prefix": f"{name}.", "web_port": str(free_port())}
        self.settings = Settings(**self.changes)  # type: ignore[arg-type]  # pydantic reads text

    @contextmanager
    def worker(self, *only: str) -> Iterator[Worker]:
        """A worker process, ready inside the block, gone after it."""
        running = Worker(self.changes | {"only": ",".join(only)})
        try:
            try:
                running.start()
            except EmbeddedError as error:
                raise UserError(f"{error}\n{running.last_lines()}") from error
            yield running
        finally:
            running.close()


class Worker(WorkerProcess):
    """A worker that can be asked how far it is."""

    def sample(self) -> Sample:
        """How far it is now."""
        assert self.pid is not None, self.last_lines()
        counts = dict.fromkeys(("wardstream_records_total", "wardstream_batch_records_count"), 0)
        for family in text_string_to_metric_families(self.metrics()):
            for each in family.samples:
                if each.name in counts:
                    counts[each.name] += int(each.value)
        results, batches = counts.values()
        return Sample(time.monotonic(), results, batches, process.cpu_s(self.pid))

    def run_through(self, count: int, *, pause_s: float = 0.5, patience_s: float = 60.0) -> list[Sample]:
        """Wait until `count` records have ended; what was seen on the way.

        Raises:
            UserError: It ended, or made no progress for `patience_s`.
        """
        samples = [self.sample()]
        moved = time.monotonic()
        while samples[-1].results < count:
            time.sleep(pause_s)
            if not self.running:
                raise UserError(f"the worker ended with status {self.returncode}:\n{self.last_lines()}")
            samples.append(self.sample())
            if samples[-1].results > samples[-2].results:
                moved = time.monotonic()
            elif time.monotonic() - moved > patience_s:
                raise UserError(f"the worker stands still at {samples[-1].results} of {count}:\n{self.last_lines()}")
        return samples


class Site:
    """A broker and a Redis server, up inside the block.

    Args:
        broker: `embedded`, `kafka`, or `auto` for Kafka where Java and Maven are.
    """

    def __init__(self, broker: BrokerName) -> None:
        self._server = _broker(broker)
        self.broker = "embedded (Tansu)" if isinstance(self._server, EmbeddedBroker) else "Apache Kafka"
        self._redis = EmbeddedRedis(max_memory="2gb")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._server)
            stack.enter_context(self._redis)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def place(self, extra_topics: Sequence[str] = ()) -> Place:
        """Fresh topics in an emptied Redis.

        Args:
            extra_topics: Names, without prefix, of topics beside those of the contract.
        """
        with redis.Redis.from_url(self._redis.url) as client:
            client.flushall()
        place = Place(self._changes())
        asyncio.run(_make_topics(place.settings, extra_topics))
        return place

    def _changes(self) -> dict[str, str]:
        embedded = isinstance(self._server, EmbeddedBroker)
        return {
            "kafka_bootstrap_servers": self._server.address,
            "kafka_security_protocol": "PLAINTEXT",
            "kafka_session_timeout_s": "2" if embedded else "6",
            "kafka_fetch_wait_ms": "20",
            "kafka_idempotent_producer": "false" if embedded else "true",
            "redis_url": self._redis.url,
            "identity_key": secrets.token_hex(16),
            "web_host": "127.0.0.1",
            "log_format": "json",
        }


def _broker(name: BrokerName) -> ServerProcess:
    if name == "embedded":
        return EmbeddedBroker()
    try:
        from tests.servers import ApacheKafka
    except ImportError as error:
        raise UserError("--broker kafka needs the repository: run it from a clone, in its root folder") from error
    missing = ApacheKafka.missing()
    if missing is None:
        return ApacheKafka()
    if name == "auto":
        return EmbeddedBroker()
    raise UserError(f"{missing}; install them, or leave --broker out for the embedded broker")


async def _make_topics(settings: Settings, extra: Sequence[str]) -> None:
    from aiokafka.admin import NewTopic

    from workers.cli import cluster

    await apply_topics(settings)
    if extra:
        async with cluster.admin(settings) as client:
            await client.create_topics(
                [NewTopic(settings.topic_prefix + name, settings.topic_partitions, 1) for name in extra]
            )
