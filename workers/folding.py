"""Folding a batch into its patients' contexts: record by record for a patient, all patients together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topics.catalogue import IMAGING, NOTES, VITALS
from topics.readings import Suspect
from topics.reasons import Reason
from workers import collate
from workers.context import CONFLICT, Contexts, blank, put, take
from workers.entries import fold_entries
from workers.fold import adopt, fold_vitals
from workers.identity import uuid_text
from workers.inference import Models
from workers.records import Record
from workers.revisions import holder

_FIELD: Final = {NOTES: "note", IMAGING: "image"}


@dataclass(slots=True)
class Work:
    """One batch to decide: `slots[i]` is the row of `contexts` of the patient of `records[i]`.

    Attributes:
        degraded: `(m,)` per patient: the context did not come from the store.
    """

    records: Sequence[Record]
    slots: NDArray[np.intp]
    contexts: Contexts
    degraded: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch after folding; parallel to its records.

    Attributes:
        after: `(n,)` each record's patient after that record; the contexts themselves where they are of the records,
            one each, in order.
        outcome: Of `workers.seen.Outcome`.
        said: Why something of each event was not believed, or not encoded.
        suspect: What of each event was not believed; mostly nothing, which is left out.
        cold: The patient's history was out of reach.
        since: `(n,)` newest event time of the patient before the record.
        earlier: By number of the record, the id of a result that it replaces beside the one that it names.
        previous: `(n,)` the record of the same patient before it, or -1.
        single: No patient has two records.
    """

    after: Contexts
    outcome: list[int]
    said: list[list[Reason]]
    suspect: dict[int, list[Suspect]]
    cold: list[bool]
    since: NDArray[np.int64]
    earlier: dict[int, str]
    previous: NDArray[np.intp]
    single: bool


def fold_batch(work: Work, models: Models | None, run: str) -> Folded:
    """Fold the records into `work.contexts`.

    Args:
        work: The batch.
        models: Whose recurrence is stepped; None leaves the recurrent states as they are.
        run: Names the results.
    """
    parts, count = rounds(work.slots), len(work.records)
    single = len(parts) == 1
    in_place = single and np.array_equal(work.slots, np.arange(len(work.contexts)))
    after = work.contexts if in_place else blank(count)
    outcome, cold, since = np.zeros(count, np.uint8), np.zeros(count, bool), np.empty(count, np.int64)
    said: list[list[Reason]] = [[] for _ in range(count)]
    suspect: dict[int, list[Suspect]] = {}
    earlier: dict[int, str] = {}
    for index in parts:
        slots, records = work.slots[index], [work.records[i] for i in index]
        contexts = work.contexts if in_place else take(work.contexts, slots)
        earlier |= _earlier(contexts, work.records, index)
        cold[index] = (contexts["cold"] == 1) & work.degraded[slots]
        since[index] = contexts["as_of"]
        outcome[index], why, doubts = _fold(contexts, records, models, run)
        for i, reasons, suspects in zip(index.tolist(), why, doubts, strict=True):
            said[i] = reasons
            if suspects:
                suspect[i] = suspects
        if not in_place:
            put(work.contexts, slots, contexts)
            put(after, index, contexts)
    previous = _previous(work.slots, parts)
    return Folded(after, outcome.tolist(), said, suspect, cold.tolist(), since, earlier, previous, single)


def _fold(
    contexts: Contexts, records: Sequence[Record], models: Models | None, run: str
) -> tuple[NDArray[np.uint8], list[list[Reason]], list[list[Suspect]]]:
    """Fold one record into each context: the outcomes; why something of each event is left out, and what."""
    topic = records[0].source.topic
    if topic == VITALS:
        rows = collate.vitals_rows(records)
        recurrence = None if models is None else models.vitals
        outcome = fold_vitals(contexts, rows.rows, collate.changes(records, run), recurrence)
        conflict = (rows.rows["quality"] & CONFLICT).tolist()
        reasons = [
            collate.value_reasons(doubts, conflict=bool(c)) if doubts or c else []
            for doubts, c in zip(rows.suspects, conflict, strict=True)
        ]
        suspects = rows.suspects
    else:
        if models is not None:
            adopt(contexts, models.vitals)  # so that the first note after a promotion has a risk
        made, reasons, suspects = collate.entries(records)
        outcome = fold_entries(contexts, _FIELD[topic], made, collate.changes(records, run))
    return outcome, reasons, suspects


def rounds(slots: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of a batch, split so that each part has every patient once at most, in order."""
    if len(set(slots.tolist())) == len(slots):
        return [np.arange(len(slots))]
    seen: dict[int, int] = {}
    turn = np.empty(len(slots), np.intp)
    for i, slot in enumerate(slots.tolist()):
        turn[i] = seen.get(slot, 0)
        seen[slot] = int(turn[i]) + 1
    return [np.flatnonzero(turn == k) for k in range(int(turn.max()) + 1)]


def _earlier(contexts: Contexts, records: Sequence[Record], index: NDArray[np.intp]) -> dict[int, str]:
    """By number of the record, the id of the result whose correction has the place that the record asks for."""
    asked = [(context, i) for context, i in enumerate(index.tolist()) if records[i].replaces64]
    held = {i: holder(contexts[context], records[i].replaces64) for context, i in asked}
    return {i: uuid_text(revision.ident) for i, revision in held.items() if revision is not None}


def _previous(slots: NDArray[np.intp], parts: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """For each record of a batch, the record of the same patient before it, or -1."""
    previous = np.full(len(slots), -1, np.intp)
    newest: dict[int, int] = {}
    if len(parts) > 1:
        for i, slot in enumerate(slots.tolist()):
            previous[i] = newest.get(slot, -1)
            newest[slot] = i
    return previous
