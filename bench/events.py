"""Events for load, made by the million: valid, all different, the same for the same seed.

Decides what a measured record looks like. A vitals event is filled into one template of bytes, because building and
serialising dicts would take longer than the pipeline takes to read them; notes and films differ in a number that no
cache can overlook. `wardstream simulate` makes better wards; this makes many.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import orjson
from PIL import Image

from workers.simulate import films

SPACING_MS: Final = 900_000
"""Event time between two rounds of one patient: observations every quarter of an hour."""

_CHUNK: Final = 4096
_VITALS: Final = (
    b'{"schema_version":"1.0","event_id":"v-%010d","patient_id":"bench-%06d","encounter_id":"stay-%06d","unit":"ward-%02d",'
    b'"event_time":"%s","source":"bench","status":"final","subject":{"age_years":%d,"sex":"%s"},"observations":['
    b'{"code":"respiration_rate","value":%d,"unit":"/min"},{"code":"spo2","value":%d,"unit":"%%"},'
    b'{"code":"systolic_bp","value":%d,"unit":"mm[Hg]"},{"code":"diastolic_bp","value":%d,"unit":"mm[Hg]"},'
    b'{"code":"pulse","value":%d,"unit":"/min"},{"code":"temperature","value":%.1f,"unit":"Cel"},'
    b'{"code":"lactate","value":%.1f,"unit":"mmol/L"},{"code":"creatinine","value":%d,"unit":"umol/L"}],'
    b'"oxygen":{"delivery":"%s"},"acvpu":"%s"}'
)
#             respiration  spo2  systolic  diastolic  pulse  temperature  lactate  creatinine
_WELL: Final = np.array([15, 97, 126, 76, 76, 36.7, 1.1, 80])
_ILL: Final = np.array([28, 90, 88, 52, 124, 38.9, 4.2, 190])
_NOISE: Final = np.array([1.5, 1.0, 8, 5, 7, 0.25, 0.25, 8])
_LOW: Final = np.array([6, 70, 60, 30, 35, 34.0, 0.3, 30])
_HIGH: Final = np.array([45, 100, 220, 120, 190, 41.5, 12.0, 600])
_ILL_SHARE: Final = 0.1
_AIR: Final = (b"air", b"oxygen")


@dataclass(frozen=True, slots=True)
class Load:
    """A stream of vitals events: round after round of all patients, in order.

    Attributes:
        events: How many.
        patients: Whose; patient `i` sends the events `i`, `i + patients`, ...
        end_ms: Latest event time, epoch milliseconds; not ahead of the clock, or workers refuse.
        seed: Same seed, same bytes.
    """

    events: int
    patients: int
    end_ms: int
    seed: int = 1

    def partition(self, number: int, partitions: int) -> int:
        """Partition of event `number`: a patient's events stay together."""
        return (number % self.patients) % partitions


def vitals(load: Load) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each event; event `n` has the event_id `v-` and `n` in ten digits."""
    rng = np.random.default_rng(load.seed)
    rounds = -(-load.events // load.patients)
    age = rng.integers(18, 95, load.patients).tolist()
    ill = rng.random(load.patients) < _ILL_SHARE
    onset = rng.uniform(0.1, 0.9, load.patients)  # where in their stay the ill begin to deteriorate
    severity = np.zeros(load.patients)
    first_ms = load.end_ms - (rounds - 1) * SPACING_MS
    keys = [b"bench-%06d" % patient for patient in range(load.patients)]
    for number in range(0, load.events, _CHUNK):
        count = min(_CHUNK, load.events - number)
        who = (number + np.arange(count)) % load.patients
        when = (number + np.arange(count)) // load.patients
        severity = np.where(ill[who], np.clip((when / rounds - onset[who]) * 2, 0, 1), 0.0)
        values = _WELL + severity[:, None] * (_ILL - _WELL) + rng.normal(size=(count, 8)) * _NOISE
        values = np.clip(values, _LOW, _HIGH)
        oxygen = (severity > 0.3).tolist()
        confused = (severity > 0.8).tolist()
        rows = values.tolist()
        for i, (patient, turn) in enumerate(zip(who.tolist(), when.tolist(), strict=True)):
            at = _rfc3339(first_ms + turn * SPACING_MS)
            sex = b"female" if patient % 2 else b"male"
            value = _VITALS % (
                number + i, patient, patient, patient % 20, at, age[patient], sex, *rows[i], _AIR[oxygen[i]],
                b"C" if confused[i] else b"A",
            )  # fmt: skip
            yield keys[patient], value


def number_of(event_id: str) -> int:
    """The number of an event of `vitals`, from its event_id."""
    return int(event_id[2:])


_PHRASES: Final = (
    "More breathless since this morning, sitting upright, productive cough.",
    "Family says she is not herself. Looks flushed and is drinking little.",
    "Slept well, eating and drinking, pain controlled, mobilised to the bathroom.",
    "Wound clean and dry. Observations stable overnight. No new concerns.",
    "Complains of chills and rigors. Skin mottled. Passed little urine since midnight.",
    "Reviewed on the round: continue antibiotics, repeat bloods tomorrow, encourage fluids.",
    "Respirations laboured, saturation falling on two litres, doctor informed.",
    "Confused at times, pulled out the cannula twice, re-sited in the left arm.",
)


def notes(count: int, end_ms: int, seed: int = 1, patients: int = 500) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of nurses' notes of two to eight sentences; no two texts are the same."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        patient = f"bench-{number % patients:06d}"
        chosen = rng.integers(0, len(_PHRASES), int(rng.integers(2, 9)))
        text = f"Entry {number}. " + " ".join(_PHRASES[k] for k in chosen)
        event = _event(f"n-{number:010d}", patient, end_ms - (count - number))
        yield patient.encode(), orjson.dumps(event | {"kind": "34746-8", "author_role": "nurse", "text": text})


def images(count: int, end_ms: int, seed: int = 1, patients: int = 200) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of inline chest films, drawn by the program; no two files are the same."""
    drawn = [_film(seed * 100 + k) for k in range(8)]
    for number in range(count):
        patient = f"bench-{number % patients:06d}"
        data = numbered_jpeg(drawn[number % len(drawn)], number)
        image = {"data": base64.b64encode(data).decode(), "media_type": "image/jpeg"}
        event = _event(f"i-{number:010d}", patient, end_ms - (count - number))
        yield patient.encode(), orjson.dumps(event | {"image": image, "modality": "DX", "view": "PA"})


def numbered_jpeg(jpeg: bytes, number: int) -> bytes:
    """The same picture as another file: a comment segment (ITU-T T.81, B.2.4.5) behind the start marker."""
    comment = b"%010d" % number
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def _film(seed: int) -> bytes:
    """A drawn film at the size of a small radiograph, 1024 x 1024, as JPEG."""
    small = Image.open(io.BytesIO(films.draw(seed, 0.6)))
    out = io.BytesIO()
    small.resize((1024, 1024), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


def _event(event_id: str, patient: str, at_ms: int) -> dict[str, object]:
    return {
        "schema_version": "1.0",
        "event_id": event_id,
        "patient_id": patient,
        "unit": f"ward-{zlib.crc32(patient.encode()) % 20:02d}",
        "event_time": _rfc3339(at_ms).decode(),
        "source": "bench",
        "status": "final",
    }


def _rfc3339(at_ms: int) -> bytes:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").encode()
