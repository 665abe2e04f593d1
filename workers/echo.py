"""What operators set that bears on one result, as the result says it."""

from __future__ import annotations

from typing import Any, Final

from topics.control_settings import EVERYWHERE, PatientLimits
from workers.arms import Arm
from workers.control import Control
from workers.records import Record

_NOTHING: Final[dict[str, Any]] = {
    "rules_only": False, "models_off": [], "canary": [], "limits": [], "policy": EVERYWHERE,
}  # fmt: skip


def in_force(record: Record, arm: Arm, control: Control) -> dict[str, Any]:
    """The part `control` of a result."""
    plain = not (arm.rules_only or arm.canary or control.models_off or control.limits or len(control.policies) > 1)
    if plain:
        return _NOTHING
    limits = control.limits.get(record.patient)
    return {
        "rules_only": arm.rules_only,
        "models_off": sorted(control.models_off),
        "canary": list(arm.canary),
        "limits": [] if limits is None else _names(limits),
        "policy": control.policy_unit(record.event.unit),
    }


def _names(limits: PatientLimits) -> list[str]:
    """Which limits are set; never their subject."""
    return [name for name in ("spo2_scale", "icu_not_appropriate", "dnacpr") if getattr(limits, name)]
