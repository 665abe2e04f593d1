"""The micro-batcher, by advancing a number; and against a model that is too simple to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workers.batcher import Batch, LaneSettings, MicroBatcher

FAST = LaneSettings("fast", 0, max_records=4, slack_s=1.0)
SLOW = LaneSettings("slow", 1, max_records=2, slack_s=5.0)
ALONE = 1e9


def batcher(*lanes: LaneSettings, **settings_) -> MicroBatcher[str]:
    return MicroBatcher(lanes or (FAST, SLOW), **settings_)


def filled(*items: str, lane: LaneSettings = FAST, now: float = 0.0, **settings_) -> MicroBatcher[str]:
    """Each item is its own key's."""
    made = batcher(lane, **settings_)
    for item in items:
        made.add(lane.name, item, item, now)
    return made


class TestWhy:
    def test_nothing_waiting_starts_nothing(self):
        made = batcher()
        assert made.take(0.0, running=0) is None
        assert made.deadline() is None

    def test_an_idle_device_takes_what_there_is(self):
        batch = filled("a", "b").take(0.0, running=0)
        assert batch == Batch("fast", ["a", "b"], ["a", "b"], 2.0, "idle")

    def test_while_something_runs_records_wait_for_company(self):
        made = filled("a", "b")
        assert made.take(0.5, running=1) is None
        assert made.deadline() == 1.0

    def test_a_full_lane_goes_while_something_runs(self):
        batch = filled("a", "b", "c", "d", "e").take(0.0, running=1)
        assert batch.items == ["a", "b", "c", "d"]
        assert batch.why == "full"

    def test_a_lane_full_by_cost_goes_while_something_runs(self):
        made = batcher(LaneSettings("fast", 0, max_records=100, slack_s=1.0, max_cost=10.0))
        made.add("fast", "a", "a", 0.0, cost=6.0)
        assert made.take(0.0, running=1) is None
        made.add("fast", "b", "b", 0.0, cost=4.0)
        batch = made.take(0.0, running=1)
        assert (batch.items, batch.cost, batch.why) == (["a", "b"], 10.0, "full")

    def test_dispatches_when_the_oldest_record_has_no_slack(self):
        made = filled("a", now=3.0)
        assert made.take(3.999, running=1) is None
        assert made.take(4.0, running=1).why == "slack"

    def test_lanes_go_by_priority(self):
        made = batcher()
        made.add("slow", "s", "s", 0.0)
        made.add("fast", "f", "f", 0.0)
        assert made.take(0.0, running=0).lane == "fast"
        assert made.take(0.0, running=0).lane == "slow"


class TestStarvation:
    def test_a_lower_lane_goes_first_once_it_has_starved(self):
        made = batcher(starvation_s=2.0)
        made.add("slow", "s", "s", 0.0)
        for item in "abcdefgh":
            made.add("fast", item, item, 6.9)
        assert made.take(6.9, running=0).lane == "fast"  # it is full
        batch = made.take(7.0, running=0)
        assert (batch.lane, batch.why) == ("slow", "slack")

    def test_an_overloaded_upper_lane_does_not_starve_a_lower_one_for_ever(self):
        made = batcher(starvation_s=1.0)
        made.add("slow", "s", "s", 0.0)
        served = []
        for second in range(60):  # eight records a second come, four are taken: the backlog only grows
            for k in range(8):
                made.add("fast", f"{second}.{k}", f"{second}.{k}", float(second))
            batch = made.take(float(second), running=0)
            served.append(batch.lane)
            made.release(batch)
        assert "slow" in served
        assert served.index("slow") <= 12

    def test_records_that_waited_aside_do_not_hide_an_older_one_behind_them(self):
        made = batcher(LaneSettings("fast", 0, max_records=1, slack_s=1.0))
        made.add("fast", "a1", "a", 0.0)
        batch = made.take(0.0, running=0)
        made.add("fast", "b1", "b", 0.1)
        made.add("fast", "a2", "a", 0.9)
        made.release(batch)
        assert made.deadline() == pytest.approx(1.1)
        assert made.take(1.1, running=1).items == ["b1"]


class TestKeys:
    def test_records_of_a_key_share_a_batch_in_order(self):
        made = batcher(FAST)
        for item in ("a1", "b1", "a2"):
            made.add("fast", item, item[0], 0.0)
        batch = made.take(0.0, running=0)
        assert batch.items == ["a1", "b1", "a2"]
        assert batch.keys == ["a", "b", "a"]

    def test_a_key_under_way_waits_aside_and_rejoins_in_order(self):
        made = batcher(FAST)
        made.add("fast", "a1", "a", 0.0)
        batch = made.take(0.0, running=0)
        for item in ("a2", "a3"):
            made.add("fast", item, "a", 0.0)
        assert made.take(9.0, running=0) is None
        made.release(batch)
        assert made.take(9.0, running=0).items == ["a2", "a3"]

    def test_a_key_under_way_in_one_lane_waits_in_all(self):
        made = batcher()
        made.add("fast", "a1", "a", 0.0)
        made.add("slow", "a2", "a", 0.0)
        batch = made.take(0.0, running=0)
        assert batch.items == ["a1"]
        assert made.take(100.0, running=0) is None
        made.release(batch)
        assert made.take(100.0, running=0).items == ["a2"]

    def test_without_exclusion_a_key_may_be_in_two_batches(self):
        made = batcher(FAST, exclusive=False)
        made.add("fast", "a1", "a", 0.0)
        first = made.take(0.0, running=0)
        made.add("fast", "a2", "a", 0.0)
        second = made.take(0.0, running=0)
        assert second.items == ["a2"]
        made.release(first)
        made.release(second)
        assert made.held("fast") == 0

    def test_what_of_a_key_did_not_fit_keeps_its_order(self):
        made = batcher(LaneSettings("fast", 0, max_records=2, slack_s=1.0))
        for item in ("a1", "a2", "a3", "b1"):
            made.add("fast", item, item[0], 0.0)
        first = made.take(0.0, running=0)
        assert first.items == ["a1", "a2"]
        second = made.take(0.0, running=0)
        assert second.items == ["b1"]
        made.release(first)
        made.add("fast", "a4", "a", 0.0)
        assert made.take(0.0, running=0).items == ["a3", "a4"]


class TestClaims:
    def test_only_free_keys_are_claimed(self):
        made = filled("a", "b")
        made.take(0.0, running=0)
        assert made.claim(["a", "c"]) == {"c"}
        assert made.claim(["c"]) == set()

    def test_records_of_a_claimed_key_wait_until_it_is_freed(self):
        made = filled("a", "b")
        made.claim(["a"])
        made.add("fast", "a2", "a", 0.0)
        assert made.take(0.0, running=0).items == ["b"]
        assert made.take(9.0, running=0) is None
        made.unclaim(["a"])
        assert made.take(9.0, running=0).items == ["a", "a2"]


class TestRoom:
    def test_room_ends_at_the_count_and_returns_with_the_release(self):
        lane = LaneSettings("fast", 0, max_records=4, slack_s=1.0, capacity=2)
        made = filled("a", "b", lane=lane)
        assert not made.room("fast")
        batch = made.take(0.0, running=0)
        assert not made.room("fast")
        made.release(batch)
        assert made.room("fast")

    def test_room_ends_at_the_bytes(self):
        made = batcher(LaneSettings("fast", 0, max_records=4, slack_s=1.0, capacity_bytes=100))
        made.add("fast", "a", "a", 0.0, size=99)
        assert made.room("fast")
        made.add("fast", "b", "b", 0.0, size=1)
        assert not made.room("fast")

    def test_records_aside_take_room(self):
        made = batcher(LaneSettings("fast", 0, max_records=4, slack_s=1.0, capacity=2))
        made.claim(["a"])
        made.add("fast", "a1", "a", 0.0)
        made.add("fast", "a2", "a", 0.0)
        assert not made.room("fast")


class TestCost:
    def test_one_record_dearer_than_the_bound_runs_alone(self):
        made = batcher(LaneSettings("fast", 0, max_records=9, slack_s=1.0, max_cost=10.0))
        for item, cost in (("a", 1.0), ("b", ALONE), ("c", 1.0)):
            made.add("fast", item, item, 0.0, cost=cost)
        batches = [made.take(0.0, running=0).items for _ in range(3)]
        assert batches == [["a"], ["b"], ["c"]]

    def test_what_a_batch_cost_bounds_the_next_ones(self):
        lane = LaneSettings("fast", 0, max_records=100, slack_s=1.0, budget_s=1.0)
        made = filled(*(str(i) for i in range(60)), lane=lane)
        first = made.take(0.0, running=0)
        assert len(first.items) == 60
        made.release(first)
        made.observe(first, 6.0)  # 0.1 s a record: ten fit
        for i in range(60):
            made.add("fast", str(i), i, 0.0)
        second = made.take(0.0, running=1)
        assert (len(second.items), second.why) == (10, "full")

    def test_learning_follows_a_device_that_became_quicker(self):
        lane = LaneSettings("fast", 0, max_records=100, slack_s=1.0, budget_s=1.0)
        made = batcher(lane)
        for _ in range(40):
            made.observe(Batch("fast", [], [], 100.0, "idle"), 10.0)
        for _ in range(40):
            made.observe(Batch("fast", [], [], 100.0, "idle"), 2.0)
        for i in range(100):
            made.add("fast", str(i), i, 0.0)
        assert 49 <= len(made.take(0.0, running=0).items) <= 50

    def test_a_slow_first_batch_does_not_freeze_batches_at_one(self):
        lane = LaneSettings("fast", 0, max_records=100, slack_s=1.0, budget_s=0.1)
        made = batcher(lane)
        made.observe(Batch("fast", ["x"], ["x"], 1.0, "idle"), 30.0)  # warm-up
        for i in range(20):
            made.add("fast", str(i), i, 0.0)
        assert len(made.take(0.0, running=0).items) == 8

    def test_a_batch_without_cost_teaches_nothing(self):
        lane = LaneSettings("fast", 0, max_records=100, slack_s=1.0, budget_s=0.1)
        made = filled(*"abcdefghijkl", lane=lane)
        made.observe(Batch("fast", [], [], 0.0, "idle"), 3.0)
        assert len(made.take(0.0, running=0).items) == 12


class TestDrop:
    def test_forgets_what_has_not_started_queued_or_aside(self):
        made = filled("a", "b")
        batch = made.take(0.0, running=0)
        made.add("fast", "a2", "a", 0.0, size=5)
        made.add("fast", "c", "c", 0.0)
        assert sorted(made.drop()) == ["a2", "c"]
        assert made.held("fast") == 2
        made.release(batch)
        assert made.held("fast") == 0
        assert made.take(9.0, running=0) is None
        assert made.deadline() is None

    def test_keys_under_way_stay_so(self):
        made = filled("a")
        batch = made.take(0.0, running=0)
        made.drop()
        made.add("fast", "a2", "a", 0.0)
        assert made.take(9.0, running=0) is None
        made.release(batch)
        assert made.take(9.0, running=0).items == ["a2"]


@dataclass(frozen=True)
class Item:
    number: int
    key: int
    lane: str


class AgainstAModel(RuleBasedStateMachine):
    """The model: for each (lane, key) the records added, in order; a record leaves when a batch takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = {
            "fast": LaneSettings("fast", 0, max_records=3, slack_s=1.0, max_cost=6.0, budget_s=2.0, capacity=9),
            "slow": LaneSettings("slow", 1, max_records=2, slack_s=3.0, max_cost=4.0, capacity=5),
        }
        self.batcher: MicroBatcher[Item] = MicroBatcher(self.lanes.values(), starvation_s=2.0)
        self.waiting: dict[tuple[str, int], list[Item]] = {}
        self.since: dict[Item, float] = {}
        self.cost: dict[Item, float] = {}
        self.batches: list[Batch[Item]] = []
        self.claimed: set[int] = set()
        self.now = 0.0
        self.count = 0

    @rule(lane=st.sampled_from(["fast", "slow"]), key=st.integers(0, 4), cost=st.sampled_from([1.0, 2.5, ALONE]))
    def add(self, lane, key, cost):
        item = Item(self.count, key, lane)
        self.count += 1
        self.waiting.setdefault((lane, key), []).append(item)
        self.since[item], self.cost[item] = self.now, cost
        self.batcher.add(lane, item, key, self.now, cost=cost)

    @rule(seconds=st.floats(0.0, 3.0))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(running=st.integers(0, 1))
    def take(self, running):
        free = self.free()
        batch = self.batcher.take(self.now, running=running)
        if batch is None:
            assert not free or running
            late = [i for i in free if self.now >= self.since[i] + self.lanes[i.lane].slack_s]
            assert not late
            return
        lane = self.lanes[batch.lane]
        assert len(batch.items) <= lane.max_records
        assert batch.cost == sum(self.cost[item] for item in batch.items)
        assert batch.cost <= lane.max_cost or len(batch.items) == 1
        assert batch.keys == [item.key for item in batch.items]
        assert not set(batch.keys) & self.busy()
        starved = {
            i.lane for i in free if self.now - (self.since[i] + self.lanes[i.lane].slack_s) >= 2.0
        }  # fmt: skip
        assert not starved or batch.lane in starved
        if batch.why == "idle":
            assert running == 0
        if batch.why == "slack":
            assert any(self.now >= self.since[i] + lane.slack_s for i in free if i.lane == batch.lane)
        for item in batch.items:
            assert self.waiting[item.lane, item.key].pop(0) == item  # neither repeated nor overtaken
        self.batches.append(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), seconds=st.floats(0.0, 5.0))
    def release(self, data, seconds):
        batch = self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))
        self.batcher.release(batch)
        self.batcher.observe(batch, seconds)

    @rule(keys=st.sets(st.integers(0, 4)))
    def claim(self, keys):
        busy = self.busy()
        assert self.batcher.claim(keys) == keys - busy
        self.claimed |= keys - busy

    @rule()
    def unclaim(self):
        self.batcher.unclaim(self.claimed)
        self.claimed = set()

    @rule()
    def drop(self):
        dropped = self.batcher.drop()
        assert sorted(i.number for i in dropped) == sorted(i.number for w in self.waiting.values() for i in w)
        self.waiting = {}

    def busy(self) -> set[int]:
        return {key for batch in self.batches for key in batch.keys} | self.claimed

    def free(self) -> list[Item]:
        busy = self.busy()
        return [item for items in self.waiting.values() for item in items if item.key not in busy]

    @invariant()
    def holds_what_was_added_and_not_released(self):
        for name, lane in self.lanes.items():
            waiting = sum(len(items) for (where, _), items in self.waiting.items() if where == name)
            running = sum(len(batch.items) for batch in self.batches if batch.lane == name)
            assert self.batcher.held(name) == waiting + running
            assert self.batcher.room(name) == (waiting + running < lane.capacity)

    @invariant()
    def promises_to_wake_when_the_oldest_has_no_slack(self):
        ends = [self.since[item] + self.lanes[item.lane].slack_s for item in self.free()]
        assert self.batcher.deadline() == min(ends, default=None)

    def teardown(self):
        for batch in self.batches:
            self.batcher.release(batch)
        self.batches = []
        self.unclaim()
        for _ in range(self.count + 1):
            batch = self.batcher.take(self.now, running=0)
            if batch is None:
                break
            for item in batch.items:
                assert self.waiting[item.lane, item.key].pop(0) == item
            self.batcher.release(batch)
        assert not any(self.waiting.values())  # nothing was lost
        assert self.batcher.held("fast") == self.batcher.held("slow") == 0


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
