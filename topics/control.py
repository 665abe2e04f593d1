"""The control event: what operators change while the system runs.

Decides which settings exist and how each is named: the record's key is the setting's subject, so that log compaction
keeps the newest event of every setting and no other. A null value for a subject takes the setting back; the codec
calls it `null_value`, and the reader of the control topic looks for it first. Who took it back and why stand in the
headers of that record, because it has no value.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from topics.events import Contract, Envelope, Identifier, UtcTime

EVERYWHERE: Final = "*"
MUTE_MAX: Final = timedelta(hours=24)
"""Policy: whoever wants an alert muted for longer says so again each day, or changes the thresholds."""

SUBJECT: Final = re.compile(
    r"kill_switch|model/(vitals|notes|imaging|fusion|ranker)|thresholds/.{1,128}|mute/.{1,128}/.{1,128}"
)
"""What a subject looks like: any other key of the control topic is a mistake, and may be anything."""

Reasoning = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Thresholds(Contract):
    """When alerts are raised and cleared on a ward ("*": on all that have none of their own). None: the default."""

    kind: Literal["thresholds"] = "thresholds"
    unit: Identifier = EVERYWHERE
    news2_raise: int | None = Field(None, ge=1, le=20, description="Raise at this NEWS2 total or above.")
    news2_clear: int | None = Field(None, ge=0, le=20, description="Clear below this NEWS2 total.")
    model_raise: float | None = Field(None, gt=0, le=1, description="Raise at this calibrated probability or above.")

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"thresholds/{self.unit}"

    @model_validator(mode="after")
    def _clears_not_above_raise(self) -> Self:
        if self.news2_raise is not None and self.news2_clear is not None and self.news2_clear > self.news2_raise:
            raise PydanticCustomError("clear_above_raise", "news2_clear must not exceed news2_raise")
        return self


class ModelSwitch(Contract):
    """Turn one model on or off. Rules go on in any case."""

    kind: Literal["model"] = "model"
    name: Literal["vitals", "notes", "imaging", "fusion", "ranker"]
    enabled: bool

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"model/{self.name}"


class KillSwitch(Contract):
    """Turn all models off at once. Rules go on in any case."""

    kind: Literal["kill_switch"] = "kill_switch"
    on: bool

    @property
    def subject(self) -> str:
        """Key of the record."""
        return "kill_switch"


class Mute(Contract):
    """Keep one action from paging on a ward for a while, MUTE_MAX at most. It is still recommended."""

    kind: Literal["mute"] = "mute"
    unit: Identifier = EVERYWHERE
    action_id: Identifier

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"mute/{self.unit}/{self.action_id}"


Setting = Annotated[Thresholds | ModelSwitch | KillSwitch | Mute, Field(discriminator="kind")]


class ControlEvent(Envelope):
    """One setting, who set it and why."""

    key_field: ClassVar[str] = "subject"

    subject: str = Field(max_length=300, description="Key of the record; follows from the setting.")
    setting: Setting
    actor: Identifier = Field(description="Who did it: an account or role.")
    reason: Reasoning = Field(description="Why, in words; goes into the audit topic.")
    expires_at: UtcTime | None = Field(
        None, description="When it ends by itself; mandatory for a mute, at most 24 hours after event_time."
    )

    @property
    def kind(self) -> str:
        """Kind of the setting."""
        return self.setting.kind

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.subject != self.setting.subject:
            raise PydanticCustomError("subject_mismatch", "subject must be the one of the setting")
        if self.expires_at is None and isinstance(self.setting, Mute):
            raise PydanticCustomError("expires_at_missing", "a mute must expire")
        if self.expires_at is not None and self.expires_at <= self.event_time:
            raise PydanticCustomError("expires_at_past", "expires_at must lie after event_time")
        lasts = None if self.expires_at is None else self.expires_at - self.event_time
        if lasts is not None and lasts > MUTE_MAX and isinstance(self.setting, Mute):
            raise PydanticCustomError("expires_at_late", "a mute ends at most 24 hours after event_time")
        return self
