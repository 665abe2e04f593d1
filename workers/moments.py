"""Instants as the outputs have them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(ms: int) -> datetime:
    """The instant of epoch milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC)
