"""Section `memory`: how much a worker holds, and whether it grows with what it has seen."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from bench import process
from bench.events import Load, vitals
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.schedule import growth_per_million
from bench.site import Site, Worker
from bench.traffic import fill
from topics.catalogue import VITALS
from workers.cli.errors import UserError

_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5
_MIB: Final = 2**20
_ASKED: Final = 1_000_000


def measure(site: Site, plan: Plan, progress: Progress) -> Section:
    """Resident memory of a worker while it works through many records."""
    place = site.place()
    settings = place.settings
    load = Load(plan.memory_records, plan.patients, int(time.time() * 1000))
    progress(f"filling a topic with {load.events} records")
    records = ((load.partition(n, settings.topic_partitions), *each) for n, each in enumerate(vitals(load)))
    asyncio.run(fill(settings, VITALS, records))
    progress("starting a worker")
    with place.worker("vitals") as worker:
        samples = _follow(worker, load.events, progress)
    return _section(plan, samples)


def _follow(worker: Worker, count: int, progress: Progress) -> list[tuple[int, int]]:
    """(records, resident bytes) until all records have ended."""
    samples: list[tuple[int, int]] = []
    moved = time.monotonic()
    while True:
        if worker.pid is None:
            raise UserError(f"the worker ended with status {worker.returncode}:\n{worker.last_lines()}")
        done = worker.sample().results
        samples.append((done, process.rss_bytes(worker.pid)))
        if done >= count:
            return samples
        if len(samples) < 2 or done > samples[-2][0]:
            moved = time.monotonic()
        elif time.monotonic() - moved > _PATIENCE_S:
            raise UserError(f"the worker stands still at {done} of {count}:\n{worker.last_lines()}")
        progress(f"{done} of {count} records, {samples[-1][1] / _MIB:.0f} MiB")
        time.sleep(_PAUSE_S)


def _section(plan: Plan, samples: list[tuple[int, int]]) -> Section:
    """Growth is taken from the second half: in the first one, buffers and caches still fill."""
    count, last = samples[-1]
    later = [(done, size) for done, size in samples if done >= count / 2]
    growth = growth_per_million(later)
    rows = [
        ("ready, before the first record", number(samples[0][1] / _MIB)),
        (f"after {count} records", number(last / _MIB)),
        ("highest seen", number(max(size for _, size in samples) / _MIB)),
        ("growth a million records, second half", number(growth / _MIB)),
    ]
    notes = [f"Resident memory of one worker, `--only vitals`, {plan.patients} patients."]
    expected = last + growth * max(0, _ASKED - count) / 1e6
    if count < _ASKED:
        rows.append(("after 1 000 000 records, extrapolated", number(expected / _MIB)))
        notes.append(
            f"Only {count} records were run: the last line is arithmetic on the growth above, not a measurement. "
            "`--memory-records 1000000` measures it (the embedded broker then needs 6 GB of memory)."
        )
    figures = {"samples": samples, "growth_bytes_a_million": growth, "extrapolated": count < _ASKED}
    return Section("memory", "Memory of a worker", ("", "MiB"), rows, figures, notes)
