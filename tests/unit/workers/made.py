"""Made events, and records of them as the pipeline reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import torch

from models.bundle import load_bundle
from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS
from topics.codec import Decoded, decode
from topics.feedback import FeedbackEvent
from topics.imaging import ImagingEvent
from topics.notes import NoteEvent
from topics.vitals import VitalsEvent
from workers.context import EMBEDDING, blank, digest64
from workers.control import Control
from workers.decide import Decider
from workers.folding import Work
from workers.identity import Identity
from workers.inference import Models
from workers.judge import Judge
from workers.ledger import PartitionLedger
from workers.records import Encoded, Record, Source
from workers.slow_start import Care

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NOW_MS = int((START + timedelta(days=2)).timestamp() * 1000)
IDENTITY = Identity("a-key-for-tests-only")
KINDS = {VITALS: VitalsEvent, NOTES: NoteEvent, IMAGING: ImagingEvent, FEEDBACK: FeedbackEvent}
CONTROL = Control()

WELL = {"respiration_rate": 16, "spo2": 98, "systolic_bp": 120, "pulse": 70, "temperature": 37.0}
ILL = {"respiration_rate": 26, "spo2": 90, "systolic_bp": 88, "pulse": 132, "temperature": 39.4}  # NEWS2 13 on air


def vitals(patient: str = "patient-1", minute: float = 0, /, **more: Any) -> dict[str, Any]:
    """A complete, normal observation set; `values` replaces the numbers."""
    values = more.pop("values", WELL)
    event = {
        "schema_version": "1.0", "event_id": more.pop("event_id", f"v-{patient}-{minute}"), "patient_id": patient,
        "event_time": (START + timedelta(minutes=minute)).isoformat(), "source": "monitor",
        "observations": [{"code": code, "value": value} for code, value in values.items()],
        "oxygen": {"delivery": "air"}, "acvpu": "A", "subject": {"age_years": 67, "sex": "female"},
    }  # fmt: skip
    return event | more


def note(
    patient: str = "patient-1", minute: float = 0, text: str = "Feels well, eating.", /, **more: Any
) -> dict[str, Any]:
    event = {
        "schema_version": "1.0", "event_id": f"n-{patient}-{minute}", "patient_id": patient,
        "event_time": (START + timedelta(minutes=minute)).isoformat(), "source": "notes", "text": text,
    }  # fmt: skip
    return event | more


def image(patient: str = "patient-1", minute: float = 0, /, **more: Any) -> dict[str, Any]:
    event = {
        "schema_version": "1.0", "event_id": f"i-{patient}-{minute}", "patient_id": patient,
        "event_time": (START + timedelta(minutes=minute)).isoformat(), "source": "pacs",
        "image": {"uri": "file:///films/a.png", "sha256": "0" * 64, "size_bytes": 9, "media_type": "image/png"},
    }  # fmt: skip
    return event | more


def feedback(patient: str = "patient-1", minute: float = 0, /, **more: Any) -> dict[str, Any]:
    """An acknowledgement unless `outcome` says otherwise."""
    event = {
        "schema_version": "1.0", "event_id": f"f-{patient}-{minute}", "patient_id": patient,
        "event_time": (START + timedelta(minutes=minute)).isoformat(), "source": "ward-terminal",
        "recommendation_id": "any", "outcome": "acknowledged", "actor_role": "nurse",
    }  # fmt: skip
    return event | more


def topic_of(event: dict[str, Any]) -> str:
    if "outcome" in event:
        return FEEDBACK
    return NOTES if "text" in event else IMAGING if "image" in event else VITALS


def source(
    event: dict[str, Any], *, offset: int = 0, partition: int = 0, care: Care = Care.NORMAL, keyed: bool = True,
    headers: tuple[tuple[str, bytes], ...] = (), ledger: PartitionLedger | None = None,
) -> Source:  # fmt: skip
    topic = topic_of(event)
    key = event["patient_id"].encode() if keyed else None
    return Source(
        topic, partition, offset, key, json.dumps(event).encode(), headers, ledger or PartitionLedger(), NOW_MS - 50,
        0.0, care, full_topic="hospital." + topic,
    )  # fmt: skip


def record(event: dict[str, Any], **more: Any) -> Record:
    """As `Pipeline._record` makes it."""
    encoded = more.pop("encoded", None)
    made = source(event, **more)
    (answer,) = decode(KINDS[made.topic], [(made.key, made.value)], now_ms=NOW_MS)
    assert isinstance(answer, Decoded), answer
    read = answer.event
    scope = made.topic.encode(), read.source.encode()
    return Record(
        made, read, answer.event_ms, IDENTITY.patient(read.patient_id), digest64(*scope, read.event_id.encode()),
        digest64(made.value), digest64(*scope, read.replaces.encode()) if read.replaces else 0, encoded,
    )  # fmt: skip


def encoded(seed: int = 0, **more: Any) -> Encoded:
    """As an encoder would return it."""
    draw = np.random.default_rng(seed)
    return Encoded(
        draw.normal(0, 1, EMBEDDING).astype(np.float32), draw.random(3).astype(np.float32), ("a", "b", "c"),
        **{"possible": (True, False, True), "certain": (False, False, False)} | more,
    )  # fmt: skip


@cache
def models() -> Models:
    """The shipped networks."""
    torch.set_num_threads(1)
    return Models.of(load_bundle(), torch.device("cpu"))


@cache
def judge() -> Judge:
    ranker = load_bundle().ranker
    return Judge(ranker.catalogue, ranker)


def decider(made: Models | None = None, *, run: str = "live") -> Decider:
    return Decider(
        judge(), made or models(), run=run, output_topic="hospital.patient.recommendations", expires_ms=8 * 3_600_000,
        now_ms=lambda: NOW_MS,
    )  # fmt: skip


class Ward:
    """A decider and the contexts that it left, by patient: what a worker is, without stores."""

    def __init__(self, made: Decider | None = None) -> None:
        self.decider = made or decider()
        self.contexts: dict[bytes, np.ndarray] = {}

    def decide(self, *records: Record, control: Control = CONTROL, degraded: bool = False) -> list:
        """Decide records of one topic as one batch."""
        patients = list(dict.fromkeys(r.patient for r in records))
        contexts = np.concatenate([self.contexts.get(p, blank(1)) for p in patients])
        slots = np.array([patients.index(r.patient) for r in records], np.intp)
        made = self.decider.decide(Work(records, slots, contexts, np.full(len(patients), degraded)), control)
        for i, patient in enumerate(patients):
            self.contexts[patient] = contexts[i : i + 1].copy()
        return made

    def bodies(self, *records: Record, **more: Any) -> list[dict[str, Any]]:
        """The published bodies as a consumer reads them."""
        return [json.loads(decision.value) for decision in self.decide(*records, **more)]

    def body(self, event: dict[str, Any], *, control: Control = CONTROL, degraded: bool = False, **more: Any) -> dict:
        (made,) = self.bodies(record(event, **more), control=control, degraded=degraded)
        return made
