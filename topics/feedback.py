"""The feedback event: what a clinician did with a recommendation (after CDS Hooks feedback).

Decides the shape; the effect on alerts is the worker's business. `event_time` is when it was done.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from topics.events import Event, Identifier
from topics.override_reasons import OVERRIDE_REASONS


class FeedbackEvent(Event):
    """One outcome of one recommendation. It may be repeated; the last one counts."""

    recommendation_id: Identifier
    alert_id: Identifier | None = None
    action_id: Identifier | None = Field(None, description="The recommended action, where one is meant.")
    outcome: Literal["accepted", "overridden", "snoozed", "acknowledged"]
    override_reason: str | None = Field(
        None,
        description="Code of HL7 non-adherence-reason-codes; mandatory where overridden, and where a critical alert is "
        "snoozed; not used otherwise.",
        json_schema_extra={"enum": [*OVERRIDE_REASONS, None]},
    )
    snooze_minutes: int | None = Field(None, ge=1, le=720, description="Only where snoozed.")
    actor_role: Identifier = Field(description="Role, never a name: nurse, doctor, ...")

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        overridden = self.outcome == "overridden"
        given = self.override_reason is not None
        if overridden and not given:
            raise PydanticCustomError("override_reason", "outcome overridden needs an override_reason")
        if given and self.outcome not in ("overridden", "snoozed"):
            raise PydanticCustomError("override_reason", "override_reason goes with overridden or snoozed only")
        if given and self.override_reason not in OVERRIDE_REASONS:
            raise PydanticCustomError("override_reason_unknown", "not a code of non-adherence-reason-codes")
        if self.snooze_minutes is not None and self.outcome != "snoozed":
            raise PydanticCustomError("snooze_minutes", "snooze_minutes goes with outcome snoozed only")
        return self
