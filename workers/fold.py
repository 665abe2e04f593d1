"""Folding events into patient contexts, as arrays over the batch.

Theory. A context is checkpoint + window of raw vitals events + head, with head = fold(checkpoint, window). Three cases:
- in order (all that a healthy ward sends): the head advances by one step of the recurrence; when the window is full its
  oldest event moves into the checkpoint by one step of its own;
- late, corrected or retracted, but not older than the window: the window is mended and the head folded anew from the
  checkpoint, so that the state is what it would have been had everything come in order;
- older than the window: nothing changes (`TOO_LATE`).
Images and notes have no recurrence: their newest four, in order, are their whole state, but for flags: what a note says
holds until said otherwise, so that a note that leaves the four hands its flags on. Who of several corrections of one
event has its place is decided in `workers.revisions`.

It knows contexts and a recurrence to step; it knows no Redis, Kafka, clock, nor what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from workers import flags
from workers.context import (
    COLUMN_COUNT,
    ENTRIES,
    EVIDENCE,
    NEVER,
    SEEN,
    SKIP_MODEL,
    TOMBSTONE,
    WINDOW,
    Contexts,
    put,
    raw,
    take,
)
from workers.revisions import Place, Revision, take_place

Floats = NDArray[np.float32]
_MS_PER_HOUR: Final = 3_600_000.0


class Outcome(IntEnum):
    """What became of an event in the fold."""

    APPLIED = 0
    DUPLICATE = 1  # seen with the same content: already published
    CONFLICT = 2  # seen with other content: to the dead letters
    TOO_LATE = 3  # older than the window: published, state untouched
    SUPERSEDED = 4  # a later revision came first: published, state untouched but for what it replaces itself


_OUTCOME: Final = {
    Place.TAKEN: Outcome.APPLIED,
    Place.LOST: Outcome.SUPERSEDED,
    Place.PAST: Outcome.TOO_LATE,
}


class Recurrence(Protocol):
    """The vitals model, as the fold needs it; shapes as in `models.vitals.VitalsEncoder.step`."""

    digest: int
    hidden: int

    def step(self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats) -> Floats:
        """The recurrent state `(n, hidden)` after one event."""
        ...

    def explain(
        self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats
    ) -> tuple[Floats, Floats]:
        """`step`, and each column's signed contribution `(n, P)` to the risk."""
        ...


class Changes:
    """What a batch of events does to contexts: parallel arrays, one entry an event.

    Attributes:
        content: `(n,)` uint64 digests of the events' bytes.
        replaces: `(n,)` uint64 id digest of the event replaced, 0 for none.
        retract: `(n,)` bool: entered in error, nothing takes the place.
        idents: The 16 bytes of each result's id, by index; needed only of events that replace one.
    """

    __slots__ = ("content", "idents", "replaces", "retract")

    def __init__(
        self, content: NDArray[np.uint64], replaces: NDArray[np.uint64], retract: NDArray[np.bool_],
        idents: Mapping[int, bytes] | None = None,
    ) -> None:  # fmt: skip
        self.content, self.replaces, self.retract, self.idents = content, replaces, retract, idents or {}

    def revision(self, i: int, row: np.void) -> Revision:
        """What event `i`, whose row or entry is `row`, puts into the place of the one that it replaces."""
        return Revision(int(row["id"]), int(row["ms"]), self.idents.get(i, bytes(16)), bool(self.retract[i]))


def fold_vitals(
    contexts: Contexts, rows: NDArray[np.void], changes: Changes, model: Recurrence | None
) -> NDArray[np.uint8]:
    """Fold one vitals event into each context, in place.

    Args:
        contexts: `(n,)` of CONTEXT, one patient each.
        rows: `(n,)` of ROW.
        changes: What the events replace.
        model: The recurrence; None leaves the recurrent state as it is and marks the rows so.

    Returns:
        `(n,)` uint8 of Outcome.
    """
    if model is None:
        rows["quality"] |= SKIP_MODEL
    else:
        adopt(contexts, model)
    outcome = recognise(contexts, rows["id"], changes.content, _held(contexts, "window", "rows"))
    fresh = outcome == Outcome.APPLIED
    head = contexts["head"]
    later = (rows["ms"] > head["ms"]) | ((rows["ms"] == head["ms"]) & (rows["id"] > head["id"]))
    in_order = fresh & later & (changes.replaces == 0)
    index = np.flatnonzero(in_order)
    if len(index):
        _append(contexts, index, rows[index], model)
    mended: list[int] = []
    replaced_early = np.flatnonzero((outcome == Outcome.SUPERSEDED) & (changes.replaces != 0))
    for i in np.flatnonzero(fresh & ~in_order).tolist():
        outcome[i] = _mend(contexts[i : i + 1], rows[i], changes, i, model, keep=not changes.retract[i])
        if outcome[i] == Outcome.APPLIED:
            mended.append(i)
    for i in replaced_early.tolist():
        _mend(contexts[i : i + 1], rows[i], changes, i, model, keep=False)
        mended.append(i)
    if mended:
        _refold(contexts, np.array(mended, np.intp), model)
    remember(contexts, rows["id"], changes.content, outcome)
    _pass_time(contexts, rows["ms"], outcome)
    return outcome


def _pass_time(contexts: Contexts, ms: NDArray[np.int64], outcome: NDArray[np.uint8]) -> None:
    """Events that have or had a place in the window move the time of judgement, forward only."""
    placed = (outcome == Outcome.APPLIED) | (outcome == Outcome.SUPERSEDED)
    contexts["as_of"] = np.where(placed, np.maximum(contexts["as_of"], ms), contexts["as_of"])
    contexts["cold"][placed] = 0


def fold_entries(contexts: Contexts, field: str, entries: NDArray[np.void], changes: Changes) -> NDArray[np.uint8]:
    """Fold one image or note into each context, in place.

    Args:
        contexts: `(n,)` of CONTEXT, one patient each.
        field: `image` or `note`.
        entries: `(n,)` of ENTRY.
        changes: What the events replace.

    Returns:
        `(n,)` uint8 of Outcome.
    """
    outcome = recognise(contexts, entries["id"], changes.content, _held(contexts, field, field + "s"))
    for i in np.flatnonzero((outcome == Outcome.APPLIED) | (outcome == Outcome.SUPERSEDED)).tolist():
        found = _place(contexts, field, entries, changes, i, forestalled=outcome[i] == Outcome.SUPERSEDED)
        if outcome[i] == Outcome.APPLIED:
            outcome[i] = found
    remember(contexts, entries["id"], changes.content, outcome)
    _pass_time(contexts, entries["ms"], outcome)
    return outcome


def _place(
    contexts: Contexts, field: str, entries: NDArray[np.void], changes: Changes, i: int, *, forestalled: bool
) -> Outcome:  # fmt: skip
    """Put one image or note among the newest, and take out what it replaces."""
    context, entry = contexts[i], entries[i]
    kept = [context[field][k].copy() for k in range(int(context[field + "s"]))]
    replaced, outcome = int(changes.replaces[i]), Outcome.APPLIED
    if replaced:
        kept, place = take_place(context, kept, replaced, changes.revision(i, entry))
        outcome = _OUTCOME[place]
    if outcome is Outcome.APPLIED and not changes.retract[i] and not forestalled:
        if len(kept) == ENTRIES and _position(entry) < _position(kept[0]):
            return Outcome.TOO_LATE
        kept = sorted([*kept, entry], key=_position)
        if len(kept) > ENTRIES:
            _hand_on(contexts[i : i + 1], kept.pop(0))
    if outcome is not Outcome.TOO_LATE:
        _keep(context, field, kept)
    return outcome


def _hand_on(context: Contexts, note: np.void) -> None:
    """What a note that leaves the newest four says goes on to hold."""
    if note["flags_known"]:
        when = flags.time_of(np.array([note["ms"]]), note=True)
        for name in ("checkpoint", "head"):
            _state_flags(context[name], note["flags_known"][None], note["flags_true"][None], when)


def _state_flags(
    states: NDArray[np.void], said: NDArray[np.uint32], yes: NDArray[np.uint32], when: NDArray[np.int64]
) -> None:  # fmt: skip
    states["flags_known"], states["flags_true"], states["flags_at"] = flags.state(
        states["flags_known"], states["flags_true"], states["flags_at"], said, yes, when
    )


def _keep(context: np.void, field: str, entries: Sequence[np.void]) -> None:
    for k, entry in enumerate(entries):
        context[field][k] = entry
    context[field + "s"] = len(entries)


def adopt(contexts: Contexts, model: Recurrence) -> None:
    """Make the recurrent state that of `model`: contexts of another version are folded anew from their raw window."""
    index = np.flatnonzero(contexts["model"] != model.digest)
    if len(index):
        contexts["model"][index] = model.digest
        contexts["checkpoint"]["hidden"][index] = 0.0
        contexts["head"]["hidden"][index] = 0.0
        _refold(contexts, index[contexts["rows"][index] > 0], model)


def recognise(
    contexts: Contexts, ids: NDArray[np.uint64], content: NDArray[np.uint64], held: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Outcome by what was seen before: APPLIED here means new.

    `held` `(n, k)` are the ids that the state rests on, 0 for none: a repeat of one of them is known for certain, also
    when so many others came since that the list of those seen has forgotten it.
    """
    outcome = np.zeros(len(ids), np.uint8)
    row, slot = np.nonzero(contexts["seen_id"] == ids[:, None])
    if len(row):
        known = contexts["seen_content"][row, slot]
        outcome[row] = np.where(
            known == TOMBSTONE, Outcome.SUPERSEDED, np.where(known == content[row], Outcome.DUPLICATE, Outcome.CONFLICT)
        )
    outcome[(outcome == Outcome.APPLIED) & (held == ids[:, None]).any(axis=1)] = Outcome.DUPLICATE
    return outcome


def _held(contexts: Contexts, field: str, count: str) -> NDArray[np.uint64]:
    """Ids of the rows or entries in use."""
    ids = contexts[field]["id"]
    return np.where(np.arange(ids.shape[1]) < contexts[count][:, None], ids, np.uint64(0))


def remember(
    contexts: Contexts, ids: NDArray[np.uint64], content: NDArray[np.uint64], outcome: NDArray[np.uint8]
) -> None:
    """Note the events as seen; a superseded one takes over its tombstone, so that its repeat is a duplicate."""
    new = (outcome == Outcome.APPLIED) | (outcome == Outcome.TOO_LATE)
    for i in np.flatnonzero(outcome == Outcome.SUPERSEDED):
        known = contexts["seen_id"][i] == ids[i]
        contexts["seen_content"][i][known] = content[i]
        new[i] = not known.any()
    new = np.flatnonzero(new)
    slot = contexts["seen_next"][new]
    contexts["seen_id"][new, slot] = ids[new]
    contexts["seen_content"][new, slot] = content[new]
    contexts["seen_next"][new] = (slot + 1) % SEEN


def _append(contexts: Contexts, index: NDArray[np.intp], rows: NDArray[np.void], model: Recurrence | None) -> None:
    """In order: one step at the head; a full window gives its oldest event to the checkpoint."""
    window = contexts["window"]
    full = index[contexts["rows"][index] == WINDOW]
    if len(full):
        checkpoint, _ = _advance(take(contexts["checkpoint"], full), take(window[:, 0], full), model, explain=False)
        put(contexts["checkpoint"], full, checkpoint)
        opaque = raw(window)
        opaque[full, :-1] = opaque[full, 1:]
        contexts["rows"][full] -= 1
    head, parts = _advance(take(contexts["head"], index), rows, model, explain=True)
    put(contexts["head"], index, head)
    raw(window)[index, contexts["rows"][index]] = raw(rows)
    contexts["rows"][index] += 1
    _note_evidence(contexts, index, parts)


def _mend(
    context: Contexts, row: np.void, changes: Changes, i: int, model: Recurrence | None, *, keep: bool
) -> Outcome:  # fmt: skip
    """Late, corrected or retracted: mend the window of one context, which then must be folded anew.

    `keep` puts the row itself into the window.
    """
    checkpoint = (int(context["checkpoint"]["ms"][0]), int(context["checkpoint"]["id"][0]))
    rows = [context["window"][0, k].copy() for k in range(int(context["rows"][0]))]
    if keep and _position(row) <= checkpoint:
        return Outcome.TOO_LATE
    replaced, outcome = int(changes.replaces[i]), Outcome.APPLIED
    if replaced:
        rows, place = take_place(context[0], rows, replaced, changes.revision(i, row))
        outcome = _OUTCOME[place]
    if keep and outcome is Outcome.APPLIED:
        rows = sorted([*rows, row], key=_position)
    if len(rows) > WINDOW:
        oldest = np.array([rows.pop(0)], context["window"].dtype)
        context["checkpoint"], _ = _advance(context["checkpoint"].copy(), oldest, model, explain=False)
    for k, r in enumerate(rows):
        context["window"][0, k] = r
    context["rows"][0] = len(rows)
    return outcome


def _refold(contexts: Contexts, index: NDArray[np.intp], model: Recurrence | None) -> None:
    """The heads of some contexts, from their checkpoints over their windows, all of them step by step together."""
    states = take(contexts["checkpoint"], index)
    counts = contexts["rows"][index].astype(np.intp)
    contexts["evidence_column"][index] = -1
    for k in range(int(counts.max(initial=0))):
        going = np.flatnonzero(counts > k)
        stepped, parts = _advance(
            take(states, going), take(contexts["window"][:, k], index[going]), model, explain=True
        )
        put(states, going, stepped)
        last = counts[going] == k + 1
        if last.any():
            _note_evidence(contexts, index[going[last]], None if parts is None else parts[last])
    put(contexts["head"], index, states)


def _advance(
    states: NDArray[np.void], rows: NDArray[np.void], model: Recurrence | None, *, explain: bool
) -> tuple[NDArray[np.void], Floats | None]:
    """States `(n,)` after one row each, and the columns' contributions `(n, P)` if asked for."""
    values = rows["value"]
    states["static"] = np.where(np.isnan(rows["static"]), states["static"], rows["static"])
    states["first_ms"] = np.where(states["first_ms"] == NEVER, rows["ms"], states["first_ms"])
    states["pregnant"] = np.where(rows["pregnant"] < 0, states["pregnant"], rows["pregnant"])
    states["spo2_scale"] = np.where(rows["spo2_scale"] == 0, states["spo2_scale"], rows["spo2_scale"])
    parts: Floats | None = None
    if model is not None:
        use = np.flatnonzero((rows["quality"] & SKIP_MODEL) == 0)
        if len(use):
            carried, at = states["value"][use], states["at"][use]
            gap = np.where(at == NEVER, np.nan, (rows["ms"][use, None] - at) / _MS_PER_HOUR).astype(np.float32)
            h, static = states["hidden"][use, : model.hidden], _static(states, rows, use)
            if explain:
                stepped, some = model.explain(h, values[use], carried, gap, static)
                parts = np.zeros((len(rows), COLUMN_COUNT), np.float32)
                parts[use] = some
            else:
                stepped = model.step(h, values[use], carried, gap, static)
            states["hidden"][use, : model.hidden] = stepped
    known = ~np.isnan(values)
    np.copyto(states["value"], values, where=known)
    np.copyto(states["at"], rows["ms"][:, None], where=known)
    if rows["flags_known"].any():
        _state_flags(states, rows["flags_known"], rows["flags_true"], flags.time_of(rows["ms"], note=False))
    states["ms"], states["id"] = rows["ms"], rows["id"]
    return states, parts


def _static(states: NDArray[np.void], rows: NDArray[np.void], use: NDArray[np.intp]) -> Floats:
    """`(len(use), 3)`: age, sex, and hours since the patient's first event."""
    stay_h = (rows["ms"][use] - states["first_ms"][use]) / _MS_PER_HOUR
    return np.column_stack((states["static"][use], stay_h.astype(np.float32)))


def _note_evidence(contexts: Contexts, index: NDArray[np.intp], parts: Floats | None) -> None:
    """Keep the strongest contributions of the newest vitals event, for the outputs until the next one."""
    if parts is None:
        contexts["evidence_column"][index] = -1
        return
    top = np.argpartition(-np.abs(parts), EVIDENCE, axis=1)[:, :EVIDENCE]
    strength = np.take_along_axis(parts, top, axis=1)
    order = np.argsort(-np.abs(strength), axis=1, kind="stable")
    strength = np.take_along_axis(strength, order, axis=1)
    contexts["evidence"][index] = strength
    contexts["evidence_column"][index] = np.where(strength == 0, -1, np.take_along_axis(top, order, axis=1))


def _position(row: np.void) -> tuple[int, int]:
    return int(row["ms"]), int(row["id"])
