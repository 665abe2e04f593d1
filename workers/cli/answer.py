"""`wardstream answer`: say what was done about an alert or an action, as a ward terminal would, or take that back.

Decides the command; the event is that of `topics.feedback`, checked as every worker will check it. It is stricter where
a worker's refusal, or an answer that fits nothing, would go unnoticed: this command cannot see the alert.
"""

from __future__ import annotations

import difflib
import re
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import orjson
import typer
from pydantic import ValidationError

from workers.cli.errors import UserError, by_option
from workers.cli.shared import err, load_settings, out, run

if TYPE_CHECKING:
    from workers.settings import Settings

SOURCE: Final = "wardstream-cli"
"""Who these answers are from: an event_id is that of its source, so taking back needs both."""

_ROLE: Final = re.compile(r"[a-z][a-z0-9 -]{0,39}")
_OPTION: Final = {
    "patient_id": "--patient", "recommendation_id": "--recommendation", "alert_id": "--alert", "action_id": "--action",
    "override_reason": "--why", "snooze_minutes": "--minutes", "actor_role": "--role", "replaces": "EVENT_ID",
}  # fmt: skip
_ALL_CODES: Final = "docs/alerts.md lists all codes"


class Outcome(StrEnum):
    """What was done."""

    accepted = "accepted"
    acknowledged = "acknowledged"
    snoozed = "snoozed"
    overridden = "overridden"
    take_back = "take-back"


def answer(  # noqa: PLR0913 - one option a field
    outcome: Annotated[Outcome, typer.Argument(help="What was done; take-back: an earlier answer was a mistake.")],
    event_id: Annotated[
        str | None, typer.Argument(help="With take-back: the event_id of that answer, as printed when it was written.")
    ] = None,
    *,
    patient: Annotated[str, typer.Option(help="The patient, as in the recommendation.")],
    recommendation: Annotated[str, typer.Option(help="The recommendation_id that is answered, a UUID.")],
    alert: Annotated[str | None, typer.Option(help="Its alert_id, where the alert is meant.")] = None,
    action: Annotated[str | None, typer.Option(help="The action_id, where one action is meant.")] = None,
    why: Annotated[
        str | None,
        typer.Option(help=f"Coded reason, such as action-completed; needed with overridden and snoozed. {_ALL_CODES}."),
    ] = None,
    minutes: Annotated[int | None, typer.Option(help="How long it is put off, where snoozed: 1 to 720.")] = None,
    unit: Annotated[str | None, typer.Option(help="The ward, as in the recommendation.")] = None,
    role: Annotated[str, typer.Option(help="Role of who did it, in small letters, never a name.")] = "nurse",
    source: Annotated[str, typer.Option(help="With take-back: the `source` of that answer.")] = SOURCE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the record and send nothing.")] = False,
) -> None:
    """Answer an alert or an action, or take an answer back. The patient's next result shows what it did.

    Example:  wardstream answer acknowledged --patient p-17 --recommendation c3f5... --alert 900e...

    Example:  wardstream answer overridden --patient p-17 --recommendation c3f5... --action lactate
    --why action-completed

    Example:  wardstream answer take-back 7b1d... --patient p-17 --recommendation c3f5...
    """
    now = datetime.now(UTC)
    back = outcome is Outcome.take_back
    _check_form(outcome, event_id, source, [alert, action, why, minutes])
    if not back:
        _check_reason(outcome, why)
    if not _ROLE.fullmatch(role):
        raise UserError("--role is a role such as nurse or charge nurse, in small letters, and never a name")
    event = {
        "schema_version": "1.0", "event_id": str(uuid.uuid4()), "patient_id": patient, "unit": unit,
        "event_time": now.isoformat(), "source": source,
        "status": "entered-in-error" if back else None, "replaces": event_id,
        "recommendation_id": _uuid(recommendation, "--recommendation"),
        "alert_id": None if alert is None else _uuid(alert, "--alert"), "action_id": action,
        # A retraction must name some outcome; this one asks for nothing more, and no worker looks at it.
        "outcome": Outcome.acknowledged.value if back else outcome.value,
        "override_reason": why, "snooze_minutes": minutes, "actor_role": role,
    }  # fmt: skip
    event = {name: value for name, value in event.items() if value is not None}
    value = orjson.dumps(event)
    _check(patient, value, action, now)
    if dry_run:
        typer.echo(value.decode())
        err.print("dry run: nothing sent")
        return
    where = run(_send(load_settings(), patient.encode(), value))
    out.print(f"written to {where}, event_id {event['event_id']}: {_promise(back=back)}", markup=False, soft_wrap=True)


def _promise(*, back: bool) -> str:
    """What may be expected of a record that is written; no more is known here."""
    if back:
        return (
            "the patient's next result shows the alert without that answer; taking back what is not there, or is from "
            "another --source, changes nothing"
        )
    return (
        "what it did shows in the patient's next result; an answer that fits no standing alert changes no alert. "
        "A mistake: wardstream answer take-back with this event_id"
    )


def _check_form(outcome: Outcome, event_id: str | None, source: str, said: list[str | int | None]) -> None:
    """Hold answers and retractions apart.

    Raises:
        UserError: An option of the one is given with the other.
    """
    if outcome is not Outcome.take_back:
        if event_id is not None or source != SOURCE:
            raise UserError("EVENT_ID and --source go with take-back only")
    elif event_id is None:
        raise UserError("say which answer: wardstream answer take-back EVENT_ID, as printed when it was written")
    elif any(each is not None for each in said):
        raise UserError("take-back takes the whole answer back: leave out --alert, --action, --why and --minutes")


def _check_reason(outcome: Outcome, why: str | None) -> None:
    """Ask for a reason wherever a worker might, and for one that there is.

    Raises:
        UserError: There is none, or it is no code.
    """
    from topics.override_reasons import OFFERED, OVERRIDE_REASONS

    if why is None:
        if outcome is Outcome.snoozed:
            raise UserError(
                "snoozed needs --why CODE, such as need-more-info: workers refuse to put a critical alert off without "
                f"one, and this command cannot see the alert; {_ALL_CODES}"
            )
        if outcome is Outcome.overridden:
            raise UserError(f"overridden needs --why CODE, such as action-completed; {_ALL_CODES}")
    elif why not in OVERRIDE_REASONS:
        near = difflib.get_close_matches(why.lower(), list(OVERRIDE_REASONS), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"often used are {', '.join(OFFERED)};"
        raise UserError(f"--why is no code of a reason: {hint} {_ALL_CODES}")


def _uuid(text: str, option: str) -> str:
    """A UUID as results spell it.

    Raises:
        UserError: It is none.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise UserError(f"{option} must be the UUID that the result has, as in `wardstream tail --json`") from None


def _check(patient: str, value: bytes, action: str | None, now: datetime) -> None:
    """Refuse what a worker would refuse, in words.

    Raises:
        UserError: Likewise.
    """
    from models.clinical.actions import Catalogue
    from topics.codec import Rejected, decode
    from topics.feedback import FeedbackEvent
    from workers.cli.control_write import check_action

    if action is not None:
        check_action(action, Catalogue.load())
    try:
        FeedbackEvent.model_validate_json(value)
    except ValidationError as error:
        raise UserError(by_option(error, _OPTION)) from None
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
