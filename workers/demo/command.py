"""`wardstream demo`: everything on this machine for a minute, then nothing left."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workers.cli.shared import err, out

if TYPE_CHECKING:
    from workers.cli.feed import Pace
    from workers.demo.show import Show
    from workers.simulate import Record

HOURS: Final = 36.0
COURSES: Final = ("sepsis", "respiratory", "stable", "recovering", "post_op", "copd")
"""The first beds: one of each, so that the shortest demonstration shows them all."""
ATTACH: Final = "to work on this stage from another shell while it runs (the key is random and for this run only):"


def demo(
    *,
    seconds: Annotated[float, typer.Option(min=5, help="How long the ward runs.")] = 60.0,
    forever: Annotated[bool, typer.Option("--forever", help="Go on, ward after ward, until Ctrl-C.")] = False,
    patients: Annotated[int, typer.Option(min=1, max=5000, help="Beds.")] = 24,
    data: Annotated[
        Path | None, typer.Option(help="Replay real sets from this folder (see `wardstream replay --help`).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same ward.")] = 1,
) -> None:
    """Show a ward on this machine: embedded Kafka and Redis, one worker, live results. Leaves nothing behind.

    A day and a half of a ward passes in a minute: vital signs, notes and chest films of patients who deteriorate,
    recover or stay well, two in a hundred events late, some corrected, some records unusable.

    Example:  wardstream demo

    Longer:   wardstream demo --forever --patients 60

    It prints its addresses as export lines: a stack to try `wardstream tail`, `control` and `answer` on.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    # A stop by `kill` or a closing terminal takes the same way out as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    shows: list[Show] = []
    try:
        _perform(shows, None if forever else seconds, seconds, patients, data, seed)
    except KeyboardInterrupt:
        err.print("interrupted")
    if shows:
        _summarise(shows[0], time.monotonic() - began)


def _perform(
    shows: list[Show], limit_s: float | None, seconds: float, patients: int, data: Path | None, seed: int
) -> None:
    """Set the stage, play, and clear it. The show is put into `shows` as soon as it begins."""
    from workers.cli.topics import apply_topics
    from workers.demo.show import Show
    from workers.demo.stage import WorkerProcess, demo_settings, exports, stage_settings
    from workers.embedded import EmbeddedBroker, EmbeddedError, EmbeddedRedis

    with ExitStack() as stack:
        films = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wardstream-films-")))
        records, pace = _programme(patients, seconds, data, seed, films)
        with _step("starting an embedded Kafka broker and Redis server"):
            broker, redis = stack.enter_context(EmbeddedBroker()), stack.enter_context(EmbeddedRedis())
        changes = stage_settings(broker, redis, films)
        settings = demo_settings(changes)
        with _step("creating topics"):
            asyncio.run(apply_topics(settings))
        worker = WorkerProcess(changes)
        with _step("starting a worker: loading models, joining the group, warming up"):
            stack.callback(worker.close)
            try:
                worker.start()
            except EmbeddedError:
                err.print(worker.last_lines(), markup=False)
                raise
        out.print(f"{ATTACH}\n{exports(settings)}", soft_wrap=True, markup=False)
        show = Show(settings, worker, records, pace, limit_s, out)
        shows.append(show)
        try:
            asyncio.run(show.run())
        except Exception:
            err.print(worker.last_lines(), markup=False)
            raise


def _programme(
    patients: int, seconds: float, data: Path | None, seed: int, films: Path
) -> tuple[Iterator[Record], Pace]:
    """What is played, and how quickly."""
    from workers.cli.feed import Pace
    from workers.cli.simulate import keep_in, wards
    from workers.simulate import WardPlan

    if data is not None:
        return _real_programme(patients, seconds, data, seed, films)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=HOURS + 1)
    plan = WardPlan(seed, patients, start, HOURS, "bed", courses=COURSES, poison=0.006)
    return wards(plan, keep_in(films)), Pace(HOURS * 3600 / seconds)


def _real_programme(patients: int, seconds: float, data: Path, seed: int, films: Path) -> tuple[Iterator[Record], Pace]:
    """Real sets instead."""
    from workers.cli.feed import Pace
    from workers.cli.paired_ward import NOTICE, load_stays, paired_ward
    from workers.cli.replay import latest_start
    from workers.cli.simulate import keep_in
    from workers.datasets.folder import data_folder

    stays, missing = load_stays(data_folder(data), patients, seed)
    for line in (NOTICE, *missing):
        err.print(line, soft_wrap=True)
    # The last hours: there the patients of the set who fall ill do so.
    stays = [replace(stay, hours=stay.hours[-int(HOURS) :]) for stay in stays]
    start = latest_start(HOURS)
    return paired_ward(stays, start=start, name="paired", keep_image=keep_in(films)), Pace(HOURS * 3600 / seconds)


def _step(text: str) -> Any:
    """A spinner on a terminal, a line elsewhere."""
    if err.is_terminal:
        return err.status(text)
    err.print(text)
    return nullcontext()


def _summarise(show: Show, seconds: float) -> None:
    from workers.demo import screen

    out.print(screen.summary(show.board, show.figures, time.time(), seconds), soft_wrap=True, markup=False)
    sys.stdout.flush()
