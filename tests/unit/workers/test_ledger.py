"""The offset ledger: only the finished prefix is ever committed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.ledger import Ledger, PartitionLedger

OFFSETS = st.lists(st.integers(0, 500), min_size=1, max_size=40, unique=True).map(sorted)


def delivered(*offsets: int) -> PartitionLedger:
    ledger = PartitionLedger()
    ledger.deliver(offsets)
    return ledger


class TestPartition:
    def test_commits_nothing_before_anything_has_ended(self):
        ledger = delivered(7, 8)
        assert ledger.committable is None
        assert ledger.head == 7
        assert ledger.in_flight == 2

    def test_commits_the_offset_after_the_finished_head(self):
        ledger = delivered(7, 8)
        ledger.done(7)
        assert ledger.committable == 8
        assert ledger.head == 8

    def test_an_unfinished_head_holds_back_everything_behind_it(self):
        ledger = delivered(7, 8, 9)
        ledger.done(9)
        ledger.done(8)
        assert ledger.committable is None
        assert ledger.in_flight == 1
        ledger.done(7)
        assert ledger.committable == 10
        assert ledger.in_flight == 0

    def test_gaps_left_by_compaction_are_passed(self):
        ledger = delivered(3, 10, 400)
        ledger.done(3)
        assert ledger.committable == 4
        ledger.done(10)
        ledger.done(400)
        assert ledger.committable == 401

    def test_offers_an_offset_only_until_the_broker_confirmed_it(self):
        ledger = delivered(1, 2)
        ledger.done(1)
        ledger.committed(2)
        assert ledger.committable is None
        ledger.done(2)
        assert ledger.committable == 3

    def test_a_commit_that_failed_is_offered_again(self):
        ledger = delivered(1)
        ledger.done(1)
        assert ledger.committable == 2
        assert ledger.committable == 2

    def test_an_older_confirmation_does_not_hide_newer_progress(self):
        ledger = delivered(1, 2)
        ledger.done(1)
        ledger.done(2)
        ledger.committed(2)
        assert ledger.committable == 3

    @pytest.mark.parametrize("again", [7, 8])
    def test_refuses_a_record_that_ended_before(self, again):
        ledger = delivered(6, 7, 8)
        ledger.done(8)
        ledger.done(6)
        ledger.done(7)
        with pytest.raises(ValueError, match="not under way"):
            ledger.done(again)
        assert ledger.in_flight == 0

    def test_refuses_a_record_that_ended_out_of_order_before(self):
        ledger = delivered(6, 7)
        ledger.done(7)
        with pytest.raises(ValueError, match="not under way"):
            ledger.done(7)
        assert ledger.in_flight == 1

    @pytest.mark.parametrize("never", [5, 8, 100])
    def test_refuses_a_record_that_was_never_delivered(self, never):
        ledger = delivered(6, 7, 9)
        with pytest.raises(ValueError, match="not under way"):
            ledger.done(never)
        assert ledger.in_flight == 3

    @pytest.mark.parametrize("again", [6, 7])
    def test_refuses_the_same_delivery_twice(self, again):
        ledger = delivered(6, 7)
        with pytest.raises(ValueError, match="delivered after"):
            ledger.deliver([again])

    def test_refuses_a_finished_record_delivered_again(self):
        ledger = delivered(6, 7)
        ledger.done(6)
        ledger.done(7)
        with pytest.raises(ValueError, match="delivered after"):
            ledger.deliver([7])
        ledger.deliver([8])
        assert ledger.head == 8


@given(offsets=OFFSETS, data=st.data())
def test_any_completion_order_commits_exactly_the_finished_prefix(offsets, data):
    ledger, finished = PartitionLedger(), set()
    pending = list(offsets)
    open_: list[int] = []
    for _ in range(2 * len(offsets)):
        if pending and (not open_ or data.draw(st.booleans())):
            offset = pending.pop(0)
            ledger.deliver([offset])
            open_.append(offset)
        elif open_:
            offset = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
            ledger.done(offset)
            finished.add(offset)
        so_far = offsets[: len(offsets) - len(pending)]
        prefix = [o for i, o in enumerate(so_far) if finished.issuperset(so_far[: i + 1])]
        assert ledger.committable == (prefix[-1] + 1 if prefix else None)
        assert ledger.in_flight == len(open_)
        assert ledger.head == (min(open_) if open_ else None)
    assert ledger.committable == offsets[-1] + 1


class TestLedger:
    def test_offers_only_partitions_that_moved(self):
        ledger: Ledger[tuple[str, int]] = Ledger()
        ledger.assign([("t", 0), ("t", 1)])
        ledger["t", 0].deliver([4])
        ledger["t", 1].deliver([4])
        ledger["t", 1].done(4)
        assert ledger.committable() == {("t", 1): 5}
        assert ledger.in_flight == 1
        ledger.committed({("t", 1): 5})
        assert ledger.committable() == {}

    def test_an_assignment_seen_again_keeps_what_is_under_way(self):
        ledger: Ledger[int] = Ledger()
        ledger.assign([1])
        ledger[1].deliver([0])
        ledger.assign([1, 2])
        assert ledger[1].in_flight == 1
        assert 2 in ledger

    def test_a_revoked_partition_commits_nothing_whatever_still_ends(self):
        ledger: Ledger[int] = Ledger()
        ledger.assign([1])
        held = ledger[1]
        held.deliver([0, 1])
        held.done(0)
        ledger.revoke([1])
        assert held.revoked
        held.done(1)
        assert ledger.committable() == {}
        assert 1 not in ledger
        with pytest.raises(KeyError):
            ledger[1]

    def test_a_partition_that_comes_back_starts_anew(self):
        ledger: Ledger[int] = Ledger()
        ledger.assign([1])
        ledger[1].deliver([5, 6])
        ledger.revoke([1, 3])
        ledger.assign([1])
        ledger[1].deliver([5])
        assert not ledger[1].revoked
        assert ledger.in_flight == 1

    def test_a_late_confirmation_for_a_revoked_partition_is_ignored(self):
        ledger: Ledger[int] = Ledger()
        ledger.committed({1: 5})
        assert ledger.committable() == {}
