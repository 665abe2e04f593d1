"""The audit event: what one record of the control topic changed, who wrote it and why.

Decides what is kept for years of a change that compaction may take from the control topic. Its content follows from the
control topic alone, so that whichever worker writes it writes the same; who writes it is the worker's business.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from topics.control import Reasoning
from topics.control_settings import Setting
from topics.events import Contract, Identifier, UtcTime
from topics.reasons import Reason

AUDIT_SCHEMA_VERSION: Final = "1.0"


class AuditEvent(Contract):
    """What became of one control record. The same `audit_id` may come again: keep one of them."""

    schema_version: Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{1,4}$")] = AUDIT_SCHEMA_VERSION
    audit_id: Identifier = Field(description="Of the control record: partition, offset, timestamp. Repeats share it.")
    control_offset: int = Field(ge=0, description="Offset of the control record; results echo it.")
    written_at: UtcTime = Field(description="When the control record was written: its timestamp in Kafka.")
    subject: str | None = Field(
        max_length=300, description="The setting; null where the record's key is no subject of the contract."
    )
    outcome: Literal["set", "taken_back", "refused"] = Field(description="Refused: what was in force before stayed.")
    before: Setting | None = Field(description="What was set for the subject before; null for the default.")
    after: Setting | None = Field(description="What is set since; null for the default.")
    actor: Identifier | None = Field(description="Who did it; null where the record does not say (usably).")
    reason: Reasoning | None = Field(description="Why, in words; null where the record does not say (usably).")
    expires_at: UtcTime | None = Field(description="When the new setting ends by itself.")
    refusal: Reason | None = Field(description="Why the record was refused.")
    detail: str | None = Field(max_length=500, description="What of it was wrong: field names, never values.")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.outcome == "refused") != (self.refusal is not None):
            raise PydanticCustomError("refusal", "a refusal goes with outcome refused, and only with it")
        if (self.outcome == "set") != (self.after is not None):
            raise PydanticCustomError("after", "a setting goes with outcome set, and only with it")
        return self
