"""The parts of a result that follow from arrays: each a column of JSON texts, one a record of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from models.clinical.news2 import RISK_BANDS, SUB_SCORES, risk_band
from models.clinical.truth import FALSE, TRUE, UNKNOWN
from models.clinical.variables import READINGS
from models.columns import COLUMNS, INDEX
from models.recommend.ranker import PARTS
from workers.action_texts import ActionTexts
from workers.context import NEVER, Contexts
from workers.holds import Kind
from workers.json_text import SLOT, Patterns, instants, lists, numbers, template, text
from workers.judge import Assessment

Ages = tuple[str, str]
"""JSON texts: of the values that count, their ages in seconds by parameter; the parameters whose values are too old."""

_CONTRACT_NAME: Final = {"consciousness": "acvpu", "air_or_oxygen": "on_oxygen"}
_SUBS: Final = tuple(_CONTRACT_NAME.get(name, name) for name in SUB_SCORES)
_SEVEN: Final = len(_SUBS)
_TRUTH: Final = {TRUE: True, FALSE: False}
_READINGS: Final = [INDEX[name] for name in READINGS]
_UNKNOWN: Final = -1
_AGED_OUT: Final = -2

_ANSWERS: Final = ("[]", '["no"]', '["yes"]', '["no","yes"]', "null")
"""By code of `models.conformal.answers`; UNKNOWN, -1, is the last."""

_SHARES: Final = template({"vitals": SLOT, "notes": SLOT, "imaging": SLOT})
_EVIDENCE: Final = tuple(
    template({"parameter": column.name, "value": SLOT, "unit": column.unit, "measured_at": SLOT, "contribution": SLOT})
    for column in COLUMNS
)
_BANDS: Final = {band: text(band) for band in ("low", "medium", "high", None)}


def risks(found: Assessment, labels: Sequence[tuple[str, float | None]], versions: dict[str, str | None]) -> list[str]:
    """What the models say: the vitals model's labels (name, horizon in hours), then the fused risk."""
    of_vitals, of_fusion = versions["vitals"] or "off", versions["fusion"] or "off"
    said = [(name, horizon, of_vitals) for name, horizon in labels] + [("deterioration", labels[0][1], of_fusion)]
    bands = [*found.risks.bands, found.risks.fused_bands]
    probability = numbers(np.column_stack((found.risks.probability, found.risks.fused)).T)
    answers = found.risks.answers.T.tolist()
    columns, count = [], len(found.as_of)
    for k, (name, horizon, version) in enumerate(said):
        shape = {"name": name, "probability": SLOT, "horizon_h": horizon, "band": SLOT, "model": version}
        one = template(shape | {"prediction_set": SLOT})
        own = probability[k * count : (k + 1) * count]
        columns.append(
            [
                one % (value, _BANDS[band], _ANSWERS[left])
                for value, band, left in zip(own, bands[k], answers[k], strict=True)
            ]
        )
    return [f"[{','.join(each)}]" for each in zip(*columns, strict=True)]


def clinical_scores(found: Assessment, patterns: Patterns[str]) -> list[str]:
    """The scores by rule; `patterns` spells by `spell_scores`."""
    news2, qsofa = found.news2, found.qsofa
    codes = np.column_stack(
        (
            news2.low, news2.high, news2.sub, news2.missing, news2.single_three, risk_band(news2), found.scale,
            found.applicable, qsofa.low, qsofa.high, qsofa.positive,
        )
    )  # fmt: skip
    shock = numbers(found.shock_index)
    return [scores % value for scores, value in zip(patterns.of(codes), shock, strict=True)]


def spell_scores(codes: list[int]) -> str:
    """A template of the scores by rule, but for the shock index; codes as `clinical_scores` stacks them."""
    low, high, *rest = codes
    sub, missing = rest[:_SEVEN], rest[_SEVEN : 2 * _SEVEN]
    three, band, scale, applicable, qsofa_low, qsofa_high, positive = rest[2 * _SEVEN :]
    return template(
        {
            "news2": {
                "total": low if applicable and low == high else None,
                "low": low,
                "high": high,
                "sub": {name: None if points < 0 else points for name, points in zip(_SUBS, sub, strict=True)},
                "missing": [name for name, absent in zip(_SUBS, missing, strict=True) if absent] if low != high else [],
                "any_single_3": _TRUTH.get(three),
                "risk": RISK_BANDS[band] if applicable else None,
                "spo2_scale": scale,
                "applicable": bool(applicable),
            },
            "qsofa": {
                "total": qsofa_low if qsofa_low == qsofa_high else None,
                "low": qsofa_low,
                "high": qsofa_high,
                "positive": _TRUTH.get(positive),
            },
            "shock_index": {"value": SLOT},
        }
    )


def recommendations(found: Assessment, texts: ActionTexts) -> list[str]:
    """The listed actions, best first."""
    ranking = found.ranking
    listed = ranking.order >= 0
    patient, place = np.nonzero(listed)
    action = ranking.order[listed].astype(np.intp)
    which = (2 * action + (found.evaluation.blocked[patient, action] == UNKNOWN)).tolist()
    score, floor = numbers(ranking.score[listed]), numbers(ranking.floor[listed])
    parts = iter(numbers(ranking.parts[listed]))
    entries = [
        texts.listed[kind] % (rank, total, rule, content, others, risk, apart, required)
        for kind, rank, total, (rule, content, others, risk, apart), required in zip(
            which, (place + 1).tolist(), score, zip(*[parts] * len(PARTS), strict=True), floor, strict=True
        )
    ]
    return lists(entries, listed.sum(axis=1).tolist())


def withheld(found: Assessment, texts: ActionTexts) -> list[str]:
    """The actions that are indicated and must not be taken, and why."""
    held = (found.evaluation.blocked == TRUE) & (found.evaluation.indicated == TRUE)
    patient, action = np.nonzero(held)
    kinds = [Kind.NONE] * len(patient) if found.held is None else map(Kind, found.held[patient, action].tolist())
    entries = [texts.withheld(index, kind) for index, kind in zip(action.tolist(), kinds, strict=True)]
    return lists(entries, held.sum(axis=1).tolist())


def modality_shares(found: Assessment) -> list[str]:
    """By how much each modality moved the fused risk."""
    flat = iter(numbers(found.risks.shares))
    return [_SHARES % three for three in zip(flat, flat, flat, strict=True)]


def contributions(contexts: Contexts) -> list[str]:
    """The strongest contributions of the newest vitals event to its risk."""
    column = contexts["evidence_column"]
    at = np.maximum(column, 0).astype(np.intp)
    value = np.take_along_axis(contexts["head"]["value"], at, axis=1)
    usable = (column >= 0) & ~np.isnan(value)  # the row that measured it may have been retracted
    measured = np.take_along_axis(contexts["head"]["at"], at, axis=1)[usable]
    stated, parts = numbers(value[usable].round(4)), numbers(contexts["evidence"][usable])
    entries = [
        _EVIDENCE[index] % (number, time, part)
        for index, number, time, part in zip(column[usable].tolist(), stated, instants(measured), parts, strict=True)
    ]
    return lists(entries, usable.sum(axis=1).tolist())


def ages(contexts: Contexts, found: Assessment, patterns: Patterns[Ages]) -> list[Ages]:
    """Of each patient, how old the values are that count, and which are too old; `patterns` spells by `spell_ages`."""
    at = contexts["head"]["at"][:, _READINGS]
    counts = ~np.isnan(found.values[:, _READINGS])
    return patterns.of(
        np.where(counts, (found.as_of[:, None] - at) // 1000, np.where(at == NEVER, _UNKNOWN, _AGED_OUT))
    )


def spell_ages(codes: list[int]) -> Ages:
    """The ages of `READINGS` in seconds, or _UNKNOWN or _AGED_OUT."""
    named: list[tuple[str, Any]] = list(zip(READINGS, codes, strict=True))
    return text({name: age for name, age in named if age >= 0}), text([name for name, age in named if age == _AGED_OUT])
