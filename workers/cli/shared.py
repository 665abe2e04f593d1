"""What every command starts with: settings from the environment, a quiet Kafka library, a loop that ends cleanly."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console

from workers.cli.errors import UserError
from workers.settings import Settings

T = TypeVar("T")

# A file or another program gets lines as long as they are; only a terminal has an edge to wrap at.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
err = Console(stderr=True, highlight=False)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells expect it."""


def load_settings(**changes: Any) -> Settings:
    """Settings from the environment, with the command line's own changes."""
    return Settings(**changes)


def require_room(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be made or written to, before the work whose result is to lie there. Makes nothing.

    Raises:
        UserError: Likewise.
    """
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), folder)
    if not there.is_dir():
        raise UserError(f"{option} {folder} cannot be used: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option} {folder} cannot be used: {there} is not yours to write to")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C ends it with one line and status 130."""
    # Our errors explain themselves; the library's log would repeat each a dozen times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    try:
        return asyncio.run(main)
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
