"""`wardstream contexts`: look at the patient contexts in Redis."""

from __future__ import annotations

import sys

import orjson
import typer

from workers.cli.shared import load_settings, run

app = typer.Typer(
    help="Look at patient contexts in Redis; patients are named by their keyed HMAC.", no_args_is_help=True
)


@app.callback()
def contexts() -> None:
    """Look at patient contexts in Redis; patients are named by their keyed HMAC."""


@app.command("dump")
def dump() -> None:
    """Print every context of this run, one JSON a line: recurrent and clinical state, window, alert, answers.

    Example:  WARDSTREAM_REDIS_URL=redis://redis:6379/0 wardstream contexts dump | jq .alert
    """
    from workers.state import describe
    from workers.stores import RedisContexts

    settings = load_settings()

    async def work() -> None:
        store = RedisContexts(settings)
        try:
            for patient, value in await store.scan():
                sys.stdout.buffer.write(orjson.dumps(describe(patient, value)) + b"\n")
        finally:
            await store.close()
        sys.stdout.buffer.flush()

    run(work())
