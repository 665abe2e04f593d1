"""The vitals event: one set of observations of one patient at one time.

Decides the shape only. What the values mean, and whether they are believed, is `readings.py`'s: every clinical value
is accepted here whatever its JSON type, because a wrong one must become missing and not cost the whole set.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict  # typing's own lacks what pydantic needs before Python 3.12

from topics.events import Contract, Event, Flags
from topics.parameters import ACVPU_WORDS, PARAMETERS

MAX_OBSERVATIONS: Final = 1000

_VALUE_SCHEMA: Final = {
    "anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}],
    "description": "A number, or a code for coded parameters. What is implausible becomes missing and is reported.",
}


class Observation(TypedDict):
    """One value of one parameter.

    A dict rather than a model: built for every value of every event, it costs a fifth less to decode.

    Attributes:
        code: A parameter's name or LOINC code.
        value: A number (or its decimal text), or a code or boolean for coded parameters.
        unit: UCUM. May be left out only where the parameter is always reported in the same unit.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    code: Annotated[
        str, WithJsonSchema({"type": "string", "examples": [p.name for p in PARAMETERS[:3]], "title": "Code"})
    ]
    value: Annotated[Any, WithJsonSchema(_VALUE_SCHEMA)]
    unit: NotRequired[Annotated[str | None, Field(description="UCUM unit.")]]


class Oxygen(Contract):
    """Inspired oxygen. What is left out stays unknown: a missing flow is not room air.

    Attributes:
        delivery: "air", "oxygen" or "unknown".
        flow_l_min: Flow in L/min.
        fio2: Inspired fraction, 0.21 to 1.0, or percent, 21 to 100.
    """

    delivery: Annotated[Any, WithJsonSchema({"enum": ["air", "oxygen", "unknown", None]})] = None
    flow_l_min: Annotated[Any, WithJsonSchema({"type": ["number", "null"], "minimum": 0})] = None
    fio2: Annotated[Any, WithJsonSchema({"type": ["number", "null"], "minimum": 0.21, "maximum": 100})] = None


class VitalsEvent(Event):
    """One observation set; any subset of vital signs and laboratory values."""

    observations: list[Observation] = Field(default_factory=list, max_length=MAX_OBSERVATIONS)
    oxygen: Oxygen | None = None
    acvpu: Annotated[
        Any, WithJsonSchema({"enum": [*ACVPU_WORDS, None], "description": "A, C (new confusion), V, P, U."})
    ] = None
    spo2_scale: Annotated[
        Any,
        WithJsonSchema({"enum": [1, 2, None], "description": "2 only where 88-92 % is prescribed; never inferred."}),
    ] = None
    flags: Flags = Field(default_factory=dict)
