"""From decoded events to arrays: the one place where contract names meet the columns of the clinical table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.columns import FLAGS, INDEX
from topics.events import Subject
from topics.notes import NoteEvent
from topics.parameters import FLAG_BIT, PARAMETERS
from topics.readings import Suspect, read_flags, readings
from topics.reasons import Reason
from topics.vitals import VitalsEvent
from workers.context import CONFLICT, ENTRY, PROBABILITIES, SUSPECT, blank_rows
from workers.identity import recommendation_bytes
from workers.records import Encoded, Record
from workers.seen import Changes

_COLUMN = np.array([INDEX[parameter.name] for parameter in PARAMETERS])  # KeyError: contract and table disagree
_BIT = {name: 1 << i for i, name in enumerate(FLAGS)}
_SAME_FLAGS = dict(FLAG_BIT) == _BIT
if not _SAME_FLAGS:
    raise ImportError("flags of the contract and of the clinical table differ")
_NAN = float("nan")
_MALE = {"male": 1.0, "female": 0.0}
_NO_SUBJECT = (_NAN, _NAN, -1)
_PREGNANT = {None: -1, False: 0, True: 1}


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of vitals events as arrays.

    Attributes:
        rows: `(n,)` of ROW.
        suspects: What each event said that is not believed.
    """

    rows: NDArray[np.void]
    suspects: list[list[Suspect]]


def vitals_rows(records: Sequence[Record]) -> Rows:
    """The window rows of vitals events."""
    rows = blank_rows(len(records))
    rows["ms"] = [record.event_ms for record in records]
    rows["id"] = [record.id64 for record in records]
    indices: list[int] = []
    values: list[float] = []
    rest, subjects, suspects, counts = [], [], [], []
    for record in records:
        event = record.event
        assert isinstance(event, VitalsEvent)
        stated, doubts, conflict, known, true, scale = readings(event)
        indices += stated
        values += stated.values()
        counts.append(len(stated))
        suspects.append(doubts)
        rest.append((known, true, scale, (SUSPECT if doubts else 0) | (CONFLICT if conflict else 0)))
        subjects.append(_NO_SUBJECT if event.subject is None else _subject(event.subject))
    rows["value"][np.repeat(np.arange(len(records)), counts), _COLUMN[np.array(indices, np.intp)]] = values
    for name, column in zip(
        ("flags_known", "flags_true", "spo2_scale", "quality"), zip(*rest, strict=True), strict=True
    ):
        rows[name] = column
    ages, males, rows["pregnant"] = zip(*subjects, strict=True)
    rows["static"] = np.column_stack((ages, males))
    return Rows(rows, suspects)


def entries(records: Sequence[Record]) -> tuple[NDArray[np.void], list[list[Reason]], list[list[Suspect]]]:
    """The context entries of encoded images or notes; why something was not encoded or not believed; what was not."""
    made = np.zeros(len(records), ENTRY)
    reasons: list[list[Reason]] = []
    suspects: list[list[Suspect]] = []
    for i, record in enumerate(records):
        made["ms"][i], made["id"][i] = record.event_ms, record.id64
        said = [] if record.encoded is None else list(record.encoded.reasons)
        if record.encoded is not None:
            _fill(made, i, record.encoded)
        doubts: list[Suspect] = []
        if isinstance(record.event, NoteEvent):
            made["flags_known"][i], made["flags_true"][i] = read_flags(record.event.flags, doubts)
            said += value_reasons(doubts, conflict=False)
            if not record.event.kind_known and Reason.CODE_UNKNOWN not in said:
                said.append(Reason.CODE_UNKNOWN)
        reasons.append(said)
        suspects.append(doubts)
    return made, reasons, suspects


def changes(records: Sequence[Record], run: str) -> Changes:
    """What each event replaces; `run` names the results, one of which a later correction may have to withdraw."""
    return Changes(
        np.array([record.content64 for record in records], np.uint64),
        np.array([record.replaces64 for record in records], np.uint64),
        np.array([record.event.status == "entered-in-error" for record in records]),
        {i: result_of(record, run) for i, record in enumerate(records) if record.replaces64},
    )


def result_of(record: Record, run: str) -> bytes:
    """The 16 bytes of the id of a record's result."""
    return recommendation_bytes(record.source.topic, record.event.source, record.event.event_id, run)


def value_reasons(suspects: Sequence[Suspect], *, conflict: bool) -> list[Reason]:
    """The flags that say what of an event was not believed."""
    found = list(dict.fromkeys(suspect.reason for suspect in suspects))
    return [*found, Reason.CONFLICTING_VALUES] if conflict else found


def _subject(subject: Subject) -> tuple[float, float, int]:
    """Age, sex and pregnancy as a row has them; an unusable age, which is NaN already, is unknown."""
    age = subject.age_years
    return _NAN if age is None else age, _MALE.get(subject.sex or "", _NAN), _PREGNANT[subject.pregnant]


def _fill(made: NDArray[np.void], i: int, encoded: Encoded) -> None:
    made["quality"][i], made["model"][i] = encoded.quality, encoded.model
    made["embedding"][i] = encoded.embedding
    count = min(PROBABILITIES, len(encoded.probability))
    made["probability"][i, :count] = encoded.probability[:count]
