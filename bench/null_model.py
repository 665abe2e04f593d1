"""Section `null`: ingest to publish without a model, our parts against a stock Faust agent."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

import workers
from bench.events import Load, vitals
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.site import Place, Site
from bench.traffic import fill
from topics.catalogue import VITALS, full_name
from workers.cli.errors import UserError
from workers.embedded import ServerProcess

TARGETS: Final = ("null.ours", "null.faust")
_PATIENTS: Final = 2000
_PATIENCE_S: Final = 180.0


class Contender(ServerProcess):
    """One of the two programs, as a process that ends by itself and prints what it did."""

    name = "null"

    def __init__(self, module: str, place: Place, group: str, arguments: list[str]) -> None:
        super().__init__()
        self._command = [sys.executable, "-m", module, *arguments]
        self._changes = place.changes | {"kafka_group": group}

    def command(self) -> list[str]:
        """See `ServerProcess.command`."""
        return self._command

    def environment(self) -> Mapping[str, str]:
        """See `ServerProcess.environment`."""
        home = str(Path(workers.__file__).resolve().parent.parent)
        ours = {f"WARDSTREAM_{name.upper()}": value for name, value in self._changes.items()}
        return {**os.environ, "PYTHONPATH": home, **ours}

    def answers(self) -> bool:
        """See `ServerProcess.answers`; nobody asks it."""
        return self.running

    def rate(self) -> float:
        """Runs it to its end; records a second.

        Raises:
            UserError: It failed or did not end.
        """
        self.launch()
        end = time.monotonic() + _PATIENCE_S
        while self.running:
            if time.monotonic() > end:
                raise UserError(f"{self._command[2]} did not end within {_PATIENCE_S:g} s")
            time.sleep(0.1)
        said = self.log.read_text(errors="replace")
        _, mark, found = said.rpartition("RESULT ")
        if self.returncode or not mark:
            last = "\n".join(said.splitlines()[-15:])
            raise UserError(f"{self._command[2]} ended with status {self.returncode}:\n{last}")
        found = orjson.loads(found.splitlines()[0])
        return float(found["records"]) / float(found["seconds"])


def measure(site: Site, plan: Plan, progress: Progress) -> Section:
    """Both contenders in turn on the same records, the best of each."""
    place = site.place(TARGETS)
    settings = place.settings
    load = Load(plan.null_records, _PATIENTS, int(time.time() * 1000))
    progress(f"filling a topic with {load.events} records")
    records = ((load.partition(n, settings.topic_partitions), *each) for n, each in enumerate(vitals(load)))
    asyncio.run(fill(settings, VITALS, records))
    totals = {"bench.null_ours": plan.null_records, "bench.null_faust": plan.null_faust_records}
    rates: dict[str, list[float]] = {module: [] for module in totals}
    for turn in range(plan.repeats):
        for (module, total), target in zip(totals.items(), TARGETS, strict=True):
            progress(f"run {turn + 1} of {plan.repeats}: {module}")
            source, output = (full_name(settings.topic_prefix, name) for name in (VITALS, target))
            program = Contender(module, place, f"{settings.kafka_group}-{turn}-{module}", [source, output, str(total)])
            try:
                rates[module].append(program.rate())
            finally:
                program.close()
    return _section(plan, rates)


def _section(plan: Plan, rates: dict[str, list[float]]) -> Section:
    ours, faust = max(rates["bench.null_ours"]), max(rates["bench.null_faust"])
    return Section(
        "null",
        "Null model, ingest to publish",
        ("program", "records/s", "runs"),
        [
            ("consumption, ledger, batcher, publisher", number(ours), _runs(rates["bench.null_ours"])),
            ("stock Faust agent with take", number(faust), _runs(rates["bench.null_faust"])),
            ("ratio", number(ours / faust), ""),
        ],
        {"ours_per_s": rates["bench.null_ours"], "faust_per_s": rates["bench.null_faust"], "ratio": ours / faust},
        [
            (
                f"Best of {plan.repeats}, in turn, each in its own process on the same full topic: "
                f"{plan.null_records} records for ours, the first {plan.null_faust_records} of them for Faust;"
                " from the first acknowledged batch to the last."
            ),
            (
                "Both: JSON decoded by orjson, batches of up to 256, a small JSON result a record, acks=all, "
                "every delivery awaited before its record counts as done."
            ),
        ],
    )


def _runs(rates: list[float]) -> str:
    return ", ".join(number(rate) for rate in rates)
