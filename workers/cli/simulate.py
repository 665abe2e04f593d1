"""`wardstream simulate`: a made ward goes to Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli.errors import UserError
from workers.cli.moments import moment
from workers.cli.shared import err, load_settings, run
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.simulate import Record, WardPlan


def simulate(
    *,
    patients: Annotated[int, typer.Option(min=1, max=1_000_000, help="Beds.")] = 12,
    hours: Annotated[float, typer.Option(min=0.1, help="Length of every stay, in ward time.")] = 48.0,
    speed: Annotated[float, typer.Option(min=0.001, help="Ward time runs this many times faster.")] = 3600.0,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Records a second, instead of --speed.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so many seconds; new wards follow until then.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed and start, same ward.")] = 1,
    start: Annotated[
        str | None,
        typer.Option(help="Admission of the first patient: RFC 3339, or `now`. Default: so that it ends now."),
    ] = None,
    images: Annotated[
        str, typer.Option(help="`inline`, `none`, or a folder to put films in and send claim checks.")
    ] = "inline",
    poison: Annotated[float, typer.Option(min=0, max=1, help="Unusable records for every good one.")] = 0.003,
) -> None:
    """Send a made ward: courses of vitals that deteriorate or recover, notes, drawn chest films.

    Nobody in it exists. Two in a hundred events come late, some are corrected or retracted, a few values are
    implausible, and a trickle of records cannot be used at all.

    Example:  wardstream simulate --patients 40 --speed 1800

    Load:     wardstream simulate --patients 2000 --rate 1000 --duration 60 --images none
    """
    from workers.cli.feed import Pace, not_ahead_of_clock
    from workers.simulate import WardPlan, ward

    settings = load_settings()
    pace = Pace(speed, rate)
    begins = _start(start, hours)
    not_ahead_of_clock(begins, hours, pace, datetime.now(UTC))
    name = f"made-{seed}-{begins:%Y%m%d%H%M%S}"
    plan = WardPlan(seed, patients, begins, hours, name, poison=poison, images=images != "none")
    keep = keep_in(Path(images)) if images not in {"inline", "none"} else None
    records = wards(plan, keep) if duration is not None else ward(plan, keep)
    send(settings, records, pace, duration)


def _start(text: str | None, hours: float) -> datetime:
    """When the ward begins."""
    now = datetime.now(UTC).replace(microsecond=0)
    if text is None:
        return now - timedelta(hours=hours + 1)  # beds fill over the first hour
    if text == "now":
        return now
    return moment(text, "--start")


def wards(plan: WardPlan, keep: Callable[[str, bytes], str] | None = None) -> Iterator[Record]:
    """One ward after the other, without end: all beds are filled anew, in the same stretch of time."""
    from workers.simulate import ward

    number = 0
    while True:
        number += 1
        yield from ward(replace(plan, seed=plan.seed + number - 1, name=f"{plan.name}-{number}"), keep)


def keep_in(folder: Path) -> Callable[[str, bytes], str]:
    """Keeps films in a folder and names them as file: claim checks.

    Raises:
        UserError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--images {folder}: {error.strerror}") from error
    root = folder.resolve()

    def keep(name: str, data: bytes) -> str:
        path = root / name
        path.write_bytes(data)
        return path.as_uri()

    return keep


def send(settings: Settings, records: Iterator[Record], pace: Any, seconds: float | None) -> None:
    """Feed records to Kafka with a line of progress on stderr."""
    from topics.catalogue import IMAGING, NOTES, VITALS, full_name
    from workers.cli import cluster
    from workers.cli.feed import Fed, feed

    async def go() -> Fed:
        await cluster.require_topics(settings, *(full_name(settings.topic_prefix, t) for t in (VITALS, NOTES, IMAGING)))
        told = time.monotonic()

        def tell(record: Record, so_far: Fed) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= 1:
                told = now
                err.print(f"ward time {record.at:%Y-%m-%d %H:%M}  {so_far.line(now)}")

        async with cluster.producer(settings) as producer:
            return await feed(producer, records, pace, settings.topic_prefix, seconds=seconds, on_sent=tell)

    fed = run(go())
    err.print(f"done: {fed.line(time.monotonic())}")
