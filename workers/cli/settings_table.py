"""`wardstream settings`: every setting with its default and meaning, and the table of docs/settings.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from rich.markup import escape
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import load_settings, out
from workers.settings import Settings

PREFIX: Final = "WARDSTREAM_"
DATA: Final = "WARDSTREAM_DATA"
"""Folder of public data sets; read by the tools that train and replay, never by a worker."""
HEADING: Final = """# Settings

Everything is set by environment variables. Made by `wardstream settings --markdown`; do not edit by hand.

| variable | default | meaning |
|---|---|---|
"""


def settings(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of docs/settings.md.")] = False,
    check: Annotated[Path | None, typer.Option(help="Exit 1 unless this file equals what --markdown prints.")] = None,
) -> None:
    """Show every setting: variable, value now, meaning. Secrets stay hidden.

    Example:  wardstream settings --markdown > docs/settings.md
    """
    if check is not None:
        if check.read_text(encoding="utf-8") != render_markdown():
            raise UserError(f"{check} is out of step: run  wardstream settings --markdown > {check}")
        typer.echo(f"{check} is in step")
    elif markdown:
        typer.echo(render_markdown(), nl=False)
    else:
        out.print(_table(load_settings()))


def render_markdown() -> str:
    """The documentation page."""
    rows = [
        f"| `{variable(name)}` | {_code(_default(field))} | {(field.description or '').replace('|', chr(92) + '|')} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEADING + "\n".join(rows) + "\n"


def variable(name: str) -> str:
    """Environment variable of a field."""
    return PREFIX + name.upper()


def unknown_variables(names: list[str]) -> list[str]:
    """Variables that look like ours and are read by nobody, as after a typing error."""
    known = {variable(name) for name in Settings.model_fields} | {DATA}
    return sorted(name for name in names if name.startswith(PREFIX) and name not in known)


def _default(field: FieldInfo) -> str:
    """A field's default as one would write it in a shell."""
    value = field.default
    return shown(value.get_secret_value() if isinstance(value, SecretStr) else value)


def shown(value: Any) -> str:
    """A value as one would write it in a shell; secrets are masked, nothing is the empty string."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else "(none)"


def _table(now: Settings) -> Table:
    """The same for a terminal; set values stand out."""
    table = Table("variable", "value", "meaning", box=None, pad_edge=False)
    for name, field in Settings.model_fields.items():
        value = escape(shown(getattr(now, name)) or "(none)")
        is_set = variable(name) in os.environ
        table.add_row(variable(name), f"[bold]{value}[/]" if is_set else value, escape(field.description or ""))
    return table
