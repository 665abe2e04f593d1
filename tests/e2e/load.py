"""Made load for the fault tests: patients' events in time order, with everything that goes wrong in a hospital.

Decides what is written, in which order, and how each record must end. Must not know a broker or a clock: the same
seed and start give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.e2e.checker import End

VITALS, NOTES = "patient.vitals", "patient.notes"


class Planned(NamedTuple):
    """One record to write. `kind` says what it is there for: final, late, corrected, duplicate, poison: ..."""

    topic: str
    key: bytes | None
    value: bytes | None
    patient: str
    event_id: str | None
    expect: End | None
    kind: str


def digest(key: bytes | None, value: bytes | None) -> str:
    """Stands for a record's key and value; null differs from empty."""
    return hashlib.sha256(repr((key, value)).encode()).hexdigest()[:24]


@dataclass
class _Patient:
    """A made course: vital signs that wander, and the events that may still be repeated, corrected or retracted."""

    name: str
    head: datetime
    rng: random.Random
    age: int
    signs: dict[str, float]
    plain: list[dict[str, Any]] = field(default_factory=list)

    def observe(self) -> list[dict[str, Any]]:
        """The next vital signs; now and then one is not measured."""
        for name, (low, high, step, _) in SIGNS.items():
            moved = self.signs[name] + self.rng.gauss(0, step)
            self.signs[name] = min(high, max(low, moved))
        return [
            {"code": name, "value": round(self.signs[name], 1), "unit": unit}
            for name, (_, _, _, unit) in SIGNS.items()
            if self.rng.random() > 0.15
        ] or [{"code": "pulse", "value": 80, "unit": "/min"}]


SIGNS = {  # lowest, highest, wander, UCUM unit
    "respiration_rate": (8.0, 35.0, 1.0, "/min"),
    "spo2": (84.0, 100.0, 0.8, "%"),
    "systolic_bp": (75.0, 200.0, 4.0, "mm[Hg]"),
    "pulse": (40.0, 150.0, 3.0, "/min"),
    "temperature": (35.0, 40.5, 0.1, "Cel"),
}


class Load:
    """Draws records for a ward of patients.

    Args:
        seed: Same seed, same load (given the same start).
        start: Event time of the first events; each patient's clock then goes on by about a minute an event.
        patients: Number of patients.
        notes: Share of notes, from every fifth patient only, so that the others have one modality.
        conflicts: Whether event ids are used again for other content. Without Redis nobody can tell those.
        poison: Share of records that cannot be used.
    """

    def __init__(
        self, *, seed: int, start: datetime, patients: int = 20, notes: float = 0.0, conflicts: bool = True,
        poison: float = 0.01,
    ) -> None:  # fmt: skip
        self._rng = random.Random(seed)
        self._run = f"{seed}"
        self._serial = self._poisoned = 0
        self._notes = notes
        self._ward = [self._admit(number, start) for number in range(patients)]
        usable: list[tuple[float, Callable[[_Patient], Planned]]] = [
            (0.03, self._late), (0.01, self._duplicate), (0.01, self._corrected), (0.005, self._retracted),
            (0.003 if conflicts else 0.0, self._conflict), (poison, self._poison),
        ]  # fmt: skip
        self._draws = [draw for _, draw in usable]
        self._shares = [share for share, _ in usable]

    def records(self, count: int) -> Iterator[Planned]:
        """The next `count` records; each patient's first few are plain, so that there is something to correct."""
        for number in range(count):
            patient = self._rng.choice(self._ward)
            draw = self._rng.choices([self._plain, *self._draws], [1 - sum(self._shares), *self._shares])[0]
            if draw in (self._duplicate, self._corrected, self._retracted, self._conflict) and len(patient.plain) < 4:
                draw = self._plain
            if number % 100 == 50:  # all kinds of poison, whatever is drawn
                draw = self._poison if self._shares[-1] else draw
            yield draw(patient)

    def _admit(self, number: int, start: datetime) -> _Patient:
        rng = random.Random(self._rng.getrandbits(64))
        signs = {name: rng.uniform(low, high) for name, (low, high, _, _) in SIGNS.items()}
        return _Patient(f"pat-{self._run}-{number:03d}", start, rng, rng.randint(20, 90), signs)

    def _event(self, patient: _Patient, time: datetime, **fields: Any) -> dict[str, Any]:
        self._serial += 1
        return {
            "schema_version": "1.0",
            "event_id": f"ev-{self._run}-{self._serial:06d}",
            "patient_id": patient.name,
            "event_time": time.isoformat(),
            "encounter_id": f"enc-{patient.name}",
            "unit": "ward-1",
            "source": "load",
            "status": "final",
            "subject": {"age_years": patient.age},
            **fields,
        }

    def _vitals(self, patient: _Patient, time: datetime, **fields: Any) -> dict[str, Any]:
        fields.setdefault("observations", patient.observe())
        fields.setdefault("oxygen", {"delivery": "air"})
        fields.setdefault("acvpu", "A" if self._rng.random() > 0.03 else "V")
        return self._event(patient, time, **fields)

    def _plain(self, patient: _Patient) -> Planned:
        patient.head += timedelta(seconds=45 + self._rng.random() * 30)
        if self._rng.random() < self._notes and patient.name.endswith(("0", "5")):
            note = self._event(
                patient, patient.head, text=self._rng.choice(NOTE_TEXTS), kind="34746-8", author_role="nurse"
            )
            return _planned(NOTES, note, "note")
        event = self._vitals(patient, patient.head)
        patient.plain = [*patient.plain[-8:], event]
        return _planned(VITALS, event, "final")

    def _late(self, patient: _Patient) -> Planned:
        time = patient.head - timedelta(seconds=60 + self._rng.random() * 540)
        return _planned(VITALS, self._vitals(patient, time), "late")

    def _taken(self, patient: _Patient) -> dict[str, Any]:
        """A recent plain event, used for one thing only: nobody corrects what was retracted."""
        return patient.plain.pop(self._rng.randrange(len(patient.plain)))

    def _duplicate(self, patient: _Patient) -> Planned:
        return _planned(VITALS, self._taken(patient), "duplicate", "duplicate")

    def _corrected(self, patient: _Patient) -> Planned:
        old = self._taken(patient)
        time = datetime.fromisoformat(old["event_time"])
        return _planned(VITALS, self._vitals(patient, time, status="corrected", replaces=old["event_id"]), "corrected")

    def _retracted(self, patient: _Patient) -> Planned:
        old = self._taken(patient)
        time = datetime.fromisoformat(old["event_time"])
        again = {name: old[name] for name in ("observations", "oxygen", "acvpu")}
        event = self._vitals(patient, time, status="entered-in-error", replaces=old["event_id"], **again)
        return _planned(VITALS, event, "entered-in-error")

    def _conflict(self, patient: _Patient) -> Planned:
        old = self._taken(patient)
        other = {**old, "observations": [{"code": "pulse", "value": 61, "unit": "/min"}]}
        return _planned(VITALS, other, "poison: id used again", "dead letter")

    def _poison(self, patient: _Patient) -> Planned:
        """The ten kinds in turn."""
        self._poisoned += 1
        names = list(POISON)
        name = names[self._poisoned % len(names)]
        good = self._vitals(patient, patient.head)
        key, value = POISON[name].spoil(patient.name.encode(), good)
        return Planned(VITALS, key, value, patient.name, None, "dead letter", f"poison: {name}")


def _planned(topic: str, event: dict[str, Any], kind: str, expect: End = "recommendation") -> Planned:
    name = event["patient_id"]
    return Planned(topic, name.encode(), _json(event), name, event["event_id"], expect, kind)


def _json(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


NOTE_TEXTS = (
    "Comfortable at rest, eating and drinking. No new concerns.",
    "Increasingly breathless since noon, productive cough, rigors. Suspected chest infection.",
    "Confused this evening, family concerned. Urine output low.",
)


class Poison(NamedTuple):
    """A way in which a record cannot be used at all: the reason that it must be given, and how it is made."""

    reason: str
    spoil: Callable[[bytes, dict[str, Any]], tuple[bytes | None, bytes | None]]


POISON: dict[str, Poison] = {
    "null value": Poison("null_value", lambda key, event: (key, None)),
    "not UTF-8": Poison("not_utf8", lambda key, event: (key, b'{"text":"\xff\xfe"}')),
    "truncated": Poison("not_json", lambda key, event: (key, _json(event)[:-9])),
    "not an object": Poison("schema", lambda key, event: (key, b"[1,2,3]")),
    "unknown field": Poison("schema", lambda key, event: (key, _json({**event, "blood_presure": 1}))),
    "other version": Poison("schema_version", lambda key, event: (key, _json({**event, "schema_version": "9.0"}))),
    "naive time": Poison("event_time_naive", lambda key, event: (key, _json({**event, "event_time": NAIVE}))),
    "future time": Poison("event_time_future", lambda key, event: (key, _json({**event, "event_time": FUTURE}))),
    "other key": Poison("key_mismatch", lambda key, event: (key + b"-other", _json(event))),
    "replaces nothing": Poison("replaces_missing", lambda key, event: (key, _json({**event, "status": "corrected"}))),
}

NAIVE, FUTURE = "2026-01-01T00:00:00", "2199-01-01T00:00:00+00:00"

REASONS = {f"poison: {name}": made.reason for name, made in POISON.items()}
REASONS["poison: id used again"] = "event_id_conflict"
"""Kind of record to the reason of its dead letter."""


def hours_ago(hours: float) -> datetime:
    """A start for a load whose events shall lie in the past, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
