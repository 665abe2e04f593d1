"""The variables that rules read, as intervals made from a batch of readings, scores and model outputs.

Readings come charted (`models.clinical.charting`), so that a threshold and the NEWS2 band printed beside it agree.
Whatever is unknown is the interval of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models.clinical.charting import CHARTED, charted
from models.clinical.news2 import News2
from models.clinical.qsofa import Qsofa
from models.clinical.truth import FALSE, TRUE, Bools, Floats, Interval, Times
from models.columns import COLUMNS, FLAGS, INDEX

_MS_PER_MINUTE: Final = 60_000.0
_MS_PER_HOUR: Final = 3_600_000.0

_CORE_BLOODS: Final = ("wbc", "creatinine", "crp")
_CORE_COLUMNS: Final = [INDEX[name] for name in _CORE_BLOODS]

_PLAIN: Final = {
    "abg.ph": "ph",
    "abg.paco2_kpa": "paco2_kpa",
    "lab.aki_stage": "aki_stage",
    "lab.lactate": "lactate",
    "lab.potassium": "potassium",
    "med.fluid_bolus_given": "fluid_bolus_given",
    "urine_ml_kg_h": "urine_ml_kg_h",
}
"""Variables that are a column as it is."""

_PLAIN_COLUMNS: Final = [INDEX[column] for column in _PLAIN.values()]

_ELSEWHERE: Final = {
    "nurse_concern": "note.nurse_concern",
    "opioid_24h": "med.opioid_24h",
    "anticoagulant": "med.anticoagulant",
}
FLAG_VARIABLES: Final = tuple(_ELSEWHERE.get(flag, f"flag.{flag}") for flag in FLAGS)
"""The variable of each flag, in the order of `models.columns.FLAGS`."""

_SINGLE: Final = (
    "img.cxr_age_h", "img.p_pneumothorax", "input.conflict", "input.plausibility", "input.stale_minutes",
    "lab.core_age_h", "map", "med.antibiotic_given_h", "model.abstained", "model.risk_band", "news2.any_single_3",
    "news2.at_least", "news2.missing_count", "news2.sub.spo2", "news2.total", "qsofa.total", "shock_index",
    "spo2_scale",
)  # fmt: skip
NAMES: Final = (*CHARTED, *_PLAIN, *FLAG_VARIABLES, *_SINGLE)
"""All variables that `build_variables` gives."""

READINGS: Final = tuple(
    column.name
    for column in COLUMNS
    if column.name
    in {*CHARTED, *_PLAIN.values(), *_CORE_BLOODS, "gcs_total", "map", "diastolic_bp", "antibiotic_given"}
)
"""Columns that a score or a rule reads, in their order."""

_ROW: Final = {name: row for row, name in enumerate(NAMES)}
_FIRST_PLAIN: Final = len(CHARTED)
_FIRST_FLAG: Final = _FIRST_PLAIN + len(_PLAIN)
_AFTER_FLAGS: Final = _FIRST_FLAG + len(FLAGS)
_FLAG_BITS: Final = np.arange(len(FLAGS), dtype=np.int64)[:, None]


class Variables(Mapping[str, Interval]):
    """Intervals by name over two (V, B) float32 matrices whose rows are `NAMES`; everything unknown at first."""

    def __init__(self, size: int) -> None:
        self.low: Final = np.full((len(NAMES), size), -np.inf, dtype=np.float32)
        self.high: Final = np.full((len(NAMES), size), np.inf, dtype=np.float32)

    def __getitem__(self, name: str) -> Interval:
        row = _ROW[name]
        return Interval(self.low[row], self.high[row])

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def stacked(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """(V, B) lower and upper bounds of `names`, all of them among `NAMES`; as `predicates.stacked`, but at once."""
        rows = [_ROW[name] for name in names]
        return self.low[rows], self.high[rows]

    def bound(self, name: str, low: npt.NDArray[np.generic], high: npt.NDArray[np.generic], known: Bools) -> None:
        """Sets `name` to [low, high] where `known`."""
        row = _ROW[name]
        np.copyto(self.low[row], low, where=known, casting="unsafe")
        np.copyto(self.high[row], high, where=known, casting="unsafe")

    def set(self, name: str, value: npt.NDArray[np.generic], known: Bools | None = None) -> None:
        """Sets `name` to `value` where `known`, by default where it is not NaN."""
        self.bound(name, value, value, value == value if known is None else known)  # noqa: PLR0124 - NaN differs from itself

    def set_rows(self, first: int, values: Floats) -> None:
        """Sets consecutive rows to `values` (rows, B) where they are not NaN."""
        known = ~np.isnan(values)
        np.copyto(self.low[first : first + len(values)], values, where=known)
        np.copyto(self.high[first : first + len(values)], values, where=known)

    def set_flags(self, known: npt.NDArray[np.integer], true: npt.NDArray[np.integer]) -> None:
        """Sets the flags from (B,) bit masks: what is true only counts where it is known."""
        is_known = (known.astype(np.int64) >> _FLAG_BITS) & 1
        is_true = (true.astype(np.int64) >> _FLAG_BITS) & 1
        where = is_known.astype(np.bool_)
        np.copyto(self.low[_FIRST_FLAG:_AFTER_FLAGS], is_true, where=where, casting="unsafe")
        np.copyto(self.high[_FIRST_FLAG:_AFTER_FLAGS], is_true, where=where, casting="unsafe")


def _newest_ms(values: Floats, last_ms: Times, columns: list[int]) -> tuple[Times, Bools]:
    """Time of the newest known value of `columns`, and whether there is one."""
    known = ~np.isnan(values[:, columns])
    times = np.where(known, last_ms[:, columns], np.iinfo(np.int64).min)
    newest: Times = times.max(axis=1)
    return newest, np.any(known, axis=1)


def _set_ages(variables: Variables, values: Floats, last_ms: Times, as_of_ms: Times, cxr_ms: Times) -> None:
    """How long ago things were observed, given or done; never below zero."""

    def age(since_ms: Times, unit_ms: float) -> Floats:
        ages: Floats = (np.maximum(as_of_ms - since_ms, 0) / unit_ms).astype(np.float32)
        return ages

    newest, known = _newest_ms(values, last_ms, list(range(len(CHARTED))))
    variables.set("input.stale_minutes", age(np.where(known, newest, as_of_ms), _MS_PER_MINUTE), known)
    newest, known = _newest_ms(values, last_ms, _CORE_COLUMNS)
    variables.set("lab.core_age_h", age(np.where(known, newest, as_of_ms), _MS_PER_HOUR), known)
    dose = INDEX["antibiotic_given"]
    given = values[:, dose] >= 0.5
    variables.set("med.antibiotic_given_h", age(np.where(given, last_ms[:, dose], as_of_ms), _MS_PER_HOUR), given)
    variables.set("img.cxr_age_h", age(cxr_ms, _MS_PER_HOUR), cxr_ms > 0)


def _set_scores(variables: Variables, news2: News2, qsofa: Qsofa, shock_index: Floats) -> None:
    """Scores; where NEWS2 does not apply, everything of it is unknown."""
    applicable = news2.applicable
    variables.bound("news2.total", news2.low, news2.high, applicable)
    variables.set("news2.at_least", news2.low, applicable)
    variables.bound("news2.any_single_3", news2.single_three == TRUE, news2.single_three != FALSE, applicable)
    variables.set("news2.missing_count", news2.missing.sum(axis=1, dtype=np.int8), applicable)
    variables.bound("news2.sub.spo2", news2.spo2_low, news2.spo2_high, applicable)
    variables.bound("qsofa.total", qsofa.low, qsofa.high, np.ones_like(applicable))
    variables.set("shock_index", shock_index)


def build_variables(  # noqa: PLR0913 - everything that a rule may read
    values: Floats,
    last_ms: Times,
    as_of_ms: Times,
    flags_known: npt.NDArray[np.integer],
    flags_true: npt.NDArray[np.integer],
    *,
    news2: News2,
    qsofa: Qsofa,
    shock_index: Floats,
    spo2_scale: npt.NDArray[np.int8],
    cxr_ms: Times,
    p_pneumothorax: Floats,
    suspect: Bools,
    conflict: Bools,
    risk_band: npt.NDArray[np.int8],
    abstained: Bools,
) -> Variables:
    """Everything the catalogue's rules read.

    Args:
        values: (B, P) float32 readings in the order of `models.columns`, already aged out, NaN where missing.
        last_ms: (B, P) int64 event time of each reading, ms since the epoch.
        as_of_ms: (B,) int64 time of the judgement.
        flags_known: (B,) bit masks in the order of `models.columns.FLAGS`: somebody stated the flag.
        flags_true: (B,) bit masks: it was stated to hold.
        news2: Scores of the same readings.
        qsofa: Scores of the same readings.
        shock_index: (B,) float32, NaN where it could not be formed.
        spo2_scale: (B,) int8, 1 or 2; anything else is unknown.
        cxr_ms: (B,) int64 time of the last chest film, 0 or less if none is known.
        p_pneumothorax: (B,) float32 probability by an image model, NaN without one.
        suspect: (B,) bool, an implausible reading was set aside.
        conflict: (B,) bool, readings contradict one another.
        risk_band: (B,) int8 index of the model's band (low, medium, high); negative without one.
        abstained: (B,) bool, the model gave no answer.

    Returns:
        The variables of `NAMES`. `input.stale_minutes` is the age of the newest of the seven NEWS2 parameters: how
        long nobody looked at the patient.
    """
    variables = Variables(len(values))
    variables.set_rows(0, charted(values))
    variables.set_rows(_FIRST_PLAIN, values[:, _PLAIN_COLUMNS].T)
    variables.set_flags(flags_known, flags_true)
    _set_ages(variables, values, last_ms, as_of_ms, cxr_ms)
    _set_scores(variables, news2, qsofa, shock_index)
    pressure, systolic, diastolic = (values[:, INDEX[name]] for name in ("map", "systolic_bp", "diastolic_bp"))
    variables.set("map", np.where(np.isnan(pressure), (systolic + 2 * diastolic) / 3, pressure))
    variables.set("spo2_scale", spo2_scale, (spo2_scale == 1) | (spo2_scale == 2))
    variables.set("img.p_pneumothorax", p_pneumothorax)
    variables.set("input.plausibility", suspect)
    variables.set("input.conflict", conflict)
    variables.set("model.risk_band", risk_band, risk_band >= 0)
    variables.set("model.abstained", abstained)
    return variables
