"""The commands and how they are found: heavy parts load inside the command that needs them, so that --help is quick."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Annotated, Any

import typer

from workers.cli import (
    answer,
    audit,
    contexts,
    control,
    dead_letters,
    doctor,
    models,
    project,
    replay,
    schemas,
    settings_table,
    shadow,
    simulate,
    tail,
    topics,
)
from workers.cli.errors import explain
from workers.cli.shared import INTERRUPTED, err, load_settings
from workers.demo import command as demo

HELP = """
Event-driven streaming inference for hospitals: Kafka events in, explained care recommendations out.

Everything is set by environment variables; [bold]wardstream settings[/bold] lists them.

[bold]First steps[/bold]

  wardstream demo               a ward on this machine, without Kafka or Redis
  wardstream doctor             is everything in place?
  wardstream topics apply       create the topics
  wardstream worker             consume, infer, recommend
  wardstream simulate           send a made ward
  wardstream tail               watch the recommendations
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False
)  # fmt: skip

_ELSEWHERE = ("worker", "offline", "train", "evaluate", "learn")
"""Commands that live beside the part they start: module `workers.cli.NAME` with a function `NAME`."""


@app.callback()
def _root(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Only declares --debug; `main` acts on it, because it must after the command has failed."""


def _worker(
    only: Annotated[
        str | None, typer.Option(help="Modalities to consume, comma-separated: vitals, notes, imaging. All by default.")
    ] = None,
) -> None:
    """Consume events, infer, and publish recommendations until stopped.

    Any number of workers may share a group. SIGTERM and Ctrl-C finish what is in flight.

    Example:  WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 wardstream worker --only vitals,notes
    """
    settings = load_settings(**({"only": only} if only else {}))
    run: Any = importlib.import_module("workers.app").run
    raise typer.Exit(run(settings) or 0)


def _register() -> None:
    """Put every command in, in the order in which a newcomer meets them."""
    app.command("demo")(demo.demo)
    for name in _ELSEWHERE:
        if importlib.util.find_spec(f"workers.cli.{name}"):
            app.command(name)(getattr(importlib.import_module(f"workers.cli.{name}"), name))
        elif name == "worker":
            app.command(name)(_worker)
    app.command("doctor")(doctor.doctor)
    app.command("settings")(settings_table.settings)
    app.command("simulate")(simulate.simulate)
    app.command("replay")(replay.replay)
    app.command("tail")(tail.tail)
    app.command("answer")(answer.answer)
    app.command("project")(project.project)
    app.add_typer(control.app, name="control")
    app.command("audit")(audit.audit)
    app.command("shadow")(shadow.shadow)
    app.add_typer(topics.app, name="topics")
    app.add_typer(schemas.app, name="schemas")
    app.add_typer(dead_letters.app, name="dead-letters")
    app.add_typer(contexts.app, name="contexts")
    app.add_typer(models.app, name="models")


_register()


def main() -> None:
    """Entry point of the console command. Every error ends as one line on stderr and a non-zero status."""
    try:
        app()
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        err.print(f"wardstream: {explain(error)}", markup=False, soft_wrap=True)
        sys.exit(1)
