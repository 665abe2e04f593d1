"""A ward over time: every patient's events, in the order in which they arrive.

Decides who is admitted when, which event is sent, which comes late, is corrected, retracted, implausible or unusable.
Pure: the same plan gives the same records, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from topics.catalogue import IMAGING, NOTES, VITALS
from workers.simulate import films
from workers.simulate.course import CourseName, admit, severity, treated
from workers.simulate.notes import doctor_note, nurse_note
from workers.simulate.observations import lab_panel, observation_round
from workers.simulate.poison import KINDS, poison
from workers.simulate.record import Record, record, rfc3339

SOURCE: Final = "wardstream-simulator"
NURSE_NOTE, DOCTOR_NOTE = "34746-8", "11506-3"  # LOINC: nurse note, progress note

TREATMENT: Final = {
    "observations": [
        {"code": "antibiotic_given", "value": 1, "unit": "{event}"},
        {"code": "fluid_bolus_given", "value": 1, "unit": "{event}"},
    ]
}
"""Charted once, when a septic patient has been recognised."""

ImageSink = Callable[[str, bytes], str]
"""Takes a file name and PNG bytes, keeps them, and gives the URI of the claim check."""


@dataclass(frozen=True, slots=True)
class WardPlan:
    """What a made ward shall be.

    Attributes:
        seed: Same seed, same ward.
        patients: Beds.
        start: When the first patient is admitted; aware.
        hours: Length of every stay.
        name: Start of every patient id, so that wards do not meet in one topic.
        courses: The first patients' courses; the rest is drawn.
        late: Share of events that arrive 20 to 120 minutes late.
        corrected: Share of rounds corrected later.
        retracted: Share of rounds marked entered-in-error later.
        slips: Share of rounds with an implausible value.
        poison: Unusable records for every good one.
        images: Whether films are drawn.
    """

    seed: int
    patients: int
    start: datetime
    hours: float = 48.0
    name: str = "made"
    courses: tuple[CourseName, ...] = ()
    late: float = 0.02
    corrected: float = 0.01
    retracted: float = 0.005
    slips: float = 0.01
    poison: float = 0.003
    images: bool = True


def ward(plan: WardPlan, keep_image: ImageSink | None = None) -> Iterator[Record]:
    """The records of a ward in order of arrival.

    Args:
        plan: The ward.
        keep_image: Where films go; without it they travel inline.
    """
    stays = [_in_order(_Stay(plan, bed, keep_image).events()) for bed in range(plan.patients)]
    rng = random.Random(f"{plan.seed}/unusable")
    sent = 0
    for _, _, good in heapq.merge(*stays, key=lambda item: item[:2]):
        yield good
        if rng.random() < plan.poison:
            yield poison(KINDS[sent % len(KINDS)], good.at, plan.seed * 1_000_000 + sent)
            sent += 1


_Arrival = tuple[datetime, str, Record]


def _in_order(events: Iterator[tuple[datetime, Record]]) -> Iterator[_Arrival]:
    """Sort one stay by arrival, holding back no more than what is late.

    `events` come in the order in which they happen, with that time; none arrives before it happens.
    """
    waiting: list[_Arrival] = []
    for happened, late in events:
        while waiting and waiting[0][0] <= happened:
            yield heapq.heappop(waiting)
        heapq.heappush(waiting, (late.at, late.event_id or "", late))
    while waiting:
        yield heapq.heappop(waiting)


class _Stay:
    """One patient from admission to discharge."""

    def __init__(self, plan: WardPlan, bed: int, keep_image: ImageSink | None) -> None:
        self._plan, self._keep_image = plan, keep_image
        self._rng = random.Random(f"{plan.seed}/{bed}")
        self._seed = plan.seed * 100_003 + bed
        course = plan.courses[bed] if bed < len(plan.courses) else None
        self._patient = admit(self._rng, f"{plan.name}-{bed:04d}", course)
        self._admitted = plan.start + timedelta(minutes=self._rng.uniform(0, 50))
        self._count = 0

    def events(self) -> Iterator[tuple[datetime, Record]]:
        """Everything of this stay, in the order in which it happens."""
        hour, next_panel, next_note = 0.0, 0.4, self._rng.uniform(0.5, 2)
        next_film = self._rng.uniform(0.2, 1.5)
        given = False
        while hour < self._plan.hours:
            yield from self._round(hour)
            ill = severity(self._patient, hour)
            if hour >= next_panel:
                yield self._send(hour + 0.02, VITALS, lab_panel(self._rng, self._patient, hour))
                next_panel = hour + (5 if ill > 0.4 else 14)
            if hour >= next_note:
                yield self._note(hour + 0.04, ill)
                next_note = hour + self._rng.uniform(3, 6)
            if not given and treated(self._patient, hour):
                given = True
                yield self._send(hour + 0.05, VITALS, TREATMENT)
            if self._plan.images and hour >= next_film:
                yield self._film(hour + 0.06, ill)
                next_film = hour + self._rng.uniform(9, 16)
            hour += self._rng.uniform(0.7, 1.25) * (0.6 if ill > 0.7 else 1.0)

    def _round(self, hour: float) -> Iterator[tuple[datetime, Record]]:
        """A bedside round and, sometimes, what is said of it later."""
        rng, plan = self._rng, self._plan
        contents = observation_round(rng, self._patient, hour, slip=rng.random() < plan.slips)
        happened, sent = self._send(hour, VITALS, contents)
        yield happened, sent
        chance = rng.random()
        if chance >= plan.corrected + plan.retracted:
            return
        status = "corrected" if chance < plan.corrected else "entered-in-error"
        again = observation_round(rng, self._patient, hour) if status == "corrected" else contents
        amended = again | {"status": status, "replaces": sent.event_id}
        # It happens now and is heard of later, when somebody has looked at the chart.
        yield self._send(hour, VITALS, amended, delay=timedelta(minutes=rng.uniform(5, 45)) + (sent.at - happened))

    def _note(self, hour: float, ill: float) -> tuple[datetime, Record]:
        doctor = self._rng.random() < (0.4 if ill > 0.5 else 0.2)
        text = doctor_note(self._patient, hour) if doctor else nurse_note(self._rng, self._patient, hour)
        kind, role = (DOCTOR_NOTE, "physician") if doctor else (NURSE_NOTE, "nurse")
        return self._send(hour, NOTES, {"text": text, "kind": kind, "author_role": role})

    def _film(self, hour: float, ill: float) -> tuple[datetime, Record]:
        """A chest film: opacities where the lungs are what is ill."""
        lungs = ill if self._patient.course in {"respiratory", "recovering"} else 0.0
        png = films.draw(self._seed * 101 + self._count, lungs, "both" if lungs > 0.8 else "right")
        digest = hashlib.sha256(png).hexdigest()
        if self._keep_image is None:
            image: dict[str, Any] = {
                "data": base64.b64encode(png).decode(),
                "media_type": "image/png",
                "sha256": digest,
            }
        else:
            uri = self._keep_image(f"{digest}.png", png)
            image = {"uri": uri, "sha256": digest, "size_bytes": len(png), "media_type": "image/png"}
        return self._send(hour, IMAGING, {"image": image, "modality": "DX", "body_part": "CHEST", "view": "AP"})

    def _send(
        self, hour: float, topic: str, contents: dict[str, Any], delay: timedelta | None = None
    ) -> tuple[datetime, Record]:
        """One event of this patient with its identity, time and, now and then, a delay."""
        happened = self._admitted + timedelta(hours=hour)
        if delay is None:
            is_late = self._rng.random() < self._plan.late
            delay = timedelta(minutes=self._rng.uniform(20, 120)) if is_late else timedelta(seconds=2)
        patient = self._patient
        event = {
            "schema_version": "1.0",
            "event_id": f"{patient.patient_id}-{self._count:05d}",
            "patient_id": patient.patient_id,
            "encounter_id": patient.encounter_id,
            "unit": patient.unit,
            "event_time": rfc3339(happened),
            "source": SOURCE,
            "status": "final",
            "subject": {"age_years": patient.age_years, "sex": patient.sex},
            **contents,
        }
        self._count += 1
        return happened, record(happened + delay, topic, event)
