"""Folding events into patient contexts, as arrays over the batch.

Theory. A context is checkpoint + window of raw vitals events + head, with head = fold(checkpoint, window). Three cases:
- in order (all that a healthy ward sends): the head advances by one step of the recurrence; when the window is full its
  oldest event moves into the checkpoint by one step of its own;
- late, corrected or retracted, but not older than the window: the window is mended and the head folded anew from the
  checkpoint, so that the state is what it would have been had everything come in order;
- older than the window: nothing changes (`TOO_LATE`).
Images and notes are folded in `workers.entries`, who of several corrections of one event has its place is decided in
`workers.revisions`, and `workers.seen` tells repeats from news.

It knows contexts and a recurrence to step; it knows no Redis, Kafka, clock, nor what the numbers mean.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from workers import flags
from workers.context import (
    COLUMN_COUNT,
    EVIDENCE,
    NEVER,
    ROW,
    SKIP_MODEL,
    STATE,
    WINDOW,
    Contexts,
    put,
    raw,
    take,
)
from workers.revisions import take_place
from workers.seen import OUTCOME, Changes, Outcome, held_ids, pass_time, position, recognise, remember

Floats = NDArray[np.float32]
_MS_PER_HOUR: Final = 3_600_000.0


class Recurrence(Protocol):
    """The vitals model, as the fold needs it; shapes as in `models.vitals.VitalsEncoder.step`."""

    digest: int
    hidden: int

    def step(self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats) -> Floats:
        """The recurrent state `(n, hidden)` after one event."""
        ...

    def explain(
        self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats, *, first: int | None = None
    ) -> tuple[Floats, Floats]:
        """`step`, and each column's signed contribution `(first, P)` to the risk of the first events, or of all."""
        ...


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
    outcome = recognise(contexts, rows["id"], changes.content, held_ids(contexts, "window", "rows"))
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
    pass_time(contexts, rows["ms"], outcome)
    return outcome


def adopt(contexts: Contexts, model: Recurrence) -> None:
    """Make the recurrent state that of `model`: contexts of another version are folded anew from their raw window."""
    index = np.flatnonzero(contexts["model"] != model.digest)
    if len(index):
        contexts["model"][index] = model.digest
        contexts["checkpoint"]["hidden"][index] = 0.0
        contexts["head"]["hidden"][index] = 0.0
        _refold(contexts, index[contexts["rows"][index] > 0], model)


def _append(contexts: Contexts, index: NDArray[np.intp], rows: NDArray[np.void], model: Recurrence | None) -> None:
    """In order: one step at the head; a full window gives its oldest event to the checkpoint.

    Both steps are taken together: what a step costs whatever its size is paid once.
    """
    window, count = contexts["window"], len(index)
    full = index[contexts["rows"][index] == WINDOW]
    states = np.concatenate((raw(contexts["head"])[index], raw(contexts["checkpoint"])[full])).view(STATE)
    events = np.concatenate((raw(rows), raw(window)[full, 0])).view(ROW)
    states, parts = _advance(states, events, model, explain=count)
    put(contexts["head"], index, states[:count])
    if len(full):
        put(contexts["checkpoint"], full, states[count:])
        opaque = raw(window)
        opaque[full, :-1] = opaque[full, 1:]
        contexts["rows"][full] -= 1
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
    if keep and position(row) <= checkpoint:
        return Outcome.TOO_LATE
    replaced, outcome = int(changes.replaces[i]), Outcome.APPLIED
    if replaced:
        rows, place = take_place(context[0], rows, replaced, changes.revision(i, row))
        outcome = OUTCOME[place]
    if keep and outcome is Outcome.APPLIED:
        rows = sorted([*rows, row], key=position)
    if len(rows) > WINDOW:
        oldest = np.array([rows.pop(0)], context["window"].dtype)
        context["checkpoint"], _ = _advance(context["checkpoint"].copy(), oldest, model, explain=0)
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
            take(states, going), take(contexts["window"][:, k], index[going]), model, explain=len(going)
        )
        put(states, going, stepped)
        last = counts[going] == k + 1
        if last.any():
            _note_evidence(contexts, index[going[last]], None if parts is None else parts[last])
    put(contexts["head"], index, states)


def _advance(
    states: NDArray[np.void], rows: NDArray[np.void], model: Recurrence | None, *, explain: int
) -> tuple[NDArray[np.void], Floats | None]:
    """States `(n,)` after one row each, and the columns' contributions `(explain, P)` of the first ones."""
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
                explained = use[use < explain]
                stepped, some = model.explain(h, values[use], carried, gap, static, first=len(explained))
                parts = np.zeros((explain, COLUMN_COUNT), np.float32)
                parts[explained] = some
            else:
                stepped = model.step(h, values[use], carried, gap, static)
            states["hidden"][use, : model.hidden] = stepped
    known = ~np.isnan(values)
    np.copyto(states["value"], values, where=known)
    np.copyto(states["at"], rows["ms"][:, None], where=known)
    if rows["flags_known"].any():
        flags.state_in(states, rows["flags_known"], rows["flags_true"], flags.time_of(rows["ms"], note=False))
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
