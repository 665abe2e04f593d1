"""From a record's bytes to an event, or to the one reason why not.

Decides whether bytes, identity and time can be used. Each record is validated by itself: joining neighbours into
one JSON array would be quicker by a tenth, and would let the bytes of one record bleed into another. Nothing here
raises on any bytes, and no text made here contains a value of the record, nor a field name that is not the contract's.

Record, in order of the checks: present, not too large, valid (UTF-8, JSON, version, identity, time, the rest), with one
identity, keyed by it, not from the future.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from topics.events import MAX_VALUE_BYTES, SCHEMA_MAJOR, SCHEMA_MINOR, SCHEMA_VERSION, Envelope
from topics.reasons import Reason

E = TypeVar("E", bound=Envelope)

FUTURE_TOLERANCE_MS: Final = 5 * 60 * 1000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_DETAIL_MAX: Final = 5
_IDENTITY: Final = frozenset({"event_id", "patient_id"})
_REPLACES: Final = "replaces_missing"


class Decoded(NamedTuple, Generic[E]):
    """A record that can be processed.

    Attributes:
        event: The event.
        event_ms: `event.event_time` in milliseconds since 1970-01-01 UTC, rounded down.
        unknown_fields: Fields of a higher minor version that were ignored.
    """

    event: E
    event_ms: int
    unknown_fields: int


class Rejected(NamedTuple):
    """A record that cannot be processed. `detail` has no patient data."""

    reason: Reason
    detail: str


def decode(
    kind: type[E], records: Sequence[tuple[bytes | None, bytes | None]], *, now_ms: int
) -> list[Decoded[E] | Rejected]:
    """Decode a whole fetch of one topic.

    Args:
        kind: The topic's event.
        records: (key, value) as they lie in Kafka. A missing key is fine; the caller counts it.
        now_ms: The clock, milliseconds since 1970-01-01 UTC.

    Returns:
        One answer a record, in order.
    """
    validate = kind.__pydantic_validator__.validate_json
    key_field = kind.key_field
    key_marker = f'"{key_field}"'.encode()
    latest = now_ms + FUTURE_TOLERANCE_MS
    answers: list[Decoded[E] | Rejected] = []
    for key, value in records:
        if value is None:
            answers.append(Rejected(Reason.NULL_VALUE, "the value is null"))
            continue
        if len(value) > MAX_VALUE_BYTES:
            answers.append(Rejected(Reason.TOO_LARGE, f"{len(value)} bytes; at most {MAX_VALUE_BYTES} are accepted"))
            continue
        unknown_fields = 0
        try:
            event = validate(value)
        except ValidationError as error:
            outcome = _second_look(kind, value, error)
            if isinstance(outcome, Rejected):
                answers.append(outcome)
                continue
            event, unknown_fields = outcome
        if event.schema_version != SCHEMA_VERSION and _version(event.schema_version)[0] != SCHEMA_MAJOR:
            answers.append(_OTHER_VERSION)
            continue
        if value.count(key_marker) != 1 and _given_twice(value, key_field):
            answers.append(Rejected(Reason.IDENTITY, f"{key_field}: given twice"))
            continue
        if key is not None and key != getattr(event, key_field).encode():
            answers.append(Rejected(Reason.KEY_MISMATCH, f"the record's key is not the value's {key_field}"))
            continue
        since = event.event_time - _EPOCH
        event_ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
        if event_ms > latest:
            answers.append(Rejected(Reason.EVENT_TIME_FUTURE, f"event_time: {_ahead(event_ms - now_ms)} ahead"))
            continue
        answers.append(Decoded(event, event_ms, unknown_fields))
    return answers


_OTHER_VERSION: Final = Rejected(
    Reason.SCHEMA_VERSION, f"schema_version: major version {SCHEMA_MAJOR} is spoken here, as in {SCHEMA_VERSION}"
)


def _ahead(ms: int) -> str:
    """A coarse distance: the exact one would give the event's time away."""
    minutes = ms // 60_000
    return f"{minutes} minutes" if minutes < 60 else "an hour or more"


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _given_twice(value: bytes, name: str) -> bool:
    """Whether a valid object has member `name` twice: parsers differ in which one they take, so who is meant?"""
    members: list[tuple[str, Any]] = json.loads(value, object_pairs_hook=list)
    return sum(member == name for member, _ in members) > 1


class _Head(BaseModel):
    """The one field that decides how the rest is read."""

    model_config = ConfigDict(extra="ignore")

    schema_version: Any = None


def _second_look(kind: type[E], value: bytes, error: ValidationError) -> tuple[E, int] | Rejected:
    """What is wrong with the record; or the event, where its only fault is to be of a higher minor version."""
    errors = _errors(error)
    if any(found["type"] == "json_invalid" for found in errors):
        return _not_text(value)
    try:
        version = _Head.model_validate_json(value).schema_version
    except ValidationError:  # JSON, but not an object
        return Rejected(Reason.SCHEMA, _detail(kind, errors))
    if any(found["loc"][:1] == ("schema_version",) for found in errors):
        return Rejected(Reason.SCHEMA_VERSION, _detail(kind, errors))
    major, minor = _version(version)
    if major != SCHEMA_MAJOR:
        return _OTHER_VERSION
    if minor > SCHEMA_MINOR:
        unknown_fields = sum(found["type"] == "extra_forbidden" for found in errors)
        try:
            return kind.__pydantic_validator__.validate_json(value, extra="ignore"), unknown_fields
        except ValidationError as other:
            errors = _errors(other)
    return Rejected(_reason(errors), _detail(kind, errors))


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _not_text(value: bytes) -> Rejected:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Rejected(Reason.NOT_UTF8, f"invalid UTF-8 at byte {error.start}")
    if value.startswith(b"\xef\xbb\xbf"):
        return Rejected(Reason.NOT_JSON, "the value starts with a byte order mark")
    return Rejected(Reason.NOT_JSON, "the value is not one JSON document" if value.strip() else "the value is empty")


def _reason(errors: Iterable[ErrorDetails]) -> Reason:
    """The most serious fault names the reason: identity, then time, then revision, then the rest."""
    found = {(error["loc"][0] if error["loc"] else "", error["type"]) for error in errors}
    if any(field in _IDENTITY for field, _ in found):
        return Reason.IDENTITY
    times = {kind for field, kind in found if field == "event_time"}
    if times:
        if "missing" in times:
            return Reason.EVENT_TIME_MISSING
        return Reason.EVENT_TIME_NAIVE if "timezone_aware" in times else Reason.EVENT_TIME_INVALID
    return Reason.REPLACES_MISSING if any(kind == _REPLACES for _, kind in found) else Reason.SCHEMA


def _detail(kind: type[Envelope], errors: Sequence[ErrorDetails]) -> str:
    """Fields and kinds of error: "observations.3.code: missing". Names that are not the contract's are not repeated."""
    known = field_names(kind)
    parts = []
    for error in errors[:_DETAIL_MAX]:
        steps = (str(step) if isinstance(step, int) or step in known else "<unknown>" for step in error["loc"])
        parts.append(f"{'.'.join(steps) or 'value'}: {error['type']}")
    more = len(errors) - _DETAIL_MAX
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


@cache
def field_names(kind: type[Envelope]) -> frozenset[str]:
    """Every name that may stand in the path of an error in `kind`: fields at any depth, and kinds of a union."""
    names: set[str] = set()

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            names.update(part.get("properties", ()), part.get("discriminator", {}).get("mapping", ()))
            for inner in part.values():
                collect(inner)
        elif isinstance(part, list):
            for inner in part:
                collect(inner)

    collect(kind.model_json_schema())
    return frozenset(names) | kind.union_tags
