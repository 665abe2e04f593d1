"""The fold: whatever order events come in, the state is that of their order in time.

Every comparison is against `straight`: the surviving events stepped one by one from nothing, written here again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import load_bundle
from models.columns import COLUMNS
from tests.fakes import FakeRecurrence
from workers.context import ENTRIES, ENTRY, NEVER, SEEN, SKIP_MODEL, WINDOW, blank, blank_rows, pack, unpack
from workers.entries import fold_entries
from workers.fold import adopt, fold_vitals
from workers.inference import VitalsModel
from workers.seen import Changes, Outcome

MINUTE = 60_000
P = len(COLUMNS)
FAKE = FakeRecurrence()


@pytest.fixture(scope="module", params=["fake", "shipped"])
def model(request):
    if request.param == "fake":
        return FakeRecurrence()
    return VitalsModel(load_bundle(), torch.device("cpu"))


@dataclass(frozen=True)
class Seen:
    """One vitals event: what it states is drawn from `number`."""

    number: int
    minute: int
    replaces: int = 0
    retract: bool = False
    content: int = 0
    quality: int = 0

    @property
    def row(self) -> np.ndarray:
        draw = np.random.default_rng(self.number)
        row = blank_rows(1)
        row["ms"], row["id"] = self.minute * MINUTE, self.number
        stated = draw.random(P) < 0.3
        row["value"][0, stated] = draw.uniform(10, 100, int(stated.sum())).astype(np.float32)
        row["flags_known"] = draw.integers(0, 2**24)
        row["flags_true"] = row["flags_known"] & draw.integers(0, 2**24)
        row["static"][0, 0] = [np.nan, draw.uniform(20, 90)][draw.integers(2)]
        row["static"][0, 1] = [np.nan, 0.0, 1.0][draw.integers(3)]
        row["pregnant"] = draw.integers(-1, 2)
        row["spo2_scale"] = draw.integers(0, 3)
        row["quality"] = self.quality
        return row

    @property
    def changes(self) -> Changes:
        return changes(self)


def changes(*events: Seen) -> Changes:
    return Changes(
        np.array([e.content or e.number for e in events], np.uint64),
        np.array([e.replaces for e in events], np.uint64),
        np.array([e.retract for e in events]),
    )


def fold(events, model=FAKE, context=None):
    """The context after the events in the order given, and what became of each."""
    context = blank(1) if context is None else context
    outcomes = [Outcome(int(fold_vitals(context, e.row, e.changes, model)[0])) for e in events]
    return context, outcomes


def straight(events, model):
    """The state after the events in the order of time, stepped without any window."""
    state = blank(1)["head"]
    for event in sorted(events, key=lambda e: (e.minute, e.number)):
        row = event.row
        values = row["value"]
        for name, unknown in (("static", np.isnan(row["static"])), ("pregnant", row["pregnant"] < 0),
                              ("spo2_scale", row["spo2_scale"] == 0)):  # fmt: skip
            state[name] = np.where(unknown, state[name], row[name])
        state["first_ms"] = np.where(state["first_ms"] == NEVER, row["ms"], state["first_ms"])
        if not event.quality & SKIP_MODEL:
            gap = np.where(state["at"] == NEVER, np.nan, (row["ms"][:, None] - state["at"]) / 3_600_000)
            h = state["hidden"][:, : model.hidden]
            stay_h = (row["ms"] - state["first_ms"]) / 3_600_000
            static = np.column_stack((state["static"], stay_h.astype(np.float32)))
            stepped = model.step(h, values, state["value"], gap.astype(np.float32), static)
            state["hidden"][:, : model.hidden] = stepped
        known = ~np.isnan(values)
        state["value"] = np.where(known, values, state["value"])
        state["at"] = np.where(known, row["ms"][:, None], state["at"])
        state["flags_true"] = (state["flags_true"] & ~row["flags_known"]) | (row["flags_true"] & row["flags_known"])
        state["flags_known"] |= row["flags_known"]
        state["ms"], state["id"] = row["ms"], row["id"]
    return state


def assert_same(head, expected, *, position=True):
    """Hidden to 1e-5, everything clinical exactly."""
    np.testing.assert_allclose(head["hidden"], expected["hidden"], atol=1e-5)
    for name in ("value", "at", "flags_known", "flags_true", "static", "first_ms", "pregnant", "spo2_scale"):
        np.testing.assert_array_equal(head[name], expected[name], err_msg=name)
    if position:
        assert (head["ms"][0], head["id"][0]) == (expected["ms"][0], expected["id"][0])


def series(count: int, start: int = 1) -> list[Seen]:
    return [Seen(n, minute=10 * n) for n in range(start, start + count)]


class TestInOrder:
    def test_events_in_order_step_the_head(self, model):
        events = series(5)
        context, outcomes = fold(events, model)
        assert outcomes == [Outcome.APPLIED] * 5
        assert_same(context["head"], straight(events, model))
        assert context["rows"][0] == 5
        assert context["as_of"][0] == 50 * MINUTE
        assert context["cold"][0] == 0

    def test_what_leaves_the_window_goes_into_the_checkpoint(self, model):
        events = series(2 * WINDOW + 5)
        context, _ = fold(events, model)
        assert context["rows"][0] == WINDOW
        assert_same(context["head"], straight(events, model))
        assert_same(context["checkpoint"], straight(events[:-WINDOW], model))
        assert context["window"]["id"][0].tolist() == [e.number for e in events[-WINDOW:]]

    def test_events_of_the_same_time_are_ordered_by_their_digest(self, model):
        events = [Seen(3, 10), Seen(1, 10), Seen(2, 10)]
        assert_same(fold(events, model)[0]["head"], straight(events, model))

    def test_one_step_an_event_and_no_more(self):
        counting = FakeRecurrence()
        fold(series(WINDOW), counting)
        assert counting.steps == WINDOW
        fold(series(3, start=WINDOW + 1), counting, fold(series(WINDOW), FAKE)[0])
        assert counting.steps == WINDOW + 2 * 3  # one for the head, one for the checkpoint

    def test_a_batch_gives_what_each_gives_alone(self, model):
        patients = [series(n, start=100 * n + 1) for n in (1, 4, WINDOW, WINDOW + 3, 2)]
        late = [Seen(100 * n, minute=-5) for n in (1, 4, WINDOW, WINDOW + 3, 2)]
        alone = [fold([*events, straggler], model)[0] for events, straggler in zip(patients, late, strict=True)]
        together = blank(len(patients))
        for turn in range(max(map(len, patients))):
            index = np.array([i for i, events in enumerate(patients) if len(events) > turn])
            some = together[index]
            events = [patients[i][turn] for i in index]
            fold_vitals(some, np.concatenate([e.row for e in events]), changes(*events), model)
            together[index] = some
        fold_vitals(together, np.concatenate([e.row for e in late]), changes(*late), model)
        for i, expected in enumerate(alone):
            assert_same(together[i : i + 1]["head"], expected["head"])
            np.testing.assert_array_equal(together[i]["seen_id"], expected[0]["seen_id"])
            assert together[i]["rows"] == expected["rows"][0]


class TestOutOfOrder:
    def test_every_order_of_five_gives_the_same_state(self, model):
        events = series(5)
        expected = straight(events, model)
        for order in permutations(events):
            context, outcomes = fold(order, model)
            assert outcomes == [Outcome.APPLIED] * 5
            assert_same(context["head"], expected)

    @settings(max_examples=40, deadline=None)
    @given(order=st.permutations(series(WINDOW)))
    def test_any_order_of_a_full_window_gives_the_same_state(self, order):
        assert_same(fold(order)[0]["head"], straight(order, FAKE))

    @settings(max_examples=60, deadline=None)
    @given(data=st.data(), count=st.integers(WINDOW, 40))
    def test_any_order_that_stays_within_the_window_gives_the_same_state(self, data, count):
        """An event is late by at most WINDOW - 1 others."""
        pending, order = series(count), []
        while pending:
            oldest = pending[0]
            overtaken = sum(e.number > oldest.number for e in order)
            pick = 0 if overtaken >= WINDOW - 1 else data.draw(st.integers(0, min(4, len(pending) - 1)))
            order.append(pending.pop(pick))
        context, outcomes = fold(order)
        assert outcomes == [Outcome.APPLIED] * count
        expected = straight(order, FAKE)
        assert_same(context["head"], expected)
        assert context["as_of"][0] == count * 10 * MINUTE

    def test_a_late_event_into_a_full_window_pushes_the_oldest_out(self, model):
        events = series(WINDOW)
        late = Seen(900, minute=55)
        context, outcomes = fold([*events, late], model)
        assert outcomes[-1] is Outcome.APPLIED
        assert_same(context["head"], straight([*events, late], model))
        assert_same(context["checkpoint"], straight(events[:1], model))

    def test_older_than_the_window_is_too_late_and_changes_nothing(self, model):
        events = series(WINDOW + 2)
        context, _ = fold(events, model)
        before = context["head"].copy(), context["checkpoint"].copy(), context["window"].copy()
        _, outcomes = fold([Seen(900, minute=15)], model, context)
        assert outcomes == [Outcome.TOO_LATE]
        assert context["head"].tobytes() == before[0].tobytes()
        assert context["checkpoint"].tobytes() == before[1].tobytes()
        assert context["window"].tobytes() == before[2].tobytes()

    def test_a_repeat_of_what_came_too_late_is_a_duplicate(self):
        context, _ = fold(series(WINDOW + 2))
        assert fold([Seen(900, 15), Seen(900, 15)], FAKE, context)[1] == [Outcome.TOO_LATE, Outcome.DUPLICATE]


class TestRepeats:
    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_repeats_anywhere_change_nothing(self, data):
        events = series(8)
        order = [*events]
        for event in data.draw(st.lists(st.sampled_from(events), max_size=8)):
            order.insert(data.draw(st.integers(order.index(event) + 1, len(order))), event)
        context, outcomes = fold(order)
        assert outcomes.count(Outcome.DUPLICATE) == len(order) - len(events)
        assert_same(context["head"], straight(events, FAKE))

    def test_a_repeat_of_what_the_state_rests_on_is_known_when_the_list_has_forgotten_it(self):
        context, _ = fold(series(2))
        before = context["head"].copy()
        fold_notes([Seen(1000 + k, 100 + k) for k in range(SEEN)], context)
        assert fold([Seen(1, series(2)[0].minute)], FAKE, context)[1] == [Outcome.DUPLICATE]
        assert context["head"].tobytes() == before.tobytes()
        fold([Seen(5000 + k, 500 + k) for k in range(SEEN)], FAKE, context)
        newest = 1000 + SEEN - 1
        assert fold_notes([Seen(newest, 100 + SEEN - 1)], context)[1] == [Outcome.DUPLICATE]

    def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(self):
        context, _ = fold(series(3))
        before = pack(context)
        assert fold([Seen(2, 20, content=999)], FAKE, context)[1] == [Outcome.CONFLICT]
        assert pack(context) == before

    def test_a_repeat_is_recognised_through_many_events_and_a_restart(self):
        context, _ = fold(series(SEEN))
        stored = unpack(pack(context))
        assert fold([Seen(1, 10)], FAKE, stored)[1] == [Outcome.DUPLICATE]


class TestCorrections:
    def test_a_correction_takes_the_place_of_its_original(self, model):
        events = series(4)
        correction = Seen(900, minute=20, replaces=2)
        context, outcomes = fold([*events, correction], model)
        assert outcomes[-1] is Outcome.APPLIED
        assert_same(context["head"], straight([e for e in [*events, correction] if e.number != 2], model))

    def test_a_retraction_takes_its_original_away(self, model):
        events = series(4)
        context, _ = fold([*events, Seen(900, minute=50, replaces=4, retract=True)], model)
        assert_same(context["head"], straight(events[:3], model))
        assert context["rows"][0] == 3

    def test_a_retraction_of_the_only_event_leaves_nothing_known(self, model):
        context, _ = fold([Seen(1, 10), Seen(2, 20, replaces=1, retract=True)], model)
        assert_same(context["head"], straight([], model))
        assert context["rows"][0] == 0

    def test_a_correction_before_its_original_forestalls_it(self, model):
        correction = Seen(900, minute=20, replaces=2)
        context, outcomes = fold([Seen(1, 10), correction, Seen(2, 20), Seen(3, 30)], model)
        assert outcomes == [Outcome.APPLIED, Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.APPLIED]
        assert_same(context["head"], straight([Seen(1, 10), correction, Seen(3, 30)], model))

    def test_a_repeat_of_a_forestalled_event_is_a_duplicate(self):
        events = [Seen(900, minute=20, replaces=2), Seen(2, 20), Seen(2, 20)]
        assert fold(events)[1] == [Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.DUPLICATE]

    def test_a_retraction_before_its_original_forestalls_it(self, model):
        context, outcomes = fold([Seen(1, 10), Seen(900, 25, replaces=2, retract=True), Seen(2, 20)], model)
        assert outcomes[-1] is Outcome.SUPERSEDED
        assert_same(context["head"], straight([Seen(1, 10)], model))

    def test_a_correction_of_what_left_the_window_is_too_late(self):
        events = series(WINDOW + 3)
        context, _ = fold(events)
        head = context["head"].copy()
        for late in (Seen(900, 10, replaces=1), Seen(901, 200, replaces=1), Seen(902, 200, replaces=1, retract=True)):
            assert fold([late], FAKE, context)[1] == [Outcome.TOO_LATE]
        assert context["head"].tobytes() == head.tobytes()

    def test_any_order_of_a_chain_of_corrections_gives_the_same_state(self, model):
        chain = [Seen(1, 10), Seen(2, 20), Seen(3, 20, replaces=2), Seen(4, 21, replaces=3), Seen(5, 30)]
        expected = straight([chain[0], chain[3], chain[4]], model)
        for order in permutations(chain):
            assert_same(fold(order, model)[0]["head"], expected)

    def test_any_order_of_a_correction_that_is_retracted_gives_the_same_state(self):
        chain = [Seen(1, 10), Seen(2, 20), Seen(3, 20, replaces=2), Seen(4, 40, replaces=3, retract=True)]
        expected = straight([chain[0]], FAKE)
        for order in permutations(chain):
            assert_same(fold(order)[0]["head"], expected)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_any_order_of_events_corrections_and_retractions_gives_the_same_state(self, data):
        originals = series(6)
        targets = data.draw(st.lists(st.sampled_from(originals), unique=True, max_size=4))
        later = [
            Seen(900 + e.number, e.minute + data.draw(st.integers(-15, 15)), replaces=e.number,
                 retract=data.draw(st.booleans()))
            for e in targets
        ]  # fmt: skip
        replaced = {e.replaces for e in later}
        surviving = [e for e in [*originals, *later] if e.number not in replaced and not e.retract]
        order = data.draw(st.permutations([*originals, *later]))
        assert_same(fold(order)[0]["head"], straight(surviving, FAKE))


class TestModels:
    def test_another_model_refolds_the_window(self):
        events = series(6)
        context, _ = fold(events[:5], FakeRecurrence(digest=1, seed=1))
        newer = FakeRecurrence(digest=2, seed=2)
        fold(events[5:], newer, context)
        assert_same(context["head"], straight(events, newer))
        assert context["model"][0] == 2

    def test_another_model_keeps_the_clinical_state_of_the_checkpoint(self):
        events = series(WINDOW + 4)
        context, _ = fold(events, FakeRecurrence(digest=1, seed=1))
        newer = FakeRecurrence(digest=2, seed=2)
        adopt(context, newer)
        expected = straight(events, newer)
        for name in ("value", "at", "flags_known", "static"):
            np.testing.assert_array_equal(context["head"][name], expected[name])
        assert not context["checkpoint"]["hidden"].any()
        hidden = np.zeros((1, newer.hidden), np.float32)
        state = straight(events[:4], newer)
        state["hidden"] = 0
        assert not np.allclose(context["head"]["hidden"][:, : newer.hidden], hidden)

    def test_another_model_does_not_inherit_a_state_without_a_window(self):
        events = series(WINDOW + 1)
        retractions = [Seen(900 + e.number, 500, replaces=e.number, retract=True) for e in events[1:]]
        context, _ = fold([*events, *retractions], FakeRecurrence(digest=1, seed=1))
        assert context["rows"][0] == 0
        assert context["head"]["hidden"].any()
        adopt(context, FakeRecurrence(digest=2, seed=2))
        assert not context["head"]["hidden"].any()

    def test_the_same_model_refolds_nothing(self):
        context, _ = fold(series(5))
        counting = FakeRecurrence()
        adopt(context, counting)
        assert counting.steps == 0

    def test_rows_on_which_the_model_failed_are_left_out_of_the_recurrence_alone(self, model):
        events = series(4)
        context, _ = fold(events[:2], model)
        fold(events[2:3], None, context)
        fold(events[3:], model, context)
        skipped = Seen(3, 30, quality=SKIP_MODEL)
        assert_same(context["head"], straight([*events[:2], skipped, events[3]], model))

    def test_a_refold_leaves_them_out_too(self, model):
        context, _ = fold(series(2), model)
        fold([Seen(3, 30)], None, context)
        fold([Seen(9, 15)], model, context)
        expected = [Seen(1, 10), Seen(9, 15), Seen(2, 20), Seen(3, 30, quality=SKIP_MODEL)]
        assert_same(context["head"], straight(expected, model))

    def test_the_first_event_without_a_model_counts_for_the_next_with_one(self, model):
        context, _ = fold([Seen(1, 10)], None)
        fold([Seen(2, 20)], model, context)
        assert_same(context["head"], straight([Seen(1, 10, quality=SKIP_MODEL), Seen(2, 20)], model))

    def test_evidence_is_that_of_the_newest_event_by_strength(self):
        context, _ = fold([Seen(1, 10), Seen(2, 20)])
        strength = np.nan_to_num(Seen(2, 20).row["value"][0] / 100)
        top = np.argsort(-strength)[:5]
        assert context["evidence_column"][0].tolist() == top.tolist()
        np.testing.assert_allclose(context["evidence"][0], strength[top])

    def test_a_late_event_does_not_become_the_evidence(self):
        in_order, _ = fold([Seen(1, 10), Seen(2, 20)])
        late, _ = fold([Seen(2, 20), Seen(1, 10)])
        assert late["evidence_column"].tolist() == in_order["evidence_column"].tolist()


# -- images and notes ------------------------------------------------------------------------------------------


def entry(event: Seen) -> np.ndarray:
    made = np.zeros(1, ENTRY)
    made["ms"], made["id"] = event.minute * MINUTE, event.number
    made["embedding"] = event.number / 64
    return made


def fold_notes(events, context=None):
    context = blank(1) if context is None else context
    outcomes = [Outcome(int(fold_entries(context, "note", entry(e), e.changes)[0])) for e in events]
    return context, outcomes


def kept(context, field="note") -> list[int]:
    return context[field]["id"][0, : int(context[field + "s"][0])].tolist()


class TestEntries:
    def test_every_order_of_the_newest_gives_the_same_state(self):
        for order in permutations(series(ENTRIES)):
            context, outcomes = fold_notes(order)
            assert outcomes == [Outcome.APPLIED] * ENTRIES
            assert kept(context) == [1, 2, 3, 4]
            np.testing.assert_allclose(context["note"]["embedding"][0, 3], 4 / 64)

    @given(order=st.permutations(series(7)))
    def test_the_newest_four_stay_whatever_the_order(self, order):
        assert kept(fold_notes(order)[0]) == [4, 5, 6, 7]

    def test_older_than_the_four_is_too_late(self):
        context, _ = fold_notes(series(4))
        assert fold_notes([Seen(900, 5)], context)[1] == [Outcome.TOO_LATE]
        assert kept(context) == [1, 2, 3, 4]

    def test_corrections_retractions_and_forestalling(self):
        correction, retraction = Seen(900, 20, replaces=2), Seen(901, 30, replaces=3, retract=True)
        for order in permutations([*series(3), correction, retraction]):
            assert kept(fold_notes(order)[0]) == [1, 900]

    def test_any_order_of_a_chain_of_corrections_gives_the_same_state(self):
        chain = [Seen(1, 10), Seen(2, 11, replaces=1), Seen(3, 12, replaces=2)]
        for order in permutations(chain):
            assert kept(fold_notes(order)[0]) == [3]

    def test_a_repeat_is_a_duplicate_and_other_content_a_conflict(self):
        context, _ = fold_notes(series(2))
        assert fold_notes([Seen(1, 10), Seen(1, 10, content=5)], context)[1] == [Outcome.DUPLICATE, Outcome.CONFLICT]

    def test_images_and_notes_do_not_touch_each_other(self):
        context, _ = fold_notes(series(2))
        fold_entries(context, "image", entry(Seen(7, 5)), Seen(7, 5).changes)
        assert kept(context) == [1, 2]
        assert kept(context, "image") == [7]
        assert context["as_of"][0] == 20 * MINUTE

    def test_a_batch_gives_what_each_gives_alone(self):
        together = blank(2)
        for one, other in zip(series(6), series(6, start=50), strict=True):
            fold_entries(together, "note", np.concatenate([entry(one), entry(other)]), changes(one, other))
        assert pack(together) == [pack(fold_notes(series(6))[0])[0], pack(fold_notes(series(6, start=50))[0])[0]]
