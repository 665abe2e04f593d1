"""Spans and times as people write them: 90m, 2h, 7d; 2026-03-01T08:00:00Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from workers.cli.errors import UserError

_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str, option: str) -> timedelta:
    """A span of time.

    Args:
        text: Such as 30m.
        option: Where it was given, for the message.

    Raises:
        UserError: It is not one, or is zero.
    """
    found = _SPAN.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise UserError(f"{option} {text} is not a span of time: write it like 30m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * _UNIT_S[found[2]])


def moment(text: str, option: str) -> datetime:
    """An instant.

    Raises:
        UserError: It is not one, or has no offset from UTC.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(f"{option} {text} is not a time: write it like 2026-03-01T08:00:00+00:00") from None
    raise UserError(f"{option} {text} has no offset from UTC: add Z or, say, +01:00")


def ago(text: str, option: str, now: datetime) -> datetime:
    """An instant, or a span before now.

    Raises:
        UserError: It is neither.
    """
    if not _SPAN.fullmatch(text):
        return moment(text, option)
    try:
        return now - span(text, option)
    except OverflowError:
        raise UserError(f"{option} {text} goes back before the calendar begins: leave it out for everything") from None
