"""What every event has in common: who, when, in which version, and what it replaces.

Decides identity, time and revision. Must not know what an observation, a note or an image is. Clinical values are
never refused here or in the modules of the single events: a wrong value becomes missing later, so that one bad
reading does not silence a patient. Only a record whose structure, identity or time cannot be used is refused.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from topics.parameters import FLAG_NAMES

SCHEMA_VERSION: Final = "1.0"
SCHEMA_MAJOR: Final = 1
SCHEMA_MINOR: Final = 0

MAX_VALUE_BYTES: Final = 1024 * 1024
"""Largest value of an event; Kafka's own default limit of a record."""

_NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
_RFC3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?$"
)

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_NO_CONTROL)]
"""1 to 128 characters without control characters."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
"""SHA-256 of the object's bytes, hexadecimal."""


def _to_utc(time: datetime) -> datetime:
    """The same instant in UTC; refuses those that UTC cannot express (years 0 and 10000)."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "the time is outside the years 1 to 9999 in UTC") from None


def _time_schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    """Text must look like RFC 3339, because the library would read "1700000000" as epoch seconds, or are they ms?"""
    aware = core_schema.datetime_schema(tz_constraint="aware")
    text = core_schema.chain_schema([core_schema.str_schema(pattern=_RFC3339), aware])
    return core_schema.json_or_python_schema(json_schema=text, python_schema=aware)


UtcTime = Annotated[
    datetime,
    GetPydanticSchema(_time_schema),
    AfterValidator(_to_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T08:15:00+00:00"]}),
]
"""An instant: RFC 3339 text with UTC offset in JSON, an aware datetime in UTC in Python."""


def _or(default: float | None) -> GetPydanticSchema:
    """A value that cannot be used becomes `default` instead of costing the event."""

    def schema(source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_default_schema(handler(source), default=default, on_error="default")

    return GetPydanticSchema(schema)


Flags = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"type": ["boolean", "null"]} for name in FLAG_NAMES},
            "additionalProperties": False,
        }
    ),
    Field(description="Facts that hold until said otherwise; null means unknown."),
]
"""What is stated of FLAG_NAMES. Values are checked by `readings.read_flags`, so that none costs the event."""


class Contract(BaseModel):
    """Base of everything that travels: immutable, and strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Subject(Contract):
    """What of the patient decides which charts apply. Values that cannot be used never cost the event.

    Attributes:
        age_years: 0 to 130, None where not given, NaN where given but unusable.
        sex: None where not given or unusable.
        pregnant: None where not given or unusable.
    """

    age_years: Annotated[float | None, Field(ge=0, le=130), _or(math.nan)] = None
    sex: Annotated[Literal["female", "male", "other", "unknown"] | None, _or(None)] = None
    pregnant: Annotated[bool | None, _or(None)] = None


class Envelope(Contract):
    """What the codec needs of any event: version, identity and time.

    `key_field` names the field that the record's key must equal; `union_tags` are names in the paths of errors that
    are no fields.
    """

    key_field: ClassVar[str] = "patient_id"
    union_tags: ClassVar[frozenset[str]] = frozenset()

    schema_version: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$")] = Field(
        description="major.minor of this contract; fields of a higher minor version are ignored."
    )
    event_id: Identifier = Field(description="Unique for each event, and the same when the event is sent again.")
    event_time: UtcTime = Field(description="When it was observed (not sent), RFC 3339 with UTC offset.")


class Event(Envelope):
    """An event about one patient."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"status": {"enum": ["corrected", "entered-in-error"]}}, "required": ["status"]},
            "then": {"properties": {"replaces": {"type": "string"}}, "required": ["replaces"]},
            "else": {"properties": {"replaces": {"type": "null"}}},
        }
    )

    patient_id: Identifier = Field(description="The patient; also the key of the record.")
    encounter_id: Identifier | None = Field(None, description="The hospital stay, where known.")
    unit: Identifier | None = Field(None, description="The ward, where known; thresholds may be set by ward.")
    source: Identifier = Field(description="The system or device that sends.")
    status: Literal["final", "corrected", "entered-in-error"] = Field(
        "final", description="corrected replaces an earlier event, entered-in-error retracts it."
    )
    replaces: Identifier | None = Field(None, description="event_id of the replaced event; mandatory unless final.")
    subject: Subject | None = Field(None, description="Age, sex and pregnancy, where known.")

    @model_validator(mode="after")
    def _names_what_it_replaces(self) -> Self:
        """A correction without a target could only be guessed at; a final event with one contradicts itself."""
        if self.status == "final":
            if self.replaces is not None:
                raise PydanticCustomError("replaces_unexpected", "a final event replaces nothing")
        elif self.replaces is None or self.replaces == self.event_id:
            raise PydanticCustomError("replaces_missing", "name the other event that this one replaces")
        return self
