"""When records are sent, and what happens when the broker refuses one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from workers.cli.errors import UserError
from workers.cli.feed import Fed, Pace, Timetable, feed, not_ahead_of_clock
from workers.simulate import Record

START = datetime(2026, 3, 1, tzinfo=UTC)


def record(number: int) -> Record:
    return Record(START + timedelta(seconds=number), "patient.vitals", b"p", b"{}", f"e{number}")


class Broker:
    """Takes records like a producer; refuses the one with the given number."""

    def __init__(self, refuses: int | None = None) -> None:
        self.taken: list[tuple[str, bytes | None, bytes | None]] = []
        self._refuses = refuses

    async def send(self, topic: str, *, key: bytes | None, value: bytes | None) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self.taken) == self._refuses:
            future.set_exception(MessageSizeTooLargeError())
        else:
            future.set_result(None)
        self.taken.append((topic, key, value))
        return future

    async def flush(self) -> None:
        """Nothing waits here."""


def test_ward_time_is_divided_by_the_speed():
    timetable = Timetable(Pace(speed=3600))
    assert [timetable.due_s(START + timedelta(hours=h)) for h in (0, 1, 3)] == [0, 1, 3]


def test_a_rate_spaces_records_evenly_whatever_their_time():
    timetable = Timetable(Pace(rate=10))
    assert [timetable.due_s(START) for _ in range(3)] == pytest.approx([0, 0.1, 0.2])


def test_the_next_ward_begins_when_the_one_before_it_ended():
    timetable = Timetable(Pace(speed=3600))
    hours = [0, 2, 0, 1, 2, 0, 1]
    assert [timetable.due_s(START + timedelta(hours=h)) for h in hours] == [0, 2, 2, 3, 4, 4, 5]


async def test_records_go_out_in_order_under_the_prefix():
    broker, seen = Broker(), []
    done = await feed(
        broker, [record(n) for n in range(3)], Pace(rate=1e6), "x.", on_sent=lambda each, _: seen.append(each.event_id)
    )
    assert broker.taken == [("x.patient.vitals", b"p", b"{}")] * 3
    assert seen == ["e0", "e1", "e2"]
    assert done.records == 3


async def test_a_refused_record_ends_the_feed_with_its_error():
    with pytest.raises(MessageSizeTooLargeError):
        await feed(Broker(refuses=2), [record(n) for n in range(3)], Pace(rate=1e6), "")


async def test_a_feed_ends_before_the_first_record_that_is_due_too_late():
    done = await feed(Broker(), [record(0), record(3600)], Pace(speed=1), "", seconds=0.5)
    assert done.records == 1


def test_progress_says_rate_and_size():
    assert Fed(records=100, value_bytes=2**20, started=0).line(10) == "100 records sent, 1.0 MiB, 10/s"


def test_a_ward_that_would_overtake_the_clock_is_refused():
    with pytest.raises(UserError, match=r"48\.0 h ahead"):
        not_ahead_of_clock(START, 48, Pace(speed=3600), START)


@pytest.mark.parametrize(("start", "speed"), [(START, 1.0), (START - timedelta(hours=48), 3600.0)])
def test_a_ward_in_real_time_or_in_the_past_is_not(start, speed):
    assert not_ahead_of_clock(start, 48, Pace(speed=speed), START) is None
