"""What a vitals event says: canonical values, and what of it is not believed.

Decides unit conversion, plausibility, coded values, oxygen inference and flags. Never raises on an event that
decoded: a value that cannot be used becomes missing and is named in `suspects` (by parameter, never by value).

A hot path: an ordinary observation (a plausible number in its canonical unit) costs a few dict look-ups and two
comparisons; everything else goes through `_unusual`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from topics.parameters import CODES, FAHRENHEIT, FLAG_BIT, INDEX, OXYGEN_WORDS, PARAMETERS, Code
from topics.reasons import Reason
from topics.vitals import Oxygen, VitalsEvent

_ACVPU: Final = CODES["acvpu"]
_ON_OXYGEN: Final = INDEX["on_oxygen"]
_FLOW: Final = CODES["o2_flow"]
_FIO2: Final = CODES["fio2"]
_ROOM_AIR_FIO2: Final = 21.0
_BOOLEAN: Final = frozenset(i for i, p in enumerate(PARAMETERS) if p.unit in {"{0,1}", "{event}"})
_OCCURRENCE: Final = frozenset(i for i, p in enumerate(PARAMETERS) if p.unit == "{event}")

_DECIMAL_TEXT: Final = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?")


class Suspect(NamedTuple):
    """A value that was left out, and why; `parameter` is "unrecognised" where the code itself is unknown."""

    parameter: str
    reason: Reason


class Readings(NamedTuple):
    """What one vitals event says.

    Attributes:
        values: By index into PARAMETERS, the value in the canonical unit.
        suspects: What was left out.
        conflict: The event contradicts itself. Of several values the last is kept; of statements about oxygen,
            the one that says oxygen.
        flags_known: Bit i is set where FLAG_NAMES[i] was stated.
        flags_true: Bit i is set where it was stated to hold; a subset of `flags_known`.
        spo2_scale: 1 or 2, or 0 where not stated.
    """

    values: dict[int, float]
    suspects: list[Suspect]
    conflict: bool
    flags_known: int
    flags_true: int
    spo2_scale: int


def readings(event: VitalsEvent) -> Readings:
    """Convert, check and collect everything that `event` states.

    Sources: FHIR R4 vital signs for intervals, UCUM for units, NHS CareConnect for the oxygen inference.
    """
    values: dict[int, float] = {}
    suspects: list[Suspect] = []
    conflict = False
    codes = CODES
    for observation in event.observations:
        code = codes.get(observation["code"])
        if code is None:
            suspects.append(Suspect("unrecognised", Reason.CODE_UNKNOWN))
            continue
        index, units, low, high = code
        value = observation["value"]
        kind = type(value)
        unit = observation.get("unit")
        if (kind is float or kind is int) and low <= value <= high and units.get(unit) == 1.0:
            if values.setdefault(index, value) != value:
                values[index] = value
                conflict = True
        else:
            conflict |= _put(code, _unusual(code, value, unit), values, suspects)
    acvpu, oxygen = event.acvpu, event.oxygen
    if acvpu is not None:
        conflict |= _put(_ACVPU, _unusual(_ACVPU, acvpu, None), values, suspects)
    if oxygen is not None or _FLOW.column in values or _FIO2.column in values:
        conflict |= _infer_oxygen(oxygen, values, suspects)
    scale = event.spo2_scale
    if type(scale) is not int or not 1 <= scale <= 2:
        if scale is not None:
            suspects.append(Suspect("spo2_scale", Reason.SUSPECT_VALUE))
        scale = 0
    subject = event.subject
    if subject is not None and subject.age_years != subject.age_years:  # NaN: given but unusable
        suspects.append(Suspect("age_years", Reason.SUSPECT_VALUE))
    known, true = read_flags(event.flags, suspects) if event.flags else (0, 0)
    return Readings(values, suspects, conflict, known, true, scale)


def _put(code: Code, read: float | Reason | None, values: dict[int, float], suspects: list[Suspect]) -> bool:
    """Note a value or why there is none. Returns whether it contradicts an earlier one."""
    if read is None:
        return False
    if isinstance(read, Reason):
        suspects.append(Suspect(PARAMETERS[code.column].name, read))
        return False
    conflict = values.setdefault(code.column, read) != read
    values[code.column] = read
    return conflict


def _unusual(code: Code, value: Any, unit: str | None) -> float | Reason | None:
    """The canonical value, why there is none, or None where nothing was said (null; "not given" of a dose)."""
    index, units, low, high = code
    if value is None:
        return None
    if isinstance(value, str):
        word = PARAMETERS[index].words.get(value)
        if word is not None:
            return word
    number = _number(value, boolean=index in _BOOLEAN)
    if number is None or not units:
        return Reason.SUSPECT_VALUE
    factor = units.get(unit)
    if factor is None:
        return Reason.UNIT_UNKNOWN
    number = _celsius(number) if factor == FAHRENHEIT else number * factor
    if index == _FIO2.column and 0.21 <= number <= 1.0:  # a fraction, whatever the unit says: 1 % does not exist
        number = round(number * 100, 6)
    if number == 0 and index in _OCCURRENCE:
        return None
    return number if low <= number <= high else Reason.SUSPECT_VALUE


def _number(value: Any, *, boolean: bool) -> float | None:
    """`value` as a float, or None. Text must be plain decimal: "<5", "1e3", "nan" and "4_0" are not.

    NaN and infinities pass: no interval holds them.
    """
    if isinstance(value, bool):
        return float(value) if boolean else None
    if isinstance(value, str):
        return float(value) if _DECIMAL_TEXT.fullmatch(value) else None
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1e308
        return None


def _celsius(fahrenheit: float) -> float:
    """Decimal, so that 100.4 becomes 38.0 and not the float below a NEWS2 band's edge."""
    return float((Decimal(repr(fahrenheit)) - 32) * 5 / 9)


def _infer_oxygen(oxygen: Oxygen | None, values: dict[int, float], suspects: list[Suspect]) -> bool:
    """Add flow, FiO2 and on_oxygen to `values`. Returns whether statements contradict each other.

    On oxygen: stated, flow above 0 or FiO2 above 21 %. On air: stated, flow 0 or FiO2 21 %. Neither: left unknown.
    Of contradicting statements the one for oxygen wins, as the more careful.
    """
    conflict = False
    stated = values.get(_ON_OXYGEN)
    delivered: float | None = None
    if oxygen is not None:
        for code, value in ((_FLOW, oxygen.flow_l_min), (_FIO2, oxygen.fio2)):
            if value is not None:
                conflict |= _put(code, _unusual(code, value, None), values, suspects)
        delivery = oxygen.delivery
        if isinstance(delivery, str) and delivery in OXYGEN_WORDS:
            delivered = OXYGEN_WORDS[delivery]
        elif delivery is not None and delivery != "unknown":
            suspects.append(Suspect("on_oxygen", Reason.SUSPECT_VALUE))
    flow, fio2 = values.get(_FLOW.column), values.get(_FIO2.column)
    if stated is None and flow is None and fio2 is None:  # as a rule: nothing that could contradict
        if delivered is not None:
            values[_ON_OXYGEN] = delivered
        return conflict
    measured: float | None = None
    if flow is not None or fio2 is not None:
        measured = float((flow or 0) > 0 or (fio2 or 0) > _ROOM_AIR_FIO2)
    evidence = [item for item in (stated, delivered, measured) if item is not None]
    if evidence:
        values[_ON_OXYGEN] = max(evidence)
        conflict |= min(evidence) != max(evidence)
    return conflict


def read_flags(flags: Mapping[str, Any], suspects: list[Suspect]) -> tuple[int, int]:
    """Masks (known, true) of what an event's `flags` state; what cannot be used is added to `suspects`."""
    known = true = 0
    for name, value in flags.items():
        bit = FLAG_BIT.get(name)
        if bit is None:
            suspects.append(Suspect("unrecognised", Reason.CODE_UNKNOWN))
        elif isinstance(value, bool):
            known |= bit
            true |= bit if value else 0
        elif value is not None:
            suspects.append(Suspect(name, Reason.SUSPECT_VALUE))
    return known, true
