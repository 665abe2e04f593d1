"""Stand-ins for what the worker talks to. Each keeps the contract of the real thing; tests script its failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from models.columns import COLUMNS
from workers.stores import MemoryContexts, StoreUnavailableError


class FakeStore(MemoryContexts):
    """A context store that can be away, lose answers, lose its keys, and have other writers.

    Attributes:
        away: Every call fails.
        lose_answers: That many writes are done but their answer never comes.
        delay: The next write is not done in time; a test may do what is in `delayed` later.
        before_write: Called before each write with its keys: where a test lets somebody else be quicker.
        calls: Names of the calls that were answered or failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.lose_answers = 0
        self.delay = False
        self.delayed: list[tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]] = []
        self.before_write: Callable[[Sequence[bytes]], Awaitable[None]] | None = None
        self.calls: list[str] = []

    async def read(self, keys: Sequence[bytes], held: Mapping[bytes, bytes] | None = None, /) -> list[bytes | None]:
        self._asked("read")
        return await super().read(keys, held or {})

    async def compare_and_set(
        self, keys: Sequence[bytes], expected: Sequence[bytes], values: Sequence[bytes]
    ) -> list[bool]:
        if self.before_write is not None:
            hook, self.before_write = self.before_write, None
            await hook(keys)
        self._asked("compare_and_set")
        if self.delay:
            self.delay = False
            self.delayed.append((keys, expected, values))
            raise StoreUnavailableError("TimeoutError")
        won = await super().compare_and_set(keys, expected, values)
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreUnavailableError("TimeoutError")
        return won

    async def read_embeddings(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._asked("read_embeddings")
        return await super().read_embeddings(keys)

    async def write_embeddings(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self._asked("write_embeddings")
        await super().write_embeddings(keys, values)

    def _asked(self, name: str) -> None:
        self.calls.append(name)
        if self.away:
            raise StoreUnavailableError("ConnectionError")


class FakeBatch:
    """A producer's batch that holds `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.records: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]] = []

    def append(self, *, key: bytes | None, value: bytes | None, headers: list, timestamp: None) -> object | None:
        size = len(key or b"") + len(value or b"") + sum(len(name) + len(text) for name, text in headers)
        if size > self._left:
            return None
        self._left -= size
        self.records.append((key, value, tuple(headers)))
        return object()

    def record_count(self) -> int:
        return len(self.records)


class FakeProducer:
    """AIOKafkaProducer as the publisher uses it: batches in, one future each.

    Attributes:
        script: The fate of the next batches: an exception, or None for acknowledged. Afterwards all are acknowledged.
        broker_limit: Bytes of the values of a batch that the broker admits.
        log: (topic, partition, value) as they lie in the topic.
    """

    def __init__(
        self, script: Sequence[Exception | None] = (), *, partitions: int = 4, limit: int = 1000,
        broker_limit: int = 10**9, too_large: type[Exception] = ValueError,
    ) -> None:  # fmt: skip
        self.script = list(script)
        self.broker_limit = broker_limit
        self.log: list[tuple[str, int, bytes | None]] = []
        self.attempts = 0
        self.started = self.stopped = False
        self._partitions, self._limit, self._too_large = partitions, limit, too_large

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.stopped = True

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self._partitions))

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self._limit)

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> Awaitable[None]:
        self.attempts += 1
        fate = self.script.pop(0) if self.script else None
        if fate is None and sum(len(value or b"") for _, value, _ in batch.records) > self.broker_limit:
            fate = self._too_large()
        if fate is None:
            self.log += [(topic, partition, value) for _, value, _ in batch.records]

        async def answer() -> None:
            if fate is not None:
                raise fate

        return answer()

    def values(self) -> list[bytes | None]:
        return [value for _, _, value in self.log]


class FakeRecurrence:
    """A recurrence in which order, gaps, carried values and age all leave a trace: h' = 0.7 h + W x."""

    hidden = 8

    def __init__(self, digest: int = 77, seed: int = 1) -> None:
        draw = np.random.default_rng(seed)
        self.digest = digest
        self.steps = 0
        self._weights = draw.normal(0, 0.1, (4 * len(COLUMNS) + 3, self.hidden)).astype(np.float32)

    def step(self, h, values, carried, gap_h, static):
        self.steps += len(h)
        x = np.nan_to_num(
            np.concatenate([values / 100, ~np.isnan(values), carried / 100, np.tanh(gap_h), static / 100], axis=1)
        )
        return (0.7 * h + np.tanh(x.astype(np.float32) @ self._weights)).astype(np.float32)

    def explain(self, h, values, carried, gap_h, static, first=None):
        return self.step(h, values, carried, gap_h, static), np.nan_to_num(values[:first] / 100).astype(np.float32)
