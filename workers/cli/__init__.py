"""The command line: `wardstream COMMAND`. Reads arguments, calls the part that does the work, explains errors."""

from workers.cli.app import main

__all__ = ["main"]
