"""What operators can set while the system runs: one class a kind of setting, and the subject that names it.

The subject is the key of the record, so that log compaction keeps the newest event of every setting and no other.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from topics.events import Contract, Identifier

EVERYWHERE: Final = "*"
ModelName = Literal["vitals", "notes", "imaging", "fusion", "ranker"]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$")]
Choice = tuple[tuple[str, str], ...]
"""A model's name and version, and those of the fusion that goes with it where one was named."""

UNCHARTED: Final = ("acvpu", "on_oxygen")
"""NEWS2 parameters that a ward may declare that it never charts."""

SUBJECT: Final = re.compile(
    r"kill_switch|model/(vitals|notes|imaging|fusion|ranker)|(thresholds|policy|rules_only)/.{1,128}"
    r"|mute/.{1,128}/.{1,128}|patient/[0-9a-f]{32}"
)
"""What a subject looks like: any other key of the control topic is a mistake, and may be anything."""

_CLOCK: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_QUIET: Final = re.compile(rf"({_CLOCK})-({_CLOCK}) (\S{{1,64}})")


class Thresholds(Contract):
    """When alerts are raised and cleared on a ward ("*": on all that have none of their own). None: the default."""

    kind: Literal["thresholds"] = "thresholds"
    unit: Identifier = EVERYWHERE
    news2_raise: int | None = Field(None, ge=1, le=20, description="Raise at this NEWS2 total or above.")
    news2_critical: int | None = Field(None, ge=1, le=20, description="Critical at this NEWS2 total or above.")
    news2_clear: int | None = Field(None, ge=0, le=20, description="Clear below this NEWS2 total.")
    news2_info: int | None = Field(None, ge=1, le=20, description="Info alert at this NEWS2 total or above.")
    model_raise: float | None = Field(None, gt=0, le=1, description="Raise at this calibrated probability or above.")

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"thresholds/{self.unit}"

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.news2_raise is not None and self.news2_clear is not None and self.news2_clear > self.news2_raise:
            raise PydanticCustomError("clear_above_raise", "news2_clear must not exceed news2_raise")
        if self.news2_raise is not None and self.news2_critical is not None and self.news2_critical < self.news2_raise:
            raise PydanticCustomError("critical_below_raise", "news2_critical must not lie below news2_raise")
        if self.news2_raise is not None and self.news2_info is not None and self.news2_info >= self.news2_raise:
            raise PydanticCustomError("info_above_raise", "news2_info must lie below news2_raise")
        return self


def _known_hours(value: str) -> str:
    found = _QUIET.fullmatch(value)
    if found is None or found[1] == found[2]:
        raise PydanticCustomError("quiet_hours", "quiet_hours look like 22:00-06:00 Europe/London")
    try:
        ZoneInfo(found[3])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "time_zone", "there is no such time zone; IANA names look like Europe/London"
        ) from None
    return value


Minutes = Annotated[int, Field(ge=1, le=1440)]


class TierMinutes(Contract):
    """Minutes by tier; None: the default. For critical alerts an hour at most."""

    info: Minutes | None = None
    warning: Minutes | None = None
    critical: Annotated[int, Field(ge=1, le=60)] | None = None


class WardPolicy(Contract):
    """How alerts behave on a ward ("*": on all that have none of their own). None: the default."""

    kind: Literal["policy"] = "policy"
    unit: Identifier = EVERYWHERE
    quiet_hours: Annotated[str, AfterValidator(_known_hours)] | None = Field(
        None, description="When info alerts wait, local time and IANA zone: 22:00-06:00 Europe/London."
    )
    confirm_scores: int | None = Field(
        None, ge=1, le=3, description="How many of the last three risks must be high before a model alone alerts."
    )
    confirm_minutes: Annotated[int, Field(ge=0, le=240)] | None = Field(
        None, description="Or for how long all of them must have been."
    )
    hold_minutes: Annotated[int, Field(ge=0, le=720)] | None = Field(
        None, description="For how long a patient must be better before an alert clears."
    )
    refractory_minutes: TierMinutes = Field(
        default_factory=TierMinutes, description="For how long the same is not told again, by the tier told."
    )
    snooze_max_minutes: TierMinutes = Field(default_factory=TierMinutes, description="The longest snooze, by tier.")
    uncharted: list[Literal["acvpu", "on_oxygen"]] | None = Field(
        None, description="NEWS2 parameters that this ward never charts: missing, they keep no alert from clearing."
    )
    budget_per_100_patient_days: float | None = Field(
        None, gt=0, le=1000, description="Alerts that the ward means to stay below. Measured; it holds no alert."
    )

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"policy/{self.unit}"

    @property
    def quiet_minutes(self) -> tuple[int, int, str] | None:
        """Start and end as minutes of the local day, and the zone."""
        found = None if self.quiet_hours is None else _QUIET.fullmatch(self.quiet_hours)
        return None if found is None else (_minute(found[1]), _minute(found[2]), found[3])


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


class ModelSwitch(Contract):
    """One model: on or off, which version, and which candidates run beside it. Rules go on in any case."""

    kind: Literal["model"] = "model"
    name: ModelName
    enabled: bool = True
    version: Version | None = Field(None, description="Version to use; the one of the models folder where not given.")
    shadow: Version | None = Field(None, description="Candidate that scores the same records and changes no result.")
    canary: Version | None = Field(None, description="Candidate that a share of the patients gets.")
    share: float | None = Field(None, gt=0, le=1, description="Share of patients of the canary; needed with it.")
    fusion: Version | None = Field(None, description="Fusion that goes with `version`: both change at once.")
    shadow_fusion: Version | None = Field(None, description="Fusion that goes with `shadow`.")
    canary_fusion: Version | None = Field(None, description="Fusion that goes with `canary`.")

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"model/{self.name}"

    @property
    def to_use(self) -> Choice:
        """What everybody is to have; empty where no version is named."""
        return self._with(self.version, self.fusion)

    @property
    def for_some(self) -> Choice:
        """What patients of the canary are to have."""
        return self._with(self.canary, self.canary_fusion)

    @property
    def along(self) -> Choice:
        """What scores along."""
        return self._with(self.shadow, self.shadow_fusion)

    def _with(self, version: str | None, fusion: str | None) -> Choice:
        if version is None:
            return ()
        return ((self.name, version),) if fusion is None else ((self.name, version), ("fusion", fusion))

    @model_validator(mode="after")
    def _share_goes_with_canary(self) -> Self:
        if (self.canary is None) != (self.share is None):
            raise PydanticCustomError("canary_share", "canary and share go together")
        pairs = ((self.fusion, self.version), (self.canary_fusion, self.canary), (self.shadow_fusion, self.shadow))
        for fusion, beside in pairs:
            if fusion is not None and (beside is None or self.name in ("fusion", "ranker")):
                raise PydanticCustomError("fusion_alone", "a fusion goes with a version of vitals, notes or imaging")
        if self.shadow_fusion is not None and self.name != "vitals":
            raise PydanticCustomError("shadow_fusion", "in shadow, a fusion goes with vitals only")
        if not self.enabled and self.canary is not None:
            raise PydanticCustomError("canary_off", "a model that is off has no canary")
        return self


class KillSwitch(Contract):
    """Turn all models off at once. Rules go on in any case."""

    kind: Literal["kill_switch"] = "kill_switch"
    on: bool

    @property
    def subject(self) -> str:
        """Key of the record."""
        return "kill_switch"


class RulesOnly(Contract):
    """Decide a ward's records ("*": everybody's) by rules and clinical scores alone, without any model."""

    kind: Literal["rules_only"] = "rules_only"
    unit: Identifier = EVERYWHERE
    on: bool

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"rules_only/{self.unit}"


class Mute(Contract):
    """Keep one action from paging on a ward for a while, MUTE_MAX at most. It is still recommended."""

    kind: Literal["mute"] = "mute"
    unit: Identifier = EVERYWHERE
    action_id: Identifier

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"mute/{self.unit}/{self.action_id}"


class PatientLimits(Contract):
    """What a prescriber has decided for one patient: the SpO2 scale, and ceilings of care.

    The patient is named by the system's keyed HMAC, never by an identifier.
    """

    kind: Literal["patient"] = "patient"
    patient: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(description="Keyed HMAC, hex.")
    spo2_scale: Literal[1, 2] | None = Field(None, description="Scale 2 only for confirmed hypercapnic failure.")
    icu_not_appropriate: bool = Field(False, description="Critical care is not appropriate.")
    dnacpr: bool = Field(False, description="Do not attempt cardiopulmonary resuscitation.")

    @property
    def subject(self) -> str:
        """Key of the record."""
        return f"patient/{self.patient}"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.spo2_scale is None and not (self.icu_not_appropriate or self.dnacpr):
            raise PydanticCustomError("no_limit", "give a scale or a ceiling")
        return self


Setting = Annotated[
    Thresholds | WardPolicy | ModelSwitch | KillSwitch | RulesOnly | Mute | PatientLimits, Field(discriminator="kind")
]
