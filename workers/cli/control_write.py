"""A record for the control topic: built from what an operator says, checked as a worker would, and sent.

Decides what may be written by command. It is stricter than the contract where a slip would go unnoticed: an action
that does not exist, a ward whose name could be read as something else.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from topics import headers as names
from topics.codec import Rejected, decode
from topics.control import LIMITS_MAX, MUTE_MAX, ControlEvent, Reasoning
from topics.control_settings import (
    EVERYWHERE,
    SUBJECT,
    ModelSwitch,
    Mute,
    PatientLimits,
    Setting,
    Thresholds,
    WardPolicy,
)
from topics.events import SCHEMA_VERSION, Contract, Identifier
from workers.alert_policy import Policy
from workers.alerts import ACTION_OF
from workers.cli.errors import UserError, by_option
from workers.cli.moments import moment, span
from workers.cli.shared import err
from workers.identity import Identity
from workers.settings import DEVELOPMENT_KEY, Settings

if TYPE_CHECKING:
    from models.clinical.actions import Catalogue
    from models.weights import Manifest

ALERTED: Final = frozenset(ACTION_OF.values())
"""The actions that alerts are about; no other ever pages."""

_DEVELOPMENT_KEY_NOTE: Final = (
    "the patient is named by the development key, the default of WARDSTREAM_IDENTITY_KEY: workers with a key of their "
    "own apply this to nobody, and nothing says so; set it to the workers' key and run this again"
)

_OPTION: Final = {
    "expires_at": "--for", "action_id": "--action", "name": "model", "budget_per_100_patient_days": "--budget",
    "refractory_minutes": "--refractory", "snooze_max_minutes": "--snooze-max",
}  # fmt: skip


class _Signed(Contract):
    """What the headers of a record without a value must say."""

    actor: Identifier
    reason: Reasoning


class Outgoing(NamedTuple):
    """A record of the control topic; without a value it takes a setting back."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """Who changes something, why, when, and for how long.

    Attributes:
        actor: An account or role.
        reason: Why, in words.
        now: The clock.
        ends: When the setting ends by itself.
    """

    actor: str
    reason: str
    now: datetime
    ends: datetime | None = None


def end(lasts: str | None, until: str | None, now: datetime) -> datetime | None:
    """When a setting ends, from --for and --until.

    Raises:
        UserError: Both are given, or one cannot be read.
    """
    if lasts and until:
        raise UserError("give --for or --until, not both")
    if lasts:
        return now + span(lasts, "--for")
    return moment(until, "--until") if until else None


def ward(unit: str | None, *, everywhere: bool) -> str:
    """The unit of a setting, from --unit and --everywhere.

    Raises:
        UserError: None or both are given, or the name could not be told from something else.
    """
    if (unit is None) != everywhere:
        raise UserError("say where: --unit WARD as your events spell it, or --everywhere")
    if unit is None:
        return EVERYWHERE
    if unit != unit.strip() or "/" in unit or unit in {EVERYWHERE, ""}:
        raise UserError("--unit must be a ward's name, without / and without blanks around it; for all: --everywhere")
    return unit


def check_action(action_id: str, catalogue: Catalogue) -> None:
    """Refuse an action that the catalogue does not have.

    Raises:
        UserError: Likewise; names the most similar.
    """
    if action_id not in catalogue.index:
        near = difflib.get_close_matches(action_id, list(catalogue.index), n=3, cutoff=0.4) or sorted(ALERTED)
        raise UserError(f"there is no action {action_id}: did you mean {' or '.join(near)}?")


def check_subject(subject: str) -> None:
    """Refuse what no setting can be named.

    Raises:
        UserError: Likewise.
    """
    if not SUBJECT.fullmatch(subject):
        raise UserError(f"{subject} names no setting: `control show` lists those that are set")


def check_versions(switch: Setting, folder: Path | None) -> None:
    """Refuse a version that no worker will use, as far as this machine can tell; say which it does not have.

    Raises:
        UserError: It was never trained.
    """
    named = (*switch.to_use, *switch.for_some, *switch.along) if isinstance(switch, ModelSwitch) else ()
    for name, version in named:
        manifest = _manifest(folder, name, version)
        if manifest is None:
            where = "WARDSTREAM_MODELS_DIR is not set" if folder is None else f"it is not in {folder}"
            said = (
                f"note: {name} {version} is not on this machine: {where}; a worker without it goes on with what it has"
            )
            err.print(said, markup=False, soft_wrap=True)
        elif not manifest.trained:
            raise UserError(f"{name} {version} was never trained: its results mean nothing, and no worker uses it")


def _manifest(folder: Path | None, name: str, version: str) -> Manifest | None:
    from models.bundle import ARTEFACTS, versions
    from models.weights import WeightsError, read_manifest

    for place in (*(versions(folder, name) if folder is not None else ()), ARTEFACTS / name):
        try:
            manifest = read_manifest(place)
        except WeightsError:
            continue
        if manifest.version == version:
            return manifest
    return None


def pseudonym(settings: Settings, patient_id: str) -> str:
    """The HMAC that stands for a patient, hex, with the key that all workers share.

    The development key is said: the name then fits no worker of a real system, and no worker can tell.
    """
    key = settings.identity_key.get_secret_value()
    if key == DEVELOPMENT_KEY:
        err.print(f"note: {_DEVELOPMENT_KEY_NOTE}", markup=False, soft_wrap=True)
    return Identity(key).patient(patient_id).hex()


def by_tier(given: str | None, option: str) -> dict[str, int] | None:
    """Minutes by tier, from `critical=60,warning=240`.

    Raises:
        UserError: It cannot be read.
    """
    if given is None:
        return None
    found = {}
    for part in given.split(","):
        tier, equals, minutes = part.strip().partition("=")
        if tier not in {"info", "warning", "critical"} or not equals or not minutes.isdigit():
            raise UserError(f"{option} is minutes by tier, as in critical=60,warning=240,info=720")
        found[tier] = int(minutes)
    return found


def names_of(given: str | None) -> list[str] | None:
    """Names from a comma-separated list; `none` is the empty one."""
    if given is None:
        return None
    return [] if given == "none" else [name.strip() for name in given.split(",")]


def made(make: Callable[[], Setting]) -> Setting:
    """A setting; what is wrong with it is said by option.

    Raises:
        UserError: It is not one of the contract.
    """
    try:
        setting = make()
    except ValidationError as error:
        raise UserError(by_option(error, _OPTION)) from None
    if isinstance(setting, Thresholds | WardPolicy) and not setting.model_fields_set - {"unit", "kind"}:
        raise UserError("give at least one option of what is to be set; `control unset` takes a setting back")
    return setting


def signed(setting: Setting, by: Signature) -> Outgoing:
    """The record that makes a setting, as every worker will accept it.

    Raises:
        UserError: It would be refused.
    """
    if isinstance(setting, Mute) and by.ends is None:
        raise UserError("a mute must end: --for 2h or --until TIME, at most 24 h from now")
    if isinstance(setting, PatientLimits) and (by.ends is None or by.ends - by.now > LIMITS_MAX):
        raise UserError("what is set for a patient must end: --for 7d or --until TIME, at most 30 days from now")
    if isinstance(setting, Mute) and by.ends is not None and by.ends - by.now > MUTE_MAX:
        raise UserError("a mute lasts 24 h at most: say it again tomorrow, or change the thresholds")
    if by.ends is not None and by.ends <= by.now:
        raise UserError("--until lies in the past")
    try:
        event = ControlEvent(
            schema_version=SCHEMA_VERSION, event_id=str(uuid.uuid4()), event_time=by.now, subject=setting.subject,
            setting=setting, actor=by.actor, reason=by.reason, expires_at=by.ends,
        )  # fmt: skip
    except ValidationError as error:
        raise UserError(by_option(error, _OPTION)) from None
    record = Outgoing(event.subject.encode(), event.model_dump_json(exclude_none=True).encode())
    (answer,) = decode(ControlEvent, [record[:2]], now_ms=round(by.now.timestamp() * 1000))
    if isinstance(answer, Rejected):  # what passed above and not here would be a defect of ours
        raise UserError(f"workers would refuse this record: {answer.reason}, {answer.detail}")
    return record


def taken_back(subject: str, by: Signature) -> Outgoing:
    """The record that takes a setting back. It has no value, so who and why stand in its headers.

    Raises:
        UserError: Actor or reason cannot be used.
    """
    try:
        _Signed(actor=by.actor, reason=by.reason)
    except ValidationError as error:
        raise UserError(by_option(error, _OPTION)) from None
    headers = ((names.CONTROL_ACTOR, by.actor.encode()), (names.CONTROL_REASON, by.reason.encode()))
    return Outgoing(subject.encode(), None, headers)


def notes(setting: Setting) -> Iterable[str]:
    """What an operator may not expect of a setting that is right in form."""
    critical = Policy().news2_critical
    if isinstance(setting, Thresholds) and (setting.news2_raise or 0) > critical:
        yield f"NEWS2 {critical} and above alerts whatever --news2-raise says"
    if isinstance(setting, Mute) and setting.action_id not in ALERTED:
        yield f"no alert is ever about {setting.action_id}: this mute has no effect"


async def send(settings: Settings, record: Outgoing) -> int:
    """Write the record and wait for the broker's acknowledgement. Returns its offset.

    Raises:
        UserError: There is no control topic.
    """
    from topics.catalogue import CONTROL, full_name
    from workers.cli import cluster

    topic = full_name(settings.topic_prefix, CONTROL)
    await cluster.require_topics(settings, topic)
    async with cluster.producer(settings) as producer:
        written: Any = await producer.send_and_wait(topic, record.value, key=record.key, headers=list(record.headers))
    return int(written.offset)
