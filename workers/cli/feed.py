"""Records go out to Kafka in step with a ward's time or at a fixed rate.

Decides when each record is due and what happens when the broker refuses one. Must not know what is in a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from topics.catalogue import full_name
from workers.cli.errors import UserError
from workers.simulate.record import Record

_PENDING_MAX: Final = 5000
_NAP_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly records are sent.

    Attributes:
        speed: Ward seconds for each second of ours; 3600 makes an hour a second.
        rate: Records a second; replaces `speed`.
    """

    speed: float = 3600.0
    rate: float | None = None


class Timetable:
    """When each record is due, told record by record.

    A record before its predecessor's time begins another ward: its time runs from that predecessor on.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._count = 0
        self._origin: datetime | None = None
        self._base_s = 0.0
        self._last: datetime | None = None
        self._due_s = 0.0

    def due_s(self, at: datetime) -> float:
        """Seconds after the start at which the next record, of ward time `at`, is due."""
        if self._pace.rate is not None:
            self._due_s = self._count / self._pace.rate
            self._count += 1
            return self._due_s
        if self._origin is None or (self._last is not None and at < self._last):
            self._origin, self._base_s = at, self._due_s
        self._last = at
        self._due_s = self._base_s + (at - self._origin).total_seconds() / self._pace.speed
        return self._due_s


@dataclass(slots=True)
class Fed:
    """What has been sent so far."""

    records: int = 0
    value_bytes: int = 0
    started: float = 0.0

    def line(self, now: float) -> str:
        """For people."""
        rate = self.records / max(now - self.started, 1e-6)
        return f"{self.records} records sent, {self.value_bytes / 2**20:.1f} MiB, {rate:.0f}/s"


async def feed(
    producer: Any,
    records: Iterable[Record],
    pace: Pace,
    prefix: str,
    *,
    seconds: float | None = None,
    on_sent: Callable[[Record, Fed], None] | None = None,
) -> Fed:
    """Send records in order, each when it is due, and wait until all are acknowledged.

    Args:
        producer: A started `AIOKafkaProducer`.
        records: In order of arrival; may be endless when `seconds` is given.
        pace: When each is due.
        prefix: Put before topic names.
        seconds: Stop after this long.
        on_sent: Called as each record is handed over.

    Raises:
        KafkaError: The broker refused a record; what came before it may have been delivered.
    """
    done = Fed(started=time.monotonic())
    timetable = Timetable(pace)
    pending: set[asyncio.Future[Any]] = set()
    failed: list[BaseException] = []

    def settled(future: asyncio.Future[Any]) -> None:
        pending.discard(future)
        if not future.cancelled() and (error := future.exception()):
            failed.append(error)

    for record in records:
        due = done.started + timetable.due_s(record.at)
        end = None if seconds is None else done.started + seconds
        if end is not None and max(due, time.monotonic()) >= end:
            break
        if len(pending) >= _PENDING_MAX:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if (wait := due - time.monotonic()) > _NAP_S:
            await asyncio.sleep(wait)
        if failed:
            raise failed[0]
        value = record.value
        future = await producer.send(full_name(prefix, record.topic), key=record.key, value=value)
        pending.add(future)
        future.add_done_callback(settled)
        done.records += 1
        done.value_bytes += len(value or b"")
        if on_sent:
            on_sent(record, done)
    await producer.flush()
    await asyncio.gather(*pending, return_exceptions=True)
    if failed:
        raise failed[0]
    return done


def not_ahead_of_clock(start: datetime, hours: float, pace: Pace, now: datetime) -> None:
    """Refuse a plan whose event times would overtake the clock; workers dead-letter such events.

    Raises:
        UserError: Says which start would do.
    """
    ward_s = hours * 3600
    takes_s = 0.0 if pace.rate is not None else ward_s / pace.speed
    ahead_s = (start - now).total_seconds() + ward_s - takes_s
    if ahead_s > 240:
        raise UserError(
            f"event times would run {ahead_s / 3600:.1f} h ahead of the clock, and workers refuse the future: "
            "choose an earlier --start, fewer --hours, or --speed 1"
        )
