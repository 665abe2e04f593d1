"""MTS-Dialog: short dialogues of doctor and patient with the section of a note written from each, and its header.

CC BY 4.0. Ben Abacha A, Yim W, Fan Y, Lin T. An Empirical Study of Clinical Note Generation from Doctor-Patient
Encounters. EACL 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workers.datasets.folder import file_of, json_lines

FILE = "mts_dialog/notes.jsonl"


class Section(NamedTuple):
    """One section.

    Attributes:
        dialogue: What was said; the set's own task (MEDIQA-Sum 2023, A) is to tell the header from it.
        text: What was written of it.
        header: One of twenty, as GENHX or MEDICATIONS.
        section_id: Named for `models.training.split`; numbers repeat between the set's own splits.
    """

    dialogue: str
    text: str
    header: str
    section_id: str


def sections(data: Path) -> Iterator[Section]:
    """Every section, in the order of the set.

    Args:
        data: The data folder.

    Raises:
        DatasetError: The set is not there or a line of it is not what it should be.
    """
    yield from json_lines(file_of(data, FILE), _section, "section of MTS-Dialog")


def _section(row: Any) -> Section:
    name = f"mts_dialog/{row['split']}/{row['id']}"
    return Section(str(row["dialogue"]), str(row["section_text"]), str(row["section_header"]), name)
