"""`python -m bench`: runs sections one after the other, shows progress on stderr and the report on stdout."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bench import latency, memory, null_model, process, report, shares, stages, throughput
from bench.plan import Plan, Progress
from bench.report import Section
from bench.site import BrokerName, Site
from workers.cli.errors import UserError, explain

SECTIONS: Final = ("null", "vitals", "stages", "models", "latency", "memory")
_BROKERS: Final = ("embedded", "kafka", "auto")

err = Console(stderr=True, highlight=False)


class Run:
    """One run of some sections; what one section measures serves the next ones.

    Args:
        site: Where.
        plan: How much.
        progress: Told what happens.
        profile: Whether section `stages` profiles.
    """

    def __init__(self, site: Site, plan: Plan, progress: Progress, *, profile: bool) -> None:
        self._site, self._plan, self._progress, self._profile = site, plan, progress, profile
        self._vitals: throughput.Throughput | None = None

    def section(self, name: str) -> Section:
        """Measure one section."""
        site, plan = self._site, self._plan

        def progress(text: str) -> None:
            self._progress(f"{name}: {text}")

        if name == "null":
            return null_model.measure(site, plan, progress)
        if name == "vitals":
            return throughput.section(plan, self._throughput(progress))
        if name == "stages":
            found, text = stages.measure(plan, site.place(), progress, profile=self._profile)
            if text:
                err.print(text, markup=False)
            return found
        if name == "models":
            offline = shares.measure_offline(plan, progress)
            served = {
                "vitals": self._throughput(progress),
                "notes": throughput.measure_notes(site, plan, progress),
                "imaging": throughput.measure_images(site, plan, progress),
            }
            return shares.section(plan, offline, served)
        if name == "latency":
            full = self._throughput(progress).per_second if plan.rate is None else 0.0
            return latency.measure(site, plan, full, progress)
        return memory.measure(site, plan, progress)

    def _throughput(self, progress: Progress) -> throughput.Throughput:
        if self._vitals is None:
            self._vitals = throughput.measure_vitals(self._site, self._plan, progress)
        return self._vitals


def bench(
    *,
    only: Annotated[
        str, typer.Option(help=f"Sections to run, comma-separated: {', '.join(SECTIONS)}. All by default.")
    ] = "",
    broker: Annotated[
        str, typer.Option(help="embedded, kafka (Apache Kafka; needs Java and Maven), or auto: kafka where it can run.")
    ] = "embedded",
    scale: Annotated[
        float, typer.Option(help="Amounts and durations, times this; 0.1 shows in a minute that all works.")
    ] = 1.0,
    memory_records: Annotated[
        int, typer.Option(min=1000, help="Records of section memory; 1000000 measures what else is extrapolated.")
    ] = 200_000,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Records a second of section latency; half the throughput by default.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Section stages: profile deciding, on stderr.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for latest.md and latest.json.")] = report.RESULTS,
) -> None:
    """Measure throughput, cost, latency and memory on this machine, alone on it. Leaves nothing running.

    Example:  python -m bench --only vitals,latency --broker kafka
    """
    names = _names(only)
    if broker not in _BROKERS:
        raise UserError(f"--broker is one of {', '.join(_BROKERS)}")
    try:
        plan = Plan.scaled(scale, memory_records=memory_records, rate=rate)
    except ValueError as error:
        raise UserError(str(error)) from None
    load_before, began = process.busy_cores(), time.monotonic()
    if load_before > report.BUSY:
        err.print(f"the machine is busy (load {load_before:.1f}): the figures will be noisy, and the report says so")
    command = "python -m bench " + shlex.join(sys.argv[1:]) if sys.argv[1:] else "python -m bench"
    found: list[Section] = []
    with _bar(len(names)) as (tell, advance), Site(cast("BrokerName", broker)) as site:
        where = report.circumstances(command, site.broker, load_before)
        run = Run(site, plan, tell, profile=profile)
        for name in names:
            found.append(run.section(name))
            advance()
    text = report.markdown(where, found, time.monotonic() - began)
    report.write(results, where, found, text)
    sys.stdout.write(text)


def _names(only: str) -> list[str]:
    """Sections in the order in which they run."""
    asked = [name.strip() for name in only.split(",") if name.strip()]
    unknown = sorted(set(asked) - set(SECTIONS))
    if unknown:
        raise UserError(f"there is no section {', '.join(unknown)}; sections are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if not asked or name in asked]


@contextmanager
def _bar(total: int) -> Iterator[tuple[Progress, Callable[[], None]]]:
    """A bar on a terminal, lines elsewhere: how to say what happens, and how to count a section as done."""
    bar = Bar(
        SpinnerColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), console=err,
        disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("starting servers", total=total)

        def tell(text: str) -> None:
            if err.is_terminal:
                bar.update(task, description=text)
            else:
                err.print(text, markup=False)

        yield tell, lambda: bar.advance(task)


def main() -> None:
    """Entry point. Every error ends as one line on stderr and a non-zero status."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):  # a stop by `kill` takes the same way out as Ctrl-C
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(bench)
        app(standalone_mode=True)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except (UserError, OSError, RuntimeError) as error:
        err.print(f"bench: {explain(error)}", markup=False, soft_wrap=True)
        sys.exit(1)
