"""`wardstream answer`: say what was done about an alert or an action, as a ward terminal would.

Decides the command; the event is that of `topics.feedback`, checked as every worker will check it.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from pydantic import ValidationError

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, out, run

if TYPE_CHECKING:
    from workers.settings import Settings


class Outcome(StrEnum):
    """What was done."""

    accepted = "accepted"
    acknowledged = "acknowledged"
    snoozed = "snoozed"
    overridden = "overridden"


def answer(
    outcome: Annotated[Outcome, typer.Argument(help="What was done.")],
    *,
    patient: Annotated[str, typer.Option(help="The patient, as in the recommendation.")],
    recommendation: Annotated[str, typer.Option(help="The recommendation_id that is answered.")],
    alert: Annotated[str | None, typer.Option(help="Its alert_id, where the alert is meant.")] = None,
    action: Annotated[str | None, typer.Option(help="The action_id, where one action is meant.")] = None,
    why: Annotated[
        str | None, typer.Option(help="Coded reason, such as action-completed; needed where overridden.")
    ] = None,
    minutes: Annotated[int | None, typer.Option(help="How long it is put off, where snoozed: 1 to 720.")] = None,
    unit: Annotated[str | None, typer.Option(help="The ward, as in the recommendation.")] = None,
    role: Annotated[str, typer.Option(help="Role of who did it, never a name.")] = "nurse",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the record and send nothing.")] = False,
) -> None:
    """Answer an alert or an action: the patient's alert state changes at once, and the next result shows it.

    Example:  wardstream answer acknowledged --patient p-17 --recommendation c3f5... --alert 900e...

    Example:  wardstream answer overridden --patient p-17 --recommendation c3f5... --action lactate
    --why action-completed
    """
    now = datetime.now(UTC)
    event = {
        "schema_version": "1.0", "event_id": str(uuid.uuid4()), "patient_id": patient, "unit": unit,
        "event_time": now.isoformat(), "source": "wardstream-cli", "recommendation_id": recommendation,
        "alert_id": alert, "action_id": action, "outcome": outcome.value, "override_reason": why,
        "snooze_minutes": minutes, "actor_role": role,
    }  # fmt: skip
    event = {name: value for name, value in event.items() if value is not None}
    value = orjson.dumps(event)
    _check(patient, value, action, now)
    if dry_run:
        typer.echo(value.decode())
        err.print("dry run: nothing sent")
        return
    where = run(_send(load_settings(), patient.encode(), value))
    out.print(f"written to {where}: the patient's next result shows what it did", markup=False, soft_wrap=True)


def _check(patient: str, value: bytes, action: str | None, now: datetime) -> None:
    """Refuse what a worker would refuse, in words.

    Raises:
        UserError: Likewise.
    """
    from models.clinical.actions import Catalogue
    from topics.codec import Rejected, decode
    from topics.feedback import FeedbackEvent
    from topics.override_reasons import OFFERED
    from workers.cli.control_write import check_action

    if action is not None:
        check_action(action, Catalogue.load())
    try:
        FeedbackEvent.model_validate_json(value)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
        codes = f"; reasons are {', '.join(OFFERED)}" if "override_reason" in str(error) else ""
        raise UserError(f"{said}{codes}") from None
    (read,) = decode(FeedbackEvent, [(patient.encode(), value)], now_ms=round(now.timestamp() * 1000))
    if isinstance(read, Rejected):  # what passed above and not here would be a defect of ours
        raise UserError(f"workers would refuse it: {read.reason}, {read.detail}")


async def _send(settings: Settings, key: bytes, value: bytes) -> str:
    from topics.catalogue import FEEDBACK, full_name
    from workers.cli import cluster

    topic = full_name(settings.topic_prefix, FEEDBACK)
    await cluster.require_topics(settings, topic)
    async with cluster.producer(settings) as producer:
        written = await producer.send_and_wait(topic, value, key=key)
    return f"{topic}[{written.partition}] at offset {written.offset}"
