"""`wardstream audit`: who changed what by control, when and why.

Decides how the trail is shown. Workers may write a change twice; it is shown once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from workers.cli.shared import err, load_settings, out, run
from workers.settings import Settings

if TYPE_CHECKING:
    from topics.audit import AuditEvent


def audit(
    *,
    since: Annotated[str | None, typer.Option(help="From then on: 24h, 7d, or RFC 3339 with offset.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this setting, or this kind: mute, model/vitals.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """Print what control changed: time, who, what, from and to, why, offset of the control record.

    Example:  wardstream audit --since 7d --subject mute
    """
    from workers.cli.moments import ago

    settings = load_settings()
    begins = None if since is None else ago(since, "--since", datetime.now(UTC))
    values = run(_read(settings))
    events, unreadable = trail(values)
    chosen = [event for event in events if matches(event, begins, subject)]
    if as_json:
        for event in chosen:
            typer.echo(event.model_dump_json())
    elif chosen:
        out.print(table(chosen))
    else:
        out.print("no changes")
    if unreadable:
        err.print(f"{unreadable} records of the audit topic cannot be read by this version")


async def _read(settings: Settings) -> list[bytes | None]:
    """All values of the audit topic."""
    from topics.catalogue import AUDIT, full_name
    from workers.cli import cluster

    async with cluster.reader(settings, full_name(settings.topic_prefix, AUDIT)) as consumer:
        return [record.value async for record in cluster.everything(consumer)]


def trail(values: Iterable[bytes | None]) -> tuple[list[AuditEvent], int]:
    """Every change once, oldest first; and how many values are no audit events."""
    from pydantic import ValidationError

    from topics.audit import AuditEvent

    found: dict[str, AuditEvent] = {}
    unreadable = 0
    for value in values:
        try:
            event = AuditEvent.model_validate_json(value or b"", extra="ignore")
        except ValidationError:
            unreadable += 1
        else:
            found.setdefault(event.audit_id, event)
    return sorted(found.values(), key=lambda event: (event.written_at, event.control_offset)), unreadable


def matches(event: AuditEvent, begins: datetime | None, subject: str | None) -> bool:
    """Whether an event is wanted; `subject` names one setting or all below it."""
    if begins is not None and event.written_at < begins:
        return False
    return subject is None or event.subject == subject or (event.subject or "").startswith(f"{subject}/")


def table(events: Iterable[AuditEvent]) -> Table:
    """The trail, for people."""
    from workers.cli.control_state import TIME

    rows = Table("time (UTC)", "who", "what", "from -> to", "why", "offset", box=None, pad_edge=False)
    for event in events:
        rows.add_row(
            f"{event.written_at:{TIME}}", escape(event.actor or "?"), escape(event.subject or "?"),
            escape(step(event)), escape(event.reason or "?"), str(event.control_offset),
        )  # fmt: skip
    return rows


def step(event: AuditEvent) -> str:
    """From what to what."""
    from workers.cli.control_state import TIME, in_words

    if event.refusal is not None:
        return f"refused: {event.refusal} ({event.detail})"
    until = "" if event.expires_at is None else f" until {event.expires_at:{TIME}}"
    return f"{in_words(event.before)} -> {in_words(event.after)}{until}"
