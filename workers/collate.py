"""From decoded events to arrays: the one place where contract names meet the columns of the clinical table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.columns import FLAGS, INDEX
from topics.notes import NoteEvent
from topics.parameters import FLAG_BIT, PARAMETERS
from topics.readings import Suspect, read_flags, readings
from topics.reasons import Reason
from topics.vitals import VitalsEvent
from workers.context import CONFLICT, ENTRY, PROBABILITIES, SUSPECT, blank_rows
from workers.fold import Changes
from workers.identity import recommendation_bytes
from workers.records import Encoded, Record

_COLUMN = [INDEX[parameter.name] for parameter in PARAMETERS]  # KeyError at import: contract and table disagree
_BIT = {name: 1 << i for i, name in enumerate(FLAGS)}
_SAME_FLAGS = dict(FLAG_BIT) == _BIT
if not _SAME_FLAGS:
    raise ImportError("flags of the contract and of the clinical table differ")
_MALE = {"male": 1.0, "female": 0.0}
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
    suspects, at, columns, values = [], [], [], []
    known, true, scales, quality = [], [], [], []
    for i, record in enumerate(records):
        event = record.event
        assert isinstance(event, VitalsEvent)
        read = readings(event)
        for index, value in read.values:
            at.append(i)
            columns.append(_COLUMN[index])
            values.append(value)
        suspects.append(read.suspects)
        known.append(read.flags_known)
        true.append(read.flags_true)
        scales.append(read.spo2_scale)
        quality.append((SUSPECT if read.suspects else 0) | (CONFLICT if read.conflict else 0))
        if event.subject is not None:
            _state_subject(rows, i, event)
    rows["value"][at, columns] = values
    rows["flags_known"], rows["flags_true"] = known, true
    rows["spo2_scale"], rows["quality"] = scales, quality
    return Rows(rows, suspects)


def entries(records: Sequence[Record]) -> tuple[NDArray[np.void], list[list[Reason]]]:
    """The context entries of encoded images or notes, and what of each event was not believed or not encoded."""
    made = np.zeros(len(records), ENTRY)
    reasons: list[list[Reason]] = []
    for i, record in enumerate(records):
        made["ms"][i], made["id"][i] = record.event_ms, record.id64
        said = [] if record.encoded is None else list(record.encoded.reasons)
        if record.encoded is not None:
            _fill(made, i, record.encoded)
        if isinstance(record.event, NoteEvent):
            suspects: list[Suspect] = []
            made["flags_known"][i], made["flags_true"][i] = read_flags(record.event.flags, suspects)
            said += value_reasons(suspects, conflict=False)
            if not record.event.kind_known and Reason.CODE_UNKNOWN not in said:
                said.append(Reason.CODE_UNKNOWN)
        reasons.append(said)
    return made, reasons


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


def _state_subject(rows: NDArray[np.void], i: int, event: VitalsEvent) -> None:
    subject = event.subject
    assert subject is not None
    if subject.age_years is not None:
        rows["static"][i, 0] = subject.age_years
    if subject.sex in _MALE:
        rows["static"][i, 1] = _MALE[subject.sex]
    rows["pregnant"][i] = _PREGNANT[subject.pregnant]


def _fill(made: NDArray[np.void], i: int, encoded: Encoded) -> None:
    made["quality"][i] = encoded.quality
    made["embedding"][i] = encoded.embedding
    count = min(PROBABILITIES, len(encoded.probability))
    made["probability"][i, :count] = encoded.probability[:count]
