"""`wardstream offline`: the pipeline over a file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from workers.cli.errors import UserError
from workers.cli.shared import load_settings


def offline(
    events: Annotated[Path, typer.Argument(metavar="EVENTS.jsonl", help="One event a line; - reads standard input.")],
    state: Annotated[Path | None, typer.Option(help="Write every patient's final state here, one JSON a line.")] = None,
) -> None:
    """Run the pipeline over a file, in this process: no Kafka, no Redis.

    Each line is an event as it would lie in Kafka, or {"topic": "patient.notes", "key": "p1", "value": {...}}.
    Prints one recommendation or dead letter a line, in the order of the file; duplicates print nothing.

    Example:  wardstream offline topics/examples/ward.jsonl | jq .recommendations[0].text
    """
    from workers.offline import BadLineError, Line, Offline, parse
    from workers.state import describe

    settings = load_settings()

    def lines() -> Iterator[Line]:
        try:
            stream = sys.stdin.buffer if str(events) == "-" else events.open("rb")
        except OSError as error:
            raise UserError(f"{events} cannot be read: {error.strerror}") from None
        with stream:
            for number, raw in enumerate(stream, start=1):
                try:
                    line = parse(raw, number)
                except BadLineError as error:
                    raise UserError(str(error)) from None
                if line is not None:
                    yield line

    async def work() -> None:
        run = Offline(settings)
        try:
            async for line in run.run(lines()):
                sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
            if state is not None:
                described = (describe(patient, value) for patient, value in run.states())
                state.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in described))
        finally:
            await run.close()

    asyncio.run(work())
