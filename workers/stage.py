"""A stage of the pipeline: the micro-batcher's clock and its running batches, and the lanes that settings ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS
from workers.batcher import Batch, LaneSettings, MicroBatcher
from workers.metrics import Metrics
from workers.records import Record
from workers.settings import Settings
from workers.slow_start import Care

_ALONE: Final = 1e9  # the cost of a record that must not share its batch


class Stage:
    """A micro-batcher and the batches that are under way.

    Args:
        batcher: Lanes.
        depth: Batches under way at most.
    """

    def __init__(self, batcher: MicroBatcher[Record], depth: int, metrics: Metrics) -> None:
        self.batcher = batcher
        self.running = 0
        self.turn = asyncio.Event()  # set when the last batch begun has handed on its records
        self.turn.set()
        self._depth = depth
        self._metrics = metrics
        self._awake = asyncio.Event()

    def add(self, record: Record) -> None:
        """Queue a record in its topic's lane."""
        size = len(record.source.value or b"")
        cost = _ALONE if record.source.care >= Care.ALONE else 1.0
        lane, now = record.source.topic, time.monotonic()
        self.batcher.add(lane, record, record.patient, now, cost=cost, size=size)
        self._awake.set()

    @property
    def busy(self) -> bool:
        """Whether anything is queued or under way."""
        return self.running > 0 or self.batcher.waiting

    def wake(self) -> None:
        """Look again whether a batch can start."""
        self._awake.set()

    async def serve(self, handle: Callable[[Batch[Record]], Coroutine[Any, Any, None]]) -> None:
        """Start batches as the batcher says, until cancelled; a batch that fails for good ends the stage."""
        async with asyncio.TaskGroup() as group:
            while True:
                now = time.monotonic()
                free = self.running < self._depth
                batch = self.batcher.take(now, running=self.running) if free else None
                if batch is not None:
                    self.running += 1
                    group.create_task(self._handle(batch, handle))
                    continue
                deadline = self.batcher.deadline() if free else None
                await self._sleep(None if deadline is None else max(0.0005, deadline - now))

    async def _handle(self, batch: Batch[Record], handle: Callable[[Batch[Record]], Awaitable[None]]) -> None:
        started = time.monotonic()
        self._metrics.batch.labels(batch.lane).observe(len(batch.items))
        self._metrics.dispatch.labels(batch.lane, batch.why).inc()
        try:
            await handle(batch)
        finally:
            self.running -= 1
            self.batcher.release(batch)
            self.batcher.observe(batch, time.monotonic() - started)
            self._metrics.inflight.labels(batch.lane).set(self.batcher.held(batch.lane))
            self._awake.set()

    async def _sleep(self, timeout_s: float | None) -> None:
        self._awake.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._awake.wait()
        except TimeoutError:
            pass


def decide_lanes(settings: Settings) -> list[LaneSettings]:
    """Answers before vitals before notes before images; encoded records are small, so their batches may be as large."""
    slack_s = settings.slack_vitals_ms / 1000
    return [
        LaneSettings(
            topic, priority, settings.batch_max_records, slack_s, max_cost=settings.batch_max_records,
            capacity=settings.inflight_max_records, capacity_bytes=settings.inflight_max_bytes,
        )
        for priority, topic in enumerate((FEEDBACK, VITALS, NOTES, IMAGING))
    ]  # fmt: skip


def encode_lanes(settings: Settings) -> list[LaneSettings]:
    """Notes and images, each in a stage of its own."""
    bounds = (
        (NOTES, settings.batch_max_notes, settings.slack_notes_ms),
        (IMAGING, settings.batch_max_images, settings.slack_images_ms),
    )
    return [
        LaneSettings(
            topic, priority, most, slack_ms / 1000, max_cost=most,
            capacity=max(4 * most, settings.inflight_max_records // 8), capacity_bytes=settings.inflight_max_bytes,
        )
        for priority, (topic, most, slack_ms) in enumerate(bounds)
    ]  # fmt: skip
