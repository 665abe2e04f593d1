"""Logging: structlog for us, the same pipeline for libraries; JSON in production, readable on a terminal.

Exceptions are rendered as type and code places, never with their message or locals: a message may quote a record, and
no patient data enters the logs. Our own events carry the fields they are given, and those are chosen with that in mind.
For the same reason libraries' messages appear without their arguments; but those of the Kafka client are about hosts,
groups and topics, and useless without.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

from workers.settings import Settings

_QUIET = {"aiokafka": logging.ERROR, "faust": logging.WARNING, "mode": logging.WARNING, "asyncio": logging.ERROR}


_WITH_ARGUMENTS = "aiokafka"


def configure(settings: Settings) -> None:
    """Set up logging for the process."""
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_places,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library_event, *shared],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.raiseExceptions = False  # it would print the message and its arguments where a handler fails
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))


def _exception_places(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its type and where it was raised."""
    info = event.pop("exc_info", None)
    if info:
        error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exception())
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            event["exception"] = type(error).__name__
            event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return event


def _library_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's message: its template; with the arguments only where they cannot hold what a record said."""
    record, arguments = event.get("_record"), event.pop("positional_args", None)
    if record is not None:
        message = record.msg
        event["event"] = type(message).__name__ if isinstance(message, BaseException) else str(message)
        event["logger"] = record.name
        if record.name.partition(".")[0] == _WITH_ARGUMENTS and isinstance(arguments, tuple):
            with suppress(TypeError, ValueError):  # the template wants something else: it stays as it is
                event["event"] %= tuple(_argument(each) for each in arguments)
    return event


def _argument(value: Any) -> str | int | float:
    """Words and numbers as they are, an exception or any other thing by its type."""
    if isinstance(value, str | int | float):
        return value
    return value.__name__ if isinstance(value, type) else type(value).__name__
