"""`wardstream schemas export`: the contract as JSON Schema and AsyncAPI files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workers.cli.shared import load_settings

app = typer.Typer(no_args_is_help=True, help="The contract as files for other programs.")


@app.callback()
def _schemas() -> None:
    """Keeps `export` a command of its own, so that others can join it."""


@app.command("export")
def export(folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")]) -> None:
    """Write the JSON Schema of every topic and one AsyncAPI document.

    Example:  wardstream schemas export schemas/
    """
    from topics import schemas

    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in sorted(schemas.json_schema().items()):
        _write(folder / f"{name}.schema.json", schema)
    _write(folder / "asyncapi.json", schemas.asyncapi(load_settings().topic_prefix))


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    typer.echo(str(path))
