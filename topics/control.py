"""The control event: what operators change while the system runs.

Decides who set something, why and until when; which settings exist is `topics.control_settings`. The record's key is
the setting's subject. A null value for a subject takes the setting back; the codec calls it `null_value`, and the
reader of the control topic looks for it first. Who took it back and why stand in the headers of that record, because
it has no value.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from topics.control_settings import Mute, PatientLimits, Setting
from topics.events import Envelope, Identifier, UtcTime

MUTE_MAX: Final = timedelta(hours=24)
"""Policy: whoever wants an alert muted for longer says so again each day, or changes the thresholds."""

LIMITS_MAX: Final = timedelta(days=30)
"""Policy: what was decided for a patient is decided again after a month."""

_LASTS: Final = {Mute: ("a mute", MUTE_MAX, "24 hours"), PatientLimits: ("a patient's limits", LIMITS_MAX, "30 days")}

Reasoning = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class ControlEvent(Envelope):
    """One setting, who set it and why."""

    key_field: ClassVar[str] = "subject"

    subject: str = Field(max_length=300, description="Key of the record; follows from the setting.")
    setting: Setting
    actor: Identifier = Field(description="Who did it: an account or role.")
    reason: Reasoning = Field(description="Why, in words; goes into the audit topic.")
    expires_at: UtcTime | None = Field(
        None,
        description="When it ends by itself; mandatory for a mute (at most 24 hours after event_time) and for a "
        "patient's limits (at most 30 days).",
    )

    @property
    def kind(self) -> str:
        """Kind of the setting."""
        return self.setting.kind

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.subject != self.setting.subject:
            raise PydanticCustomError("subject_mismatch", "subject must be the one of the setting")
        what, most, words = _LASTS.get(type(self.setting), ("", None, ""))
        if self.expires_at is None:
            if most is not None:
                raise PydanticCustomError("expires_at_missing", "{what} must expire", {"what": what})
            return self
        if self.expires_at <= self.event_time:
            raise PydanticCustomError("expires_at_past", "expires_at must lie after event_time")
        if most is not None and self.expires_at - self.event_time > most:
            raise PydanticCustomError(
                "expires_at_late", "{what} ends at most {words} after event_time", {"what": what, "words": words}
            )
        return self
