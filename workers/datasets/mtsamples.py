"""MTSamples: transcribed clinical notes with their specialties.

CC0 by the claim of its crawler, not of the site: it is not redistributed. Most notes carry several specialties.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from workers.datasets.folder import file_of, json_lines

FILE = "mtsamples/notes.jsonl"

SINGLE_ORGANS: Final = (
    "Cardiovascular / Pulmonary", "Orthopedic", "Gastroenterology", "Obstetrics / Gynecology", "Urology", "Neurology",
    "ENT - Otolaryngology", "Ophthalmology", "Hematology - Oncology", "Nephrology", "Psychiatry / Psychology",
)  # fmt: skip
"""Organ systems of which the set has at least 25 notes that carry no other organ system: enough to judge a class by.
The next, dermatology, has 24."""

ORGAN_SYSTEMS: Final = (
    *SINGLE_ORGANS, "Allergy / Immunology", "Bariatrics", "Chiropractic", "Cosmetic / Plastic Surgery", "Dentistry",
    "Dermatology", "Endocrinology", "Neurosurgery", "Podiatry", "Rheumatology", "Sleep Medicine", "Speech - Language",
)  # fmt: skip
"""Specialties that name a part or system of the body. The others say what kind of document it is (Surgery, Radiology,
Consult, Discharge Summary, Letters), whom it is about (Pediatrics, General Medicine) or a service for any organ (Pain
Management, Rehab, Pathology)."""


class Note(NamedTuple):
    """One note.

    Attributes:
        text: As transcribed.
        specialties: One or more.
        note_id: Of the sample.
        about: Title and description that the site gives it; no part of the note.
    """

    text: str
    specialties: tuple[str, ...]
    note_id: str
    about: str = ""


def notes(data: Path) -> Iterator[Note]:
    """Every note that has text, in the order of the set.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or a line of it is not what it should be.
    """
    yield from filter(None, json_lines(file_of(data, FILE), _note, "note of MTSamples"))


def _note(row: Any) -> Note | None:
    """None where it has no text."""
    text = row["transcription"] or ""
    note = Note(text, tuple(row["specialties"]), str(row["sample_id"]), _about(row))
    return note if text.strip() else None


def _about(row: Any) -> str:
    return " ".join(str(row.get(name) or "") for name in ("sample_name", "description")).strip()
