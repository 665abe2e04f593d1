"""The demonstration while it runs: the ward goes in, results come out, the screen follows.

Decides who does what at the same time, and when it is over. Must not know how servers are started.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from rich.console import Console, Group
from rich.live import Live

from topics.catalogue import DEAD_LETTERS, FEEDBACK, RECOMMENDATIONS, full_name
from topics.headers import ERROR_REASON
from workers.cli import cluster, tail
from workers.cli.errors import UserError
from workers.cli.feed import Fed, Pace, feed
from workers.demo import nurse, screen
from workers.demo.board import Board
from workers.demo.figures import Figures, parse
from workers.demo.stage import WorkerProcess
from workers.settings import Settings
from workers.simulate import Record

_FRAME_S: Final = 0.25
_PLAIN_EVERY_S: Final = 5.0
_SCRAPE_EVERY_S: Final = 1.0
_LAST_RESULTS_S: Final = 15.0


class WorkerDiedError(UserError):
    """The worker process ended while the demonstration ran. The message carries the end of its log."""


@dataclass(slots=True)
class Show:
    """One performance.

    Attributes:
        settings: Of producer and consumers.
        worker: The running worker.
        records: The ward.
        pace: When each record is due.
        seconds: How long to feed; None goes on until interrupted.
        console: Where to draw.
        board: What was seen.
        figures: The worker's own, as last read.
        answers: Of the made nurse, not yet written.
    """

    settings: Settings
    worker: WorkerProcess
    records: Iterator[Record]
    pace: Pace
    seconds: float | None
    console: Console
    board: Board = field(default_factory=Board)
    figures: Figures | None = None
    answers: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while every record that was sent has ended."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while every answer that was given has been applied, as far as the worker's figures say."""

    async def run(self) -> None:
        """Play to the end.

        Raises:
            WorkerDiedError: It did.
            KafkaError: The broker failed.
        """
        prefix = self.settings.topic_prefix
        jobs = [
            self._read(full_name(prefix, RECOMMENDATIONS), self._recommendation),
            self._read(full_name(prefix, DEAD_LETTERS), self._dead_letter),
            self._scrape(),
            self._draw(),
            self._answer(),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        main = asyncio.create_task(self._feed_and_wait())
        try:
            await asyncio.wait([main, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, main):
                if task.done():
                    await task
        finally:
            for task in (main, *tasks):
                task.cancel()
            await asyncio.gather(main, *tasks, return_exceptions=True)

    async def _feed_and_wait(self) -> None:
        """Send the ward, then wait a while for the last results."""
        async with cluster.producer(self.settings) as producer:
            await feed(
                producer, self.records, self.pace, self.settings.topic_prefix, seconds=self.seconds, on_sent=self._sent
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_RESULTS_S):
                await self.quiet.wait()
                await self.settled.wait()

    def _sent(self, record: Record, _so_far: Fed) -> None:
        self.board.note_sent(record.event_id, record.at, time.time())
        self.quiet.clear()

    async def _read(self, topic: str, handle: Callable[[Any], None]) -> None:
        async with cluster.reader(self.settings, topic) as consumer:
            async for record in consumer:
                handle(record)
                if not self.board.unanswered:
                    self.quiet.set()

    def _recommendation(self, record: Any) -> None:
        value = orjson.loads(record.value)
        self.board.note_recommendation(value, record.timestamp / 1000, time.time())
        if not self.console.is_terminal and value["alert"]["state"] in {"raise", "clear"}:
            self.console.print(tail.line(value), soft_wrap=True)

        given = nurse.answer(value, datetime.now(UTC))
        if given is not None:
            self.settled.clear()
            self.answers.put_nowait(given)

    async def _answer(self) -> None:
        """Write the made nurse's answers."""
        topic = full_name(self.settings.topic_prefix, FEEDBACK)
        async with cluster.producer(self.settings) as producer:
            while True:
                event = await self.answers.get()
                await producer.send_and_wait(topic, orjson.dumps(event), key=event["patient_id"].encode())
                self.board.answers += 1

    def _dead_letter(self, record: Any) -> None:
        self.board.note_dead_letter(dict(record.headers).get(ERROR_REASON, b"unknown").decode())

    async def _scrape(self) -> None:
        """Keep the worker's figures; a page that does not come leaves the last ones."""
        while True:
            with suppress(OSError):
                self.figures = parse(await asyncio.to_thread(self.worker.metrics))
                if self.answers.empty() and self.figures.applied >= self.board.answers:
                    self.settled.set()
            await asyncio.sleep(_SCRAPE_EVERY_S)

    async def _draw(self) -> None:
        """Follow on the screen; notice a worker that has gone."""
        if not self.console.is_terminal:
            while True:
                for _ in range(int(_PLAIN_EVERY_S / _FRAME_S)):
                    self._check_worker()
                    await asyncio.sleep(_FRAME_S)
                self.console.print(screen.plain(self.board, self.figures, time.time()), soft_wrap=True)
        with Live(console=self.console, auto_refresh=False) as shown:
            try:
                while True:
                    self._check_worker()
                    shown.update(self._screen(), refresh=True)
                    await asyncio.sleep(_FRAME_S)
            finally:
                shown.update(self._screen(), refresh=True)  # what stays on the terminal is the last state

    def _screen(self) -> Group:
        return screen.live(self.board, self.figures, time.time(), self.console.size.height)

    def _check_worker(self) -> None:
        if not self.worker.running:
            raise WorkerDiedError("the worker ended; the last lines of its log are above")
