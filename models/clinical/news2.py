"""National Early Warning Score 2, for a batch, with the interval of totals that missing readings leave open.

Royal College of Physicians. National Early Warning Score (NEWS) 2: Standardising the assessment of acute-illness
severity in the NHS. London: RCP, 2017 (bands: Chart 1, responses: Chart 4; `data/news2.json`).

Every reading is looked up once in a table of all values it can be charted as. An entry packs the lowest and highest
points the reading allows; for a missing one that is 0 and the parameter's maximum, so the column sums of the entries
are the bounds of the total. On SpO2 scale 2 the points depend on oxygen as well; with unknown oxygen its row takes the
points on air as the lowest and those on oxygen as the highest. Both bounds are reached by the same two cases that
bound the oxygen points, so the interval of the total is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.clinical.charting import chart_units
from models.clinical.tables import load_table
from models.clinical.truth import TRUE, Bools, Truth

SUB_SCORES: Final = (
    "respiration_rate", "spo2", "systolic_bp", "pulse", "temperature", "consciousness", "air_or_oxygen",
)  # fmt: skip
"""Order of the columns of `News2.sub`, as the readings lie in `models.columns`."""

RISK_BANDS: Final = ("low", "low-medium", "medium", "high")
"""Clinical risk of RCP Chart 4, from least to most urgent; `risk_band` returns indices into it."""

MAX_TOTAL: Final = 20

# Slots of a table row: below any chart, charted 0..500 (temperature to 50.0), above any chart or missing.
_TOP: Final = 500
_BELOW: Final = -1
_MISSING: Final = _TOP + 1
_WIDTH: Final = _TOP + 3

# Bits of a packed entry; seven of them add up without carry into the neighbour.
_LOW, _HIGH, _LOW_IS_3, _HIGH_IS_3, _MISS = 0, 5, 10, 13, 16


@dataclass(frozen=True, slots=True)
class News2:
    """Scores of a batch. `sub` and `missing` have their columns in the order of `SUB_SCORES`.

    Attributes:
        sub: (B, 7) int8 points, -1 where they cannot be determined.
        low: (B,) int16 least possible total.
        high: (B,) int16 greatest possible total; equal to `low` exactly when the total is known.
        single_three: (B,) int8 truth of "one parameter scores 3".
        missing: (B, 7) bool, no usable reading. SpO2 on scale 2 that only lacks oxygen has `sub` -1 and is not missing.
        spo2_low: (B,) int8 least possible SpO2 points.
        spo2_high: (B,) int8 greatest possible SpO2 points.
        applicable: (B,) bool; False leaves 0..20, all sub-scores -1 and nothing but unknown, and is never to be shown
            as a score.
    """

    sub: npt.NDArray[np.int8]
    low: npt.NDArray[np.int16]
    high: npt.NDArray[np.int16]
    single_three: Truth
    missing: Bools
    spo2_low: npt.NDArray[np.int8]
    spo2_high: npt.NDArray[np.int8]
    applicable: Bools


def _pack(low: int, high: int, missing: bool = False) -> int:
    threes = (low == 3) << _LOW_IS_3 | (high == 3) << _HIGH_IS_3
    return low << _LOW | high << _HIGH | threes | missing << _MISS


def _points(bands: list[dict[str, Any]], step: float, oxygen: bool | None) -> list[int | None]:
    """Points of each charted value 0.._TOP, None where the chart has no band for it."""
    points: list[int | None] = [None] * (_TOP + 1)
    for band in bands:
        if band.get("if_oxygen") not in (None, oxygen):
            continue
        first = 0 if band["min"] is None else round(band["min"] / step)
        last = _TOP if band["max"] is None else round(band["max"] / step)
        points[first : last + 1] = [band["points"]] * (last + 1 - first)
    return points


def _row(low: list[int | None], high: list[int | None]) -> list[int]:
    """A table row: below the chart, charted values, missing. What no chart holds counts as missing."""
    worst = max(point for point in high if point is not None)
    missing = _pack(0, worst, missing=True)
    charted = [missing if a is None or b is None else _pack(a, b) for a, b in zip(low, high, strict=True)]
    return [missing, *charted, missing]


def _table() -> npt.NDArray[np.int32]:
    """(10 * _WIDTH,) packed entries: the seven parameters, then SpO2 scale 2 on air, on oxygen, and on either."""
    parameters = load_table("news2")["parameters"]
    none: list[int | None] = [None] * (_TOP + 1)
    rows: dict[str, list[int | None]] = {
        name: _points(parameters[name]["bands"], 0.1 if name == "temperature" else 1.0, None)
        for name in ("respiration_rate", "systolic_bp", "pulse", "temperature")
    }
    rows["spo2"] = _points(parameters["spo2_scale1"]["bands"], 1.0, None)
    coded = {"consciousness": "ACVPU", "air_or_oxygen": ("air", "oxygen")}
    for name, codes in coded.items():
        rows[name] = none.copy()
        rows[name][: len(codes)] = [parameters[name]["values"][code] for code in codes]
    air, oxygen = (_points(parameters["spo2_scale2"]["bands"], 1.0, given) for given in (False, True))
    packed = [_row(rows[name], rows[name]) for name in SUB_SCORES]
    packed += [_row(air, air), _row(oxygen, oxygen), _row(air, oxygen)]
    return np.array(packed, dtype=np.int32).ravel()


_TABLE: Final = _table()
_SUB_TABLE: Final = np.where(_TABLE & 31 == (_TABLE >> _HIGH) & 31, _TABLE & 31, -1).astype(np.int8)
_ROW_START: Final = np.arange(len(SUB_SCORES))[:, None] * _WIDTH - _BELOW
_SPO2: Final = SUB_SCORES.index("spo2")
_OXYGEN: Final = SUB_SCORES.index("air_or_oxygen")

# How far the SpO2 entry of scale 2 lies behind that of scale 1, by charted oxygen: rows for air, oxygen, unknown.
_SHIFT: Final = np.full(_WIDTH, len(SUB_SCORES) + 2 - _SPO2) * _WIDTH
_SHIFT[:2] -= (2 * _WIDTH, _WIDTH)


def news2(values: npt.NDArray[np.float32], scale: npt.NDArray[np.int8], applicable: Bools) -> News2:
    """Scores a batch.

    Args:
        values: (B, P) float32 readings in the order of `models.columns`, already aged out, NaN where missing. What no
            chart can hold (negative, SpO2 above 100, ...) counts as missing.
        scale: (B,) int8 SpO2 scale; 2 only by a prescriber's recorded decision, anything else is scored on scale 1.
        applicable: (B,) bool; False under 16 years of age and in pregnancy, where NEWS2 is not validated.
    """
    units = chart_units(values)
    if not applicable.all():
        units[:, ~applicable] = np.nan
    np.maximum(units, _BELOW, out=units)
    np.fmin(units, _MISSING, out=units)  # where NaN ends as well
    index = units.astype(np.intp)
    shift = np.where(scale == 2, _SHIFT.take(index[_OXYGEN]), 0)
    index += _ROW_START
    index[_SPO2] += shift
    entries = _TABLE.take(index)
    totals = np.add.reduce(entries, axis=0, dtype=np.int32)
    spo2 = entries[_SPO2]
    return News2(
        sub=_SUB_TABLE.take(index).T,
        low=(totals & 31).astype(np.int16),
        high=((totals >> _HIGH) & 31).astype(np.int16),
        single_three=((totals >> _LOW_IS_3) & 7 > 0).astype(np.int8) + ((totals >> _HIGH_IS_3) & 7 > 0),
        missing=(entries >= 1 << _MISS).T,
        spo2_low=(spo2 & 31).astype(np.int8),
        spo2_high=((spo2 >> _HIGH) & 31).astype(np.int8),
        applicable=applicable,
    )


def risk_band(score: News2) -> npt.NDArray[np.int8]:
    """(B,) int8 index into `RISK_BANDS`, from what is certain: the lower bound and a certain single 3.

    Missing readings can only raise it. A patient to whom the score does not apply comes out "low": look at
    `applicable` first.
    """
    band = (score.low >= 5).astype(np.int8) * 2 + (score.low >= 7)
    band[(score.low < 5) & (score.single_three == TRUE)] = RISK_BANDS.index("low-medium")
    return band
