"""Real, openly licensed records become a ward: hours of one set, films of another, notes of a third.

No set links vital signs, images and notes of the same patient, so the patients made here are pairings by chance:
each modality is real, the person is not. Decides the pairing and the events; reads the sets as they lie in a folder
(`physionet2019/`, `kermany_cxr/`, `mtsamples/`), and writes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from topics.catalogue import IMAGING, NOTES, VITALS
from topics.notes import MAX_TEXT_CHARS
from workers.datasets import kermany, mtsamples, physionet2019
from workers.datasets.folder import DatasetError, file_of, table
from workers.simulate.record import Record, record, rfc3339
from workers.simulate.ward import ImageSink

NOTICE: Final = (
    "Patients are pairings by chance of open data sets (PhysioNet 2019 hours, Kermany chest films, MTSamples notes): "
    "every record is real, no patient is."
)

_COLUMNS: Final[dict[str, tuple[str, str]]] = {  # column: (code, unit as in the set)
    "HR": ("pulse", "/min"), "O2Sat": ("spo2", "%"), "Temp": ("temperature", "Cel"), "SBP": ("systolic_bp", "mm[Hg]"),
    "MAP": ("map", "mm[Hg]"), "DBP": ("diastolic_bp", "mm[Hg]"), "Resp": ("respiration_rate", "/min"),
    "EtCO2": ("etco2", "mm[Hg]"), "BaseExcess": ("base_excess", "mmol/L"), "HCO3": ("bicarbonate", "mmol/L"),
    "pH": ("ph", "[pH]"), "PaCO2": ("paco2_kpa", "mm[Hg]"), "SaO2": ("sao2", "%"), "AST": ("ast", "U/L"),
    "BUN": ("3094-0", "mg/dL"), "Alkalinephos": ("alp", "U/L"), "Calcium": ("calcium", "mg/dL"),
    "Chloride": ("chloride", "mmol/L"), "Creatinine": ("creatinine", "mg/dL"), "Glucose": ("glucose", "mg/dL"),
    "Lactate": ("lactate", "mmol/L"), "Magnesium": ("magnesium", "mg/dL"), "Phosphate": ("phosphate", "mg/dL"),
    "Potassium": ("potassium", "mmol/L"), "Bilirubin_total": ("bilirubin", "mg/dL"), "TroponinI": ("troponin", "ng/mL"),
    "Hct": ("haematocrit", "%"), "Hgb": ("haemoglobin", "g/dL"), "PTT": ("ptt", "s"), "WBC": ("wbc", "10*9/L"),
    "Fibrinogen": ("fibrinogen", "mg/dL"), "Platelets": ("platelets", "10*9/L"),
}  # fmt: skip
"""Units by the challenge's description, but for lactate and magnesium, whose values show mmol/L and mg/dL."""

Row = dict[str, Any]

_SHORTEST_H: Final = 24


@dataclass(frozen=True, slots=True)
class Stay:
    """One pairing.

    Attributes:
        hours: Rows of one ICU stay, by hour.
        films: JPEG bytes.
        notes: Texts.
    """

    hours: list[Row]
    films: list[bytes]
    notes: list[str]


def load_stays(folder: Path, patients: int, seed: int) -> tuple[list[Stay], list[str]]:
    """Read and pair.

    Args:
        folder: Where the sets lie.
        patients: How many stays; of at least 24 h, a third of them with sepsis.
        seed: Decides the choice and the pairing.

    Returns:
        The stays, and a line for each set that is not there.

    Raises:
        DatasetError: The hourly set is missing, or pyarrow is.
    """
    rng = random.Random(seed)
    stays = _hours(folder, patients, rng)
    missing = []
    films: list[bytes] = []
    notes: list[str] = []
    try:
        films = rng.choices([film.jpeg for film in kermany.images(folder)], k=2 * len(stays))
    except DatasetError as error:
        missing.append(f"goes without films: {error}")
    try:
        notes = rng.choices([note.text[:MAX_TEXT_CHARS] for note in mtsamples.notes(folder)], k=3 * len(stays))
    except DatasetError as error:
        missing.append(f"goes without notes: {error}")
    pairs = [Stay(rows, films[2 * i : 2 * i + 2], notes[3 * i : 3 * i + 3]) for i, rows in enumerate(stays)]
    return pairs, missing


def _hours(folder: Path, patients: int, rng: random.Random) -> list[list[Row]]:
    """Rows of the chosen stays, by hour."""
    hours = table(
        file_of(folder, physionet2019.FILE), ["patient_id", "ICULOS", "Age", "Gender", "FiO2", "SepsisLabel", *_COLUMNS]
    )
    stays = hours.select(["patient_id", "SepsisLabel"]).group_by("patient_id")
    long = [
        row
        for row in stays.aggregate([("SepsisLabel", "max"), ("SepsisLabel", "count")]).to_pylist()
        if row["SepsisLabel_count"] >= _SHORTEST_H
    ]
    ill = [row["patient_id"] for row in long if row["SepsisLabel_max"]]
    others = [row["patient_id"] for row in long if not row["SepsisLabel_max"]]
    third = min(math.ceil(patients / 3), len(ill))
    chosen = rng.sample(ill, third) + rng.sample(others, min(patients - third, len(others)))
    rng.shuffle(chosen)
    rows_of: dict[int, list[Row]] = {patient: [] for patient in chosen}
    numbers = [i for i, patient in enumerate(hours["patient_id"].to_pylist()) if patient in rows_of]
    for row in hours.take(numbers).to_pylist():
        rows_of[row["patient_id"]].append(row)
    return [sorted(rows, key=lambda row: row["ICULOS"]) for rows in rows_of.values()]


def paired_ward(
    stays: list[Stay], *, start: datetime, name: str, keep_image: ImageSink | None = None
) -> Iterator[Record]:
    """The records of all stays in order of time.

    Args:
        stays: From `load_stays`.
        start: First hour of every stay.
        name: Start of every patient id.
        keep_image: Where films go; without it they travel inline.
    """
    beds = [_records(stay, f"{name}-{bed:04d}", start, keep_image, bed) for bed, stay in enumerate(stays)]
    yield from heapq.merge(*beds, key=lambda each: each.at)


def _records(stay: Stay, patient_id: str, start: datetime, keep_image: ImageSink | None, bed: int) -> Iterator[Record]:
    """One pairing's records: vital signs by the hour, notes and films spread over the stay."""
    length = len(stay.hours)
    notes = {1 + i * max(length // 3, 1): text for i, text in enumerate(stay.notes)}
    films = {2 + i * max(length // 2, 1): film for i, film in enumerate(stay.films)}
    for number, row in enumerate(stay.hours):
        at = start + timedelta(hours=row["ICULOS"] - stay.hours[0]["ICULOS"], minutes=bed * 7 % 60)
        base = {"schema_version": "1.0", "patient_id": patient_id, "encounter_id": f"{patient_id}-stay", "unit": "icu",
                "status": "final", "subject": _subject(row)}  # fmt: skip
        kinds = [("v", VITALS, _vitals(row), 0)]
        if number in notes:
            kinds.append(("n", NOTES, _note(notes[number]), 60))
        if number in films:
            kinds.append(("i", IMAGING, _image(films[number], keep_image), 120))
        for letter, topic, contents, later_s in kinds:
            when = at + timedelta(seconds=later_s)
            own = {"event_id": f"{patient_id}-{letter}{number:04d}", "event_time": rfc3339(when)}
            yield record(when, topic, base | own | contents)


def _known(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _subject(row: Row) -> Row:
    subject: Row = {"sex": "male" if row["Gender"] else "female"}
    return subject | ({"age_years": row["Age"]} if _known(row["Age"]) else {})


def _vitals(row: Row) -> Row:
    """The hour's measured values; an hour without any is an event without observations."""
    observations = [
        {"code": code, "value": round(row[column], 4), "unit": unit}
        for column, (code, unit) in _COLUMNS.items()
        if _known(row[column])
    ]
    event: Row = {"source": "replay-physionet2019", "observations": observations}
    if _known(row["FiO2"]) and 0.2 < row["FiO2"] <= 1:
        fio2 = round(row["FiO2"], 3)
        event["oxygen"] = {"delivery": "oxygen" if fio2 > 0.21 else "air", "fio2": fio2}
    return event


def _note(text: str) -> Row:
    return {"source": "replay-mtsamples", "text": text, "kind": "11488-4", "author_role": "physician"}


def _image(jpeg: bytes, keep_image: ImageSink | None) -> Row:
    digest = hashlib.sha256(jpeg).hexdigest()
    image: Row = {"sha256": digest, "media_type": "image/jpeg"}
    if keep_image is None:
        image["data"] = base64.b64encode(jpeg).decode()
    else:
        image |= {"uri": keep_image(f"{digest}.jpg", jpeg), "size_bytes": len(jpeg)}
    return {"source": "replay-kermany", "image": image, "modality": "DX", "body_part": "CHEST", "view": "AP"}
