"""What the control topic holds: which settings are in force, as a worker that reads it now would see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rich.markup import escape
from rich.table import Table

from topics.control_settings import KillSwitch, ModelSwitch, Mute, RulesOnly, Setting
from workers.control import EFFECTIVE_WITHIN_S, PROMOTED_WITHIN_S
from workers.control_record import Change, read_change
from workers.settings import Settings

TIME: Final = "%Y-%m-%d %H:%M:%S"


class State(NamedTuple):
    """The topic, read.

    Attributes:
        live: In force, by subject.
        ended: Their time is over; the topic still holds them.
        refused: Newest record of their key, and not usable: compaction keeps them instead of what is in force.
    """

    live: Mapping[str, Change]
    ended: Mapping[str, Change]
    refused: Mapping[str, Change]


def state(changes: Iterable[Change], now: datetime) -> State:
    """What follows from all records, in the order in which they lie."""
    held: dict[str, Change] = {}
    refused: dict[str, Change] = {}
    for change in changes:
        if change.refusal is not None:
            refused[change.subject] = change
            continue
        refused.pop(change.subject, None)
        held.pop(change.subject, None)
        if change.event is not None:
            held[change.subject] = change
    ended = {subject: change for subject, change in held.items() if _over(change, now)}
    return State({s: change for s, change in held.items() if s not in ended}, ended, refused)


def _over(change: Change, now: datetime) -> bool:
    event = change.event
    return event is not None and event.expires_at is not None and event.expires_at <= now


async def read(settings: Settings, now: datetime) -> State:
    """Read the whole control topic.

    Raises:
        UserError: There is none.
    """
    from topics.catalogue import CONTROL, full_name
    from workers.cli import cluster

    now_ms = round(now.timestamp() * 1000)
    async with cluster.reader(settings, full_name(settings.topic_prefix, CONTROL)) as consumer:
        return state([read_change(record, now_ms) async for record in cluster.everything(consumer)], now)


def in_words(setting: Setting | None) -> str:
    """A setting as its options say it; `default` where there is none."""
    match setting:
        case None:
            return "default"
        case ModelSwitch():
            said = setting.model_dump(exclude={"kind", "name", "enabled"}, exclude_none=True)
            return ", ".join(
                [
                    "on" if setting.enabled else "off",
                    *(f"{name.replace('_', ' ')} {value}" for name, value in said.items()),
                ]
            )
        case KillSwitch() | RulesOnly():
            return "on" if setting.on else "off"
        case Mute():
            return "muted"
    given = setting.model_dump(exclude={"kind", "unit", "patient"}, exclude_none=True, exclude_defaults=True)
    return ", ".join(f"{name} {_value(value)}" for name, value in given.items())


def in_force(offset: int, setting: Setting | None = None) -> str:
    """When a record that was written at `offset` holds, and what happens until then."""
    within = f"on every worker within {EFFECTIVE_WITHIN_S:g} s"
    proof = (
        f"Results decided under it have control_offset {offset} or higher; so has wardstream_control_offset on a "
        "worker's /metrics."
    )
    if not isinstance(setting, ModelSwitch) or not (setting.to_use or setting.for_some or setting.along):
        return f"In force {within}, from its next batch on. {proof}"
    parts = [f"Read {within}. {proof}", f"A version that a worker has is in use within {PROMOTED_WITHIN_S:g} s."]
    if setting.to_use or setting.for_some:
        some = "" if setting.to_use else " of the canary's patients"
        parts.append(
            "Until then, and for as long as a worker does not have it, the worker goes on with what it has, and its "
            f"results{some} are degraded: model_version_unavailable."
        )
    if setting.along:
        parts.append("A candidate in shadow that a worker does not have scores nothing there, and no result says so.")
    return " ".join([*parts, "wardstream_model_versions_absent counts what a worker cannot load."])


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={minutes}" for name, minutes in value.items())
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def table(live: Mapping[str, Change]) -> Table:
    """Everything in force, for people."""
    rows = Table("setting", "value", "since (UTC)", "until (UTC)", "who", "why", "offset", box=None, pad_edge=False)
    for subject, change in sorted(live.items()):
        event = change.event
        assert event is not None
        until = "unset" if event.expires_at is None else f"{event.expires_at:{TIME}}"
        rows.add_row(
            escape(subject), in_words(event.setting), f"{event.event_time:{TIME}}", until, escape(event.actor),
            escape(event.reason), str(change.offset),
        )  # fmt: skip
    return rows


def as_data(change: Change) -> dict[str, Any]:
    """One setting in force, for programs: fields as the contract names them."""
    assert change.event is not None
    fields = {"subject", "setting", "actor", "reason", "event_time", "expires_at"}
    return {"control_offset": change.offset, **change.event.model_dump(mode="json", include=fields)}


def now() -> datetime:
    """The clock, to the second: what people read back."""
    return datetime.now(UTC).replace(microsecond=0)
