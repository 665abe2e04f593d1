"""What a training says while it runs: on the screen, and all of it in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Told:
    """Lines for people.

    Args:
        console: Where they look on.
        file: Keeps every line, with the seconds since the start.

    Attributes:
        began: Whether any step was done.
    """

    def __init__(self, console: Console, file: IO[str]) -> None:
        self._console, self._file, self._start_s = console, file, time.monotonic()
        self.began = False
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)

    def line(self, text: str) -> None:
        """Say something."""
        self._console.print(text, markup=False, soft_wrap=True)
        self.keep(text)

    def figures(self, found: Mapping[str, Any]) -> None:
        """Say figures, coloured where that helps."""
        self._console.print_json(data=dict(found))
        self.keep(json.dumps(found))

    def keep(self, text: str) -> None:
        """Into the file alone."""
        self._file.write(f"{time.monotonic() - self._start_s:8.1f} s  {text}\n")
        self._file.flush()

    def tell(self, what: str, done: int, total: int) -> None:
        """Progress: moves the bar; elsewhere, and in the file, a line at each tenth."""
        self.began = True
        self._bar.update(self._task, description=what, completed=done, total=total)
        if done * 10 // total > (done - 1) * 10 // total:
            say = self.keep if self._console.is_terminal else self.line
            say(f"{what}: {done} of {total} steps")

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show the bar, if anybody looks on."""
        with self._bar:
            yield


@contextmanager
def told(console: Console, file: Path) -> Iterator[Told]:
    """Open the file and close it."""
    with file.open("w", encoding="utf-8") as lines:
        yield Told(console, lines)
