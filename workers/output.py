"""The recommendation event as JSON, and its headers.

Written as text by the column (`workers.body_columns`) and put together a record at a time: this is the hottest Python
of a worker. Tests hold every body against the contract (`topics.recommendation`), property-based; nothing is validated
again here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from models.clinical.actions import Catalogue
from topics import headers as names
from topics.catalogue import IMAGING, NOTES, VITALS
from topics.readings import Suspect
from topics.reasons import Reason
from topics.recommendation import RECOMMENDATION_SCHEMA_VERSION
from workers import body_columns as columns
from workers.action_texts import ActionTexts
from workers.alert_body import AlertBodies, tier_of
from workers.alerting import AlertOut
from workers.context import FOREIGN, UNREADABLE, Contexts
from workers.json_text import SLOT, Patterns, instants, numbers, template, text
from workers.judge import FRESH_H, Assessment
from workers.moments import utc
from workers.records import Encoded, Record

MODALITIES: Final = ("vitals", "notes", "imaging")
_TOPIC: Final = dict(zip(MODALITIES, (VITALS, NOTES, IMAGING), strict=True))
_ENCODER: Final = {NOTES: "notes", IMAGING: "imaging"}
_QUALITY: Final = ((FOREIGN, "out_of_distribution"), (UNREADABLE, "unreadable"))
_NO_AGES: Final[columns.Ages] = ("{}", "[]")

_BODY: Final = template(
    {
        "schema_version": RECOMMENDATION_SCHEMA_VERSION, "recommendation_id": SLOT,
        "patient_id": SLOT, "encounter_id": SLOT, "unit": SLOT, "run": SLOT,
        "caused_by": {
            "event_id": SLOT, "topic": SLOT, "partition": SLOT, "offset": SLOT, "event_time": SLOT, "source": SLOT,
        },
        "status": SLOT, "reasons": SLOT, "supersedes": SLOT,
        "risks": SLOT, "findings": SLOT, "clinical_scores": SLOT,
        "recommendations": SLOT, "withheld": SLOT, "alert": SLOT,
        "explanation": {"modality_shares": SLOT, "vitals": SLOT, "note_spans": SLOT, "heat_map": SLOT},
        "inputs": [SLOT, SLOT, SLOT],
        "timing": {"received_at": SLOT, "published_at": SLOT, "queue_ms": SLOT, "process_ms": SLOT},
        "models": SLOT, "control_offset": SLOT, "control": SLOT,
    }
)  # fmt: skip
_INPUT: Final = {
    modality: template({"modality": modality} | dict.fromkeys(
        ("event_id", "event_time", "age_s", "freshness", "quality", "ages_s", "aged_out", "suspect"), SLOT
    ))
    for modality in MODALITIES
}  # fmt: skip
_ABSENT: Final = {
    modality: shape % ("null", "null", "null", '"absent"', "[]", *_NO_AGES, "[]") for modality, shape in _INPUT.items()
}


class Frame(NamedTuple):
    """What holds for every result of a batch.

    Attributes:
        run: Name of the processing run.
        topic: Full name of the topic that the results go to.
        versions: Model versions by name, or None for models that took no part.
        labels: Name and horizon in hours of the vitals model's risks.
        control_offset: Of the newest control record in force.
        started_ms: When the batch began to be decided.
    """

    run: str
    topic: str
    versions: dict[str, str | None]
    labels: Sequence[tuple[str, float | None]]
    control_offset: int | None
    started_ms: int


class Verdict(NamedTuple):
    """What the decision adds to the judgement.

    Attributes:
        reasons: Flags; the decision may add to the list until the result is built.
        now_ms: When the body was built.
        control: What operators set that bears on this result.
        suspect: What of the event was not believed.
    """

    recommendation_id: str
    status: str
    reasons: Sequence[Reason]
    supersedes: Sequence[str]
    alert: AlertOut
    now_ms: int
    control: dict[str, Any]
    suspect: Sequence[Suspect] = ()


class Result(NamedTuple):
    """A recommendation to publish: its body and its headers."""

    value: bytes
    headers: list[tuple[str, bytes]]


class SharedTexts:
    """What recurs in the results of one worker, spelt out once."""

    def __init__(self, catalogue: Catalogue, expires_ms: int) -> None:
        self.actions: Final = ActionTexts(catalogue)
        self.scores: Final = Patterns(columns.spell_scores)
        self.ages: Final = Patterns(columns.spell_ages)
        self.alerts: Final = AlertBodies(catalogue.actions, expires_ms)


class ResultBuilder:
    """Results for one batch: turns the arrays into text once, so that a result costs putting it together only.

    Args:
        texts: What recurs.
        frame: What holds for all of them.
        records: `n` of them.
        contexts: `(n,)` folded contexts.
        found: Their assessment.
    """

    def __init__(
        self, texts: SharedTexts, frame: Frame, records: Sequence[Record], contexts: Contexts, found: Assessment
    ) -> None:
        self._alerts = texts.alerts
        self._versions = frame.versions
        self._models = text(frame.versions)
        self._run, self._control_offset = text(frame.run), text(frame.control_offset)
        self._source = (names.CE_SOURCE, frame.topic.encode())
        self._started_ms = frame.started_ms
        self._times: dict[int, str] = {}
        self._control: tuple[dict[str, Any] | None, str] = (None, "")
        self._columns = list(
            zip(
                columns.risks(found, frame.labels, frame.versions),
                columns.clinical_scores(found, texts.scores),
                columns.recommendations(found, texts.actions),
                columns.withheld(found, texts.actions),
                columns.modality_shares(found),
                columns.contributions(contexts),
                strict=True,
            )
        )
        self._ages = columns.ages(contexts, found, texts.ages)
        self._present = found.present.tolist()
        self._age_h = found.age_h.tolist()
        self._age_s = numbers((found.age_h * np.float32(3600)).astype(np.float32))
        self._since = instants(np.where(found.present, found.since_ms, 0))
        self._event_time = instants(np.array([record.event_ms for record in records], np.int64))

    def result(self, i: int, record: Record, verdict: Verdict) -> Result:
        """The recommendation for `record`, which is row `i` of the batch."""
        event, source, encoded = record.event, record.source, record.encoded
        risks, scores, actions, withheld, shares, contributions = self._columns[i]
        event_time, event_id = self._event_time[i], text(event.event_id)
        if event.event_time.microsecond % 1000:
            event_time = text(event.event_time)
        body = _BODY % (
            f'"{verdict.recommendation_id}"', text(event.patient_id), text(event.encounter_id), _name(event.unit),
            self._run, event_id, _name(source.full_topic), source.partition, source.offset, event_time,
            _name(event.source), f'"{verdict.status}"', _reasons(*verdict.reasons),
            text(verdict.supersedes) if verdict.supersedes else "[]",
            risks, _findings(encoded), scores, actions, withheld,
            self._alerts.text(verdict.alert, verdict.now_ms),
            shares, contributions, _spans(encoded, event.event_id), _heat_map(encoded),
            *self._inputs(i, record, event_id, verdict.suspect),
            self._time(source.received_ms), self._time(verdict.now_ms),
            max(0, self._started_ms - source.received_ms), max(0, verdict.now_ms - self._started_ms),
            self._used(encoded, source.topic), self._control_offset, self._in_force(verdict.control),
        )  # fmt: skip
        return Result(body.encode(), self._headers(record, verdict, event_time))

    def _used(self, encoded: Encoded | None, topic: str) -> str:
        """Versions of what took part; a note or image may have been encoded just before a promotion."""
        name = _ENCODER.get(topic)
        if name is None or encoded is None or not encoded.version or encoded.version == self._versions[name]:
            return self._models
        return text({**self._versions, name: encoded.version})

    def _in_force(self, control: dict[str, Any]) -> str:
        """As JSON; as a rule it is the same object for the whole batch."""
        if control is not self._control[0]:
            self._control = control, text(control)
        return self._control[1]

    def _inputs(self, i: int, record: Record, event_id: str, suspect: Sequence[Suspect]) -> list[str]:
        """What each modality gave; `event_id` as JSON."""
        made: list[str] = []
        present, age_h = self._present[i], self._age_h[i]
        for k, modality in enumerate(MODALITIES):
            own = record.source.topic == _TOPIC[modality]
            if not present[k] and not own:
                made.append(_ABSENT[modality])
                continue
            here = present[k]
            freshness = "absent" if not here else "fresh" if age_h[k] <= FRESH_H[modality] else "stale"
            made.append(
                _INPUT[modality] % (
                    event_id if own else "null", self._since[3 * i + k] if here else "null",
                    self._age_s[3 * i + k], f'"{freshness}"', _quality(record.encoded) if own else "[]",
                    *(self._ages[i] if k == 0 else _NO_AGES), _suspect(suspect) if own and suspect else "[]",
                )
            )  # fmt: skip
        return made

    def _headers(self, record: Record, verdict: Verdict, event_time: str) -> list[tuple[str, bytes]]:
        """CloudEvents (binary mode), trace context, and what lets an alerting consumer skip without parsing."""
        made = [
            _JSON, _SPEC, (names.CE_ID, verdict.recommendation_id.encode()), _CE_TYPE, self._source,
            (names.CE_SUBJECT, record.patient.hex().encode()), (names.CE_TIME, event_time[1:-1].encode()),
            (names.STATUS, verdict.status.encode()), (names.ALERT_STATE, verdict.alert.change.encode()),
            (names.ALERT_TIER, (tier_of(verdict.alert) or "none").encode()),
        ]  # fmt: skip
        for name, value in record.source.headers:
            if name == names.TRACEPARENT:
                if value is not None and _TRACEPARENT.fullmatch(value):  # anything else might name somebody
                    made.append((name, value))
                break
        return made

    def _time(self, ms: int) -> str:
        """The instant as JSON; most times of a batch occur several times in it."""
        known = self._times.get(ms)
        if known is None:
            known = self._times[ms] = f'"{utc(ms).isoformat()}"'
        return known


_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
_JSON: Final = (names.CONTENT_TYPE, b"application/json")
_SPEC: Final = (names.CE_SPECVERSION, b"1.0")
_CE_TYPE: Final = (names.CE_TYPE, (names.TYPE_PREFIX + "recommendation").encode())

_name = lru_cache(maxsize=1024)(text)
"""Of topics, units and senders, which are few."""


@lru_cache(maxsize=1024)
def _reasons(*flags: Reason) -> str:
    """Few sets of them occur."""
    return text(flags)


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


def _findings(encoded: Encoded | None) -> str:
    """What the encoder says of the event's note or image, most probable first; nothing where it abstains."""
    if encoded is None or encoded.quality or not encoded.possible:
        return "[]"
    found = zip(encoded.probability.tolist(), encoded.labels, encoded.possible, encoded.certain, strict=True)
    return text(
        [
            {"label": label, "probability": round(probability, 4), "possible": possible, "certain": certain}
            for probability, label, possible, certain in sorted(found, key=lambda each: -each[0])
        ]
    )


def _spans(encoded: Encoded | None, event_id: str) -> str:
    if encoded is None:
        return "[]"
    return text(
        [
            {"start": start, "end": end, "weight": weight, "source_event": event_id}
            for start, end, weight in encoded.spans
        ]
    )


def _heat_map(encoded: Encoded | None) -> str:
    if encoded is None or encoded.heat_map is None:
        return "null"
    rows, places = encoded.heat_map.shape
    return text({"rows": rows, "columns": places, "values": [round(v, 4) for v in encoded.heat_map.ravel().tolist()]})


def _suspect(left_out: Sequence[Suspect]) -> str:
    return text(list(dict.fromkeys(each.parameter for each in left_out)))


def _quality(encoded: Encoded | None) -> str:
    if encoded is None or not encoded.quality:
        return "[]"
    return text([name for bit, name in _QUALITY if encoded.quality & bit])
