"""The recommendation event as plain data, and its headers.

Built by hand for speed: this is per-record Python on the hot path. Tests hold every body against the contract
(`topics.recommendation`), property-based; nothing is validated again here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.clinical.actions import Catalogue
from models.clinical.news2 import RISK_BANDS, SUB_SCORES, risk_band
from models.clinical.truth import FALSE, TRUE, UNKNOWN
from models.clinical.variables import READINGS
from models.columns import COLUMNS, INDEX
from topics import headers as names
from topics.catalogue import IMAGING, NOTES
from topics.reasons import Reason
from topics.recommendation import RECOMMENDATION_SCHEMA_VERSION
from workers.alert_body import AlertBodies
from workers.alerting import AlertOut
from workers.context import FOREIGN, NEVER, UNREADABLE, Contexts
from workers.holds import Kind
from workers.judge import FRESH_H, Assessment
from workers.moments import utc
from workers.records import Encoded, Record

MODALITIES: Final = ("vitals", "notes", "imaging")
_CONTRACT_NAME: Final = {"consciousness": "acvpu", "air_or_oxygen": "on_oxygen"}
_SUBS: Final = tuple(_CONTRACT_NAME.get(name, name) for name in SUB_SCORES)
_TRUTH: Final = {TRUE: True, FALSE: False}
_ANSWERS: Final[tuple[list[str] | None, ...]] = ([], ["no"], ["yes"], ["no", "yes"], None)
"""By code of `models.conformal.answers`; UNKNOWN, -1, is the last."""

_ENCODER: Final = {NOTES: "notes", IMAGING: "imaging"}
Ages = tuple[dict[str, int], list[str]]
_NO_AGES: Final[Ages] = ({}, [])
_READINGS: Final = [INDEX[name] for name in READINGS]
_UNKNOWN: Final = -1
_AGED_OUT: Final = -2
_QUALITY: Final = ((FOREIGN, "out_of_distribution"), (UNREADABLE, "unreadable"))


class Verdict(NamedTuple):
    """What the decision adds to the judgement.

    Attributes:
        reasons: Flags; the list becomes the body's.
        now_ms: When the body was built.
        started_ms: When its batch began to be decided.
        control: What operators set that bears on this result.
    """

    recommendation_id: str
    run: str
    status: str
    reasons: list[Reason]
    supersedes: list[str]
    alert: AlertOut
    now_ms: int
    started_ms: int
    control_offset: int | None
    control: dict[str, Any]


class ActionTexts:
    """What an output says of each action of the catalogue whoever the patient is, built once and shared.

    Attributes:
        fixed: By action, the fields that never change.
        cautions: By action, the cautions where contraindications are known, and where they are not.
        withheld: By action, why it is withheld when a contraindication holds.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.actions: Final = catalogue.actions
        self.fixed: Final = [
            {
                "action_id": action.id,
                "text": action.text,
                "category": action.category,
                "urgency": action.urgency,
                "role": action.role,
                "codes": [{"system": c["system"], "code": c["code"], "display": c["display"]} for c in action.codes],
            }
            for action in catalogue.actions
        ]
        self.cautions: Final = [
            (list(action.cautions_for(FALSE)), list(action.cautions_for(UNKNOWN))) for action in catalogue.actions
        ]
        self.withheld: Final = [
            {"action_id": action.id, "reason": "contraindicated: " + "; ".join(action.contraindications)}
            for action in catalogue.actions
        ]

    def withholding(self, action: int, kind: Kind) -> dict[str, str]:
        """Why an action is withheld: a clinician's answer, or else a contraindication of its rule."""
        if kind is Kind.NONE:
            return self.withheld[action]
        return {"action_id": self.withheld[action]["action_id"], "reason": _ANSWERED[kind]}


_ANSWERED: Final = {
    Kind.DONE: "answered: already done",
    Kind.DECLINED: "answered: does not apply, or declined, in this encounter",
    Kind.BLOCKED: "answered: contraindicated in this encounter",
}


class BodyBuilder:
    """Bodies for one batch: takes the arrays apart once, so that a body costs dictionary building only.

    Args:
        texts: Of the catalogue's actions.
        contexts: `(n,)` folded contexts.
        found: Their assessment.
        versions: Model versions by name, or None for models that took no part.
        expires_ms: Lifetime of an alert after a tier was last reached.
        labels: Name and horizon in hours of the vitals model's risks.
    """

    def __init__(
        self, texts: ActionTexts, contexts: Contexts, found: Assessment, versions: dict[str, str | None],
        expires_ms: int, labels: Sequence[tuple[str, float | None]],
    ) -> None:  # fmt: skip
        self._texts = texts
        self._contexts = contexts
        self._found = found
        self._versions = versions
        self._alerts = AlertBodies(texts.actions, expires_ms)
        self._labels = labels
        score = found.news2
        self._news2 = list(
            zip(
                score.low.tolist(), score.high.tolist(), _none_below_zero(score.sub), score.missing.tolist(),
                score.single_three.tolist(), risk_band(score).tolist(), found.scale.tolist(), found.applicable.tolist(),
                strict=True,
            )
        )  # fmt: skip
        self._qsofa = list(
            zip(found.qsofa.low.tolist(), found.qsofa.high.tolist(), found.qsofa.positive.tolist(), strict=True)
        )
        self._shock = _optional(found.shock_index)
        self._probability = [_optional(found.risks.probability[:, k]) for k in range(2)]
        self._fused = _optional(found.risks.fused)
        self._answers = found.risks.answers.tolist()
        self._shares = found.risks.shares.tolist()
        self._order = found.ranking.order.tolist()
        self._count = (found.ranking.order >= 0).sum(axis=1).tolist()
        self._scores = found.ranking.score.tolist()
        self._parts = found.ranking.parts.tolist()
        self._unknown = (found.evaluation.blocked == UNKNOWN).tolist()
        self._floor = found.ranking.floor.tolist()
        self._withheld = (found.evaluation.blocked == TRUE) & (found.evaluation.indicated == TRUE)
        self._any_withheld = self._withheld.any(axis=1).tolist()
        column = contexts["evidence_column"]
        at = np.maximum(column, 0).astype(np.intp)
        value = np.take_along_axis(contexts["head"]["value"], at, axis=1)
        usable = (column >= 0) & ~np.isnan(value)  # the row that measured it may have been retracted
        self._evidence = (
            np.where(usable, column, -1).tolist(), value.round(4).astype(float).round(4).tolist(),
            np.take_along_axis(contexts["head"]["at"], at, axis=1).tolist(), contexts["evidence"].tolist(),
        )  # fmt: skip
        self._ages = ages(contexts, found)
        self._times: dict[int, datetime] = {}
        self._present = found.present.tolist()
        self._age_h = found.age_h.tolist()
        self._since_ms = found.since_ms.tolist()

    def body(self, i: int, record: Record, verdict: Verdict) -> dict[str, Any]:
        """The recommendation for `record`, which is row `i` of the batch."""
        event, source = record.event, record.source
        return {
            "schema_version": RECOMMENDATION_SCHEMA_VERSION,
            "recommendation_id": verdict.recommendation_id,
            "patient_id": event.patient_id,
            "encounter_id": event.encounter_id,
            "unit": event.unit,
            "run": verdict.run,
            "caused_by": {
                "event_id": event.event_id,
                "topic": source.full_topic,
                "partition": source.partition,
                "offset": source.offset,
                "event_time": event.event_time,
                "source": event.source,
            },
            "status": verdict.status,
            "reasons": verdict.reasons,
            "supersedes": verdict.supersedes,
            "risks": self._risks(i),
            "findings": _findings(record.encoded),
            "clinical_scores": self._clinical(i),
            "recommendations": self._recommendations(i),
            "withheld": self._withheld_actions(i) if self._any_withheld[i] else [],
            "alert": self._alerts.body(verdict.alert, verdict.now_ms),
            "explanation": self._explanation(i, record),
            "inputs": self._inputs(i, record),
            "timing": {
                "received_at": self._utc(source.received_ms),
                "published_at": self._utc(verdict.now_ms),
                "queue_ms": max(0, verdict.started_ms - source.received_ms),
                "process_ms": max(0, verdict.now_ms - verdict.started_ms),
            },
            "models": self._used(record.encoded, source.topic),
            "control_offset": verdict.control_offset,
            "control": verdict.control,
        }

    def _used(self, encoded: Encoded | None, topic: str) -> dict[str, str | None]:
        """Versions of what took part; a note or image may have been encoded just before a promotion."""
        name = _ENCODER.get(topic)
        if name is None or encoded is None or not encoded.version or encoded.version == self._versions[name]:
            return self._versions
        return {**self._versions, name: encoded.version}

    def _risks(self, i: int) -> list[dict[str, Any]]:
        risks = self._found.risks
        made = [
            {
                "name": name,
                "probability": self._probability[k][i],
                "horizon_h": horizon,
                "band": risks.bands[k][i],
                "model": self._versions["vitals"] or "off",
                "prediction_set": _ANSWERS[self._answers[i][k]],
            }
            for k, (name, horizon) in enumerate(self._labels)
        ]
        made.append(
            {
                "name": "deterioration",
                "probability": self._fused[i],
                "horizon_h": self._labels[0][1],
                "band": risks.fused_bands[i],
                "model": self._versions["fusion"] or "off",
                "prediction_set": _ANSWERS[self._answers[i][2]],
            }
        )
        return made

    def _clinical(self, i: int) -> dict[str, Any]:
        low, high, sub, missing, three, band, scale, applicable = self._news2[i]
        qsofa_low, qsofa_high, positive = self._qsofa[i]
        return {
            "news2": {
                "total": low if applicable and low == high else None,
                "low": low,
                "high": high,
                "sub": dict(zip(_SUBS, sub, strict=True)),
                "missing": [name for name, absent in zip(_SUBS, missing, strict=True) if absent] if low != high else [],
                "any_single_3": _TRUTH.get(three),
                "risk": RISK_BANDS[band] if applicable else None,
                "spo2_scale": scale,
                "applicable": applicable,
            },
            "qsofa": {
                "total": qsofa_low if qsofa_low == qsofa_high else None,
                "low": qsofa_low,
                "high": qsofa_high,
                "positive": _TRUTH.get(positive),
            },
            "shock_index": {"value": self._shock[i]},
        }

    def _recommendations(self, i: int) -> list[dict[str, Any]]:
        texts, unknown, count = self._texts, self._unknown[i], self._count[i]
        return [
            {
                **texts.fixed[index],
                "rank": rank,
                "score": score,
                "contributions": {
                    "rule": rule,
                    "content": content,
                    "collaborative": others,
                    "risk": risk,
                    "diversity": apart,
                },
                "cautions": texts.cautions[index][unknown[index]],
                "floor": required,
            }
            for rank, (index, score, (rule, content, others, risk, apart), required) in enumerate(
                zip(self._order[i][:count], self._scores[i], self._parts[i], self._floor[i], strict=False), start=1
            )
        ]

    def _withheld_actions(self, i: int) -> list[dict[str, str]]:
        held = self._found.held
        if held is None:
            return [self._texts.withheld[k] for k in np.flatnonzero(self._withheld[i])]
        return [self._texts.withholding(int(k), Kind(held[i, k])) for k in np.flatnonzero(self._withheld[i])]

    def _explanation(self, i: int, record: Record) -> dict[str, Any]:
        vitals, notes, imaging = self._shares[i]
        encoded = record.encoded
        heat = None if encoded is None else encoded.heat_map
        return {
            "modality_shares": {"vitals": vitals, "notes": notes, "imaging": imaging},
            "vitals": self._contributions(i),
            "note_spans": []
            if encoded is None
            else [
                {"start": start, "end": end, "weight": weight, "source_event": record.event.event_id}
                for start, end, weight in encoded.spans
            ],
            "heat_map": None
            if heat is None
            else {
                "rows": heat.shape[0],
                "columns": heat.shape[1],
                "values": [round(value, 4) for value in heat.ravel().tolist()],
            },
        }

    def _contributions(self, i: int) -> list[dict[str, Any]]:
        return [
            {
                "parameter": COLUMNS[column].name,
                "value": value,
                "unit": COLUMNS[column].unit,
                "measured_at": self._utc(at),
                "contribution": contribution,
            }
            for column, value, at, contribution in zip(*(each[i] for each in self._evidence), strict=True)
            if column >= 0
        ]

    def _inputs(self, i: int, record: Record) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        present, age_h, since_ms = self._present[i], self._age_h[i], self._since_ms[i]
        for k, modality in enumerate(MODALITIES):
            own = record.source.topic == _TOPIC[modality]
            if not present[k] and not own:
                made.append(_ABSENT[modality])
                continue
            ages_s, aged_out = self._ages[i] if k == 0 else _NO_AGES
            made.append(
                {
                    "modality": modality,
                    "event_id": record.event.event_id if own else None,
                    "event_time": self._utc(since_ms[k]) if present[k] else None,
                    "age_s": age_h[k] * 3600 if present[k] else None,
                    "freshness": _freshness(age_h[k], FRESH_H[modality]) if present[k] else "absent",
                    "quality": _quality(record) if own else [],
                    "ages_s": ages_s,
                    "aged_out": aged_out,
                }
            )
        return made

    def _utc(self, ms: int) -> datetime:
        """The instant; most times of a batch occur several times in it."""
        known = self._times.get(ms)
        if known is None:
            known = self._times[ms] = utc(ms)
        return known


_TOPIC: Final = {"vitals": "patient.vitals", "notes": "patient.notes", "imaging": "patient.imaging"}
_ABSENT: Final[dict[str, dict[str, Any]]] = {
    modality: {
        "modality": modality, "event_id": None, "event_time": None, "age_s": None, "freshness": "absent", "quality": [],
        "ages_s": {}, "aged_out": [],
    }
    for modality in MODALITIES
}  # fmt: skip


def outgoing_headers(body: dict[str, Any], topic: str, subject: str, trace: bytes | None) -> list[tuple[str, bytes]]:
    """CloudEvents (binary mode), trace context, and what lets an alerting consumer skip without parsing.

    Args:
        body: The recommendation.
        topic: Full name of the topic that it goes to.
        subject: HMAC that stands for the patient.
        trace: The incoming record's `traceparent`, if any.
    """
    alert = body["alert"]
    made = [
        (names.CONTENT_TYPE, b"application/json"),
        (names.CE_SPECVERSION, b"1.0"),
        (names.CE_ID, body["recommendation_id"].encode()),
        (names.CE_TYPE, _CE_TYPE),
        (names.CE_SOURCE, topic.encode()),
        (names.CE_SUBJECT, subject.encode()),
        (names.CE_TIME, body["caused_by"]["event_time"].isoformat().encode()),
        (names.STATUS, body["status"].encode()),
        (names.ALERT_STATE, alert["state"].encode()),
        (names.ALERT_TIER, (alert["tier"] or "none").encode()),
    ]
    if trace is not None and _TRACEPARENT.fullmatch(trace):  # anything else might name somebody
        made.append((names.TRACEPARENT, trace))
    return made


_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
_CE_TYPE: Final = (names.TYPE_PREFIX + "recommendation").encode()


def shed(body: dict[str, Any]) -> bool:
    """Drop the next dispensable part of a body: the heat map, then the note spans. False when neither is left."""
    explanation = body["explanation"]
    for part, empty in (("heat_map", None), ("note_spans", [])):
        if explanation[part]:
            explanation[part] = empty
            if Reason.OUTPUT_TRIMMED not in body["reasons"]:
                body["reasons"].append(Reason.OUTPUT_TRIMMED)
            return True
    return False


def _findings(encoded: Encoded | None) -> list[dict[str, Any]]:
    """What the encoder says of the event's note or image, most probable first; nothing where it abstains."""
    if encoded is None or encoded.quality or not encoded.possible:
        return []
    found = zip(encoded.probability.tolist(), encoded.labels, encoded.possible, encoded.certain, strict=True)
    return [
        {"label": label, "probability": round(probability, 4), "possible": possible, "certain": certain}
        for probability, label, possible, certain in sorted(found, key=lambda each: -each[0])
    ]


def _optional(values: NDArray[np.float32]) -> list[float | None]:
    """NaN as None."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN differs from itself


def _freshness(age_h: float, limit_h: float) -> str:
    return "fresh" if age_h <= limit_h else "stale"


def _none_below_zero(points: NDArray[np.int8]) -> list[list[int | None]]:
    """-1, points that cannot be determined, as None."""
    given: list[list[int | None]] = np.where(points < 0, np.array(None), points.astype(object)).tolist()
    return given


def ages(contexts: Contexts, found: Assessment) -> list[Ages]:
    """Of each patient, how old the values are that count, in seconds, and which parameters' values are too old.

    Most patients of a batch share few patterns (a complete set of this very moment), so each pattern is spelt out once.
    """
    at = contexts["head"]["at"][:, _READINGS]
    counts = ~np.isnan(found.values[:, _READINGS])
    codes = np.where(counts, (found.as_of[:, None] - at) // 1000, np.where(at == NEVER, _UNKNOWN, _AGED_OUT))
    packed = np.ascontiguousarray(codes, np.int32)
    rows = [row.tobytes() for row in packed]
    patterns = {row: i for i, row in enumerate(rows)}
    spelt = {row: _spell(packed[i].tolist()) for row, i in patterns.items()}
    return [spelt[row] for row in rows]


def _spell(codes: list[int]) -> Ages:
    named = list(zip(READINGS, codes, strict=True))
    return {name: age for name, age in named if age >= 0}, [name for name, age in named if age == _AGED_OUT]


def _quality(record: Record) -> list[str]:
    bits = 0 if record.encoded is None else record.encoded.quality
    return [text for bit, text in _QUALITY if bits & bit]
