"""MTSamples: transcribed clinical notes with their specialties.

CC0 by the claim of its crawler, not of the site: it is not redistributed. Most notes carry several specialties.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workers.datasets.folder import DatasetError, file_of

FILE = "mtsamples/notes.jsonl"


class Note(NamedTuple):
    """One note.

    Attributes:
        text: As transcribed.
        specialties: One or more.
        note_id: Of the sample.
    """

    text: str
    specialties: tuple[str, ...]
    note_id: str


def notes(data: Path) -> Iterator[Note]:
    """Every note that has text, in the order of the set.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or a line of it is not what it should be.
    """
    file = file_of(data, FILE)
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                note = Note(row["transcription"] or "", tuple(row["specialties"]), str(row["sample_id"]))
            except (ValueError, KeyError, TypeError) as error:
                raise DatasetError(f"{file}, line {number}, is no note of MTSamples") from error
            if note.text.strip():
                yield note
