"""The micro-batcher: which records run together, and when.

It decides; it knows no loop, clock or model. Records wait in lanes (one a modality). A batch is dispatched
- `idle`: nothing is running, so waiting could not help;
- `full`: a lane holds as many records, or as much cost, as one batch may have;
- `slack`: the oldest record of a lane has waited as long as its lane allows.
Lanes are served by priority, but a lane whose oldest record has waited `starvation_s` past its slack goes first.

A key (a patient) is in at most one batch at a time: while a batch that holds it is under way, later records of that key
wait aside in their order and rejoin when the batch is released. So a patient's context has one writer in this process,
a patient's records keep their order, and no batch ever computes from a state that another one is about to replace.

How much one batch may hold is bounded by count and by cost (tokens, pixels, bytes: whatever the caller counts), and by
time: seconds per unit of cost are learned from `observe`, so that a batch should not run longer than its lane's budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Why = Literal["idle", "full", "slack"]

_LEARNING = 0.2  # weight of the newest observation of seconds per cost: settles in about ten batches
_LEAST = 8  # a batch may always have this many records, or slow start-up measurements would freeze it at one


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Bounds of one lane.

    Attributes:
        name: Lane name, as in metrics.
        priority: Lower is served first.
        max_records: Most records of a batch.
        max_cost: Most cost of a batch; one record dearer than that runs alone.
        slack_s: Longest wait for company while something else runs, seconds.
        budget_s: What one batch should take at most, seconds.
        capacity: Records that the lane holds before `room` turns False.
        capacity_bytes: Bytes that it holds before `room` turns False.
    """

    name: str
    priority: int
    max_records: int
    slack_s: float
    max_cost: float = float("inf")
    budget_s: float = float("inf")
    capacity: int = 4096
    capacity_bytes: float = float("inf")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Records to run together: `keys[i]` is the key of `items[i]`."""

    lane: str
    items: list[T]
    keys: list[Hashable]
    cost: float
    why: Why


@dataclass(slots=True)
class _Waiting(Generic[T]):
    item: T
    key: Hashable
    cost: float
    size: int
    since: float


@dataclass(slots=True)
class _Lane(Generic[T]):
    settings: LaneSettings
    queue: deque[_Waiting[T]] = field(default_factory=deque)
    held: int = 0  # queued, aside, and in batches not yet released
    held_bytes: int = 0
    queued_cost: float = 0.0
    seconds_per_cost: float | None = None

    def due(self) -> float:
        """When the slack of its oldest queued record is spent."""
        return self.queue[0].since + self.settings.slack_s

    def limit(self) -> float:
        """Cost that fits the time budget, by what was learned."""
        if not self.seconds_per_cost:
            return self.settings.max_cost
        return min(self.settings.max_cost, self.settings.budget_s / self.seconds_per_cost)


class MicroBatcher(Generic[T]):
    """Lanes in, batches out; see the module's text for the rules.

    Args:
        lanes: The lanes.
        starvation_s: How long past its slack a record of a lower lane waits before its lane goes first, seconds.
        exclusive: Whether a key is in at most one batch at a time.
    """

    def __init__(self, lanes: Iterable[LaneSettings], *, starvation_s: float = 1.0, exclusive: bool = True) -> None:
        ordered = sorted(lanes, key=lambda lane: lane.priority)
        self._lanes: dict[str, _Lane[T]] = {lane.name: _Lane(lane) for lane in ordered}
        self._starvation_s = starvation_s
        self._exclusive = exclusive
        self._busy: set[Hashable] = set()
        self._aside: dict[Hashable, deque[tuple[str, _Waiting[T]]]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}  # id(batch) -> records, bytes

    def add(self, lane: str, item: T, key: Hashable, now: float, *, cost: float = 1.0, size: int = 0) -> None:
        """Queue one record of `size` bytes that costs `cost`."""
        state = self._lanes[lane]
        waiting = _Waiting(item, key, cost, size, now)
        state.held += 1
        state.held_bytes += size
        if self._exclusive and key in self._busy:
            self._aside.setdefault(key, deque()).append((lane, waiting))
        else:
            state.queue.append(waiting)
            state.queued_cost += cost

    def room(self, lane: str) -> bool:
        """Whether the lane takes more records; when not, stop fetching for it."""
        state = self._lanes[lane]
        return state.held < state.settings.capacity and state.held_bytes < state.settings.capacity_bytes

    def held(self, lane: str) -> int:
        """Records of the lane that have not been released."""
        return self._lanes[lane].held

    @property
    def waiting(self) -> bool:
        """Whether any record waits, in a lane or aside."""
        return bool(self._aside) or any(lane.queue for lane in self._lanes.values())

    def take(self, now: float, *, running: int) -> Batch[T] | None:
        """The next batch to start, or None.

        Args:
            now: Monotonic seconds.
            running: Batches under way; 0 means that waiting cannot help.
        """
        choice = self._choose(now, running)
        if choice is None:
            return None
        lane, why = choice
        taken = self._fill(lane)
        batch = Batch(
            lane.settings.name, [w.item for w in taken], [w.key for w in taken], sum(w.cost for w in taken), why
        )
        self._sizes[id(batch)] = (len(taken), sum(w.size for w in taken))
        return batch

    def release(self, batch: Batch[T]) -> None:
        """A batch has settled: its records leave the lane; those of its keys that waited aside rejoin, in order."""
        records, size = self._sizes.pop(id(batch))
        state = self._lanes[batch.lane]
        state.held -= records
        state.held_bytes -= size
        if self._exclusive:
            self.unclaim(set(batch.keys))

    def claim(self, keys: Iterable[Hashable]) -> set[Hashable]:
        """Claim those keys that no batch holds, for work beside the batches (writing a context late)."""
        free = {key for key in keys if key not in self._busy}
        if self._exclusive:
            self._busy |= free
            for lane in self._lanes.values():  # queued records of a claimed key must not start meanwhile
                self._set_aside(lane, free)
        return free

    def unclaim(self, keys: Iterable[Hashable]) -> None:
        """Free keys; their records that waited aside rejoin where they would stand by when they came."""
        rejoining: dict[str, list[_Waiting[T]]] = {}
        for key in keys:
            self._busy.discard(key)
            for lane, waiting in self._aside.pop(key, ()):
                rejoining.setdefault(lane, []).append(waiting)
        for name, some in rejoining.items():
            state = self._lanes[name]
            # Stable, and a freed key has nothing queued: its records keep their order. The head is the oldest.
            state.queue = deque(sorted([*some, *state.queue], key=lambda waiting: waiting.since))
            state.queued_cost += sum(waiting.cost for waiting in some)

    def observe(self, batch: Batch[T], seconds: float) -> None:
        """Learn what the batch cost."""
        lane = self._lanes[batch.lane]
        if batch.cost > 0:
            per_cost = seconds / batch.cost
            known = lane.seconds_per_cost
            lane.seconds_per_cost = per_cost if known is None else known + _LEARNING * (per_cost - known)

    def deadline(self) -> float | None:
        """When the oldest waiting record's slack is spent: call `take` again by then. None when nothing waits."""
        return min((lane.due() for lane in self._lanes.values() if lane.queue), default=None)

    def drop(self) -> list[T]:
        """Forget what has not started (a rebalance, a shutdown); returns it. Claimed keys stay claimed."""
        dropped: list[T] = []
        for lane in self._lanes.values():
            dropped += [w.item for w in lane.queue]
            lane.held -= len(lane.queue)
            lane.held_bytes -= sum(w.size for w in lane.queue)
            lane.queue.clear()
            lane.queued_cost = 0.0
        for aside in self._aside.values():
            for name, waiting in aside:
                dropped.append(waiting.item)
                self._lanes[name].held -= 1
                self._lanes[name].held_bytes -= waiting.size
        self._aside.clear()
        return dropped

    def _choose(self, now: float, running: int) -> tuple[_Lane[T], Why] | None:
        waiting = [lane for lane in self._lanes.values() if lane.queue]
        if not waiting:
            return None
        starved = [lane for lane in waiting if now - lane.due() >= self._starvation_s]
        if starved:  # the longest overdue, not the highest: under overload all lanes starve
            return min(starved, key=_Lane.due), "slack"
        for lane in waiting:
            if len(lane.queue) >= lane.settings.max_records or lane.queued_cost >= lane.limit():
                return lane, "full"
            if now >= lane.due():
                return lane, "slack"
        return (waiting[0], "idle") if running == 0 else None

    def _fill(self, lane: _Lane[T]) -> list[_Waiting[T]]:
        taken: list[_Waiting[T]] = []
        cost, limit = 0.0, lane.limit()
        while lane.queue and len(taken) < lane.settings.max_records:
            waiting = lane.queue[0]
            dear = cost + waiting.cost > limit and len(taken) >= _LEAST
            if taken and (dear or cost + waiting.cost > lane.settings.max_cost):
                break
            lane.queue.popleft()
            lane.queued_cost -= waiting.cost
            taken.append(waiting)
            cost += waiting.cost
        if self._exclusive:
            keys = {w.key for w in taken}
            self._busy |= keys
            for other in self._lanes.values():
                self._set_aside(other, keys)
        return taken

    def _set_aside(self, lane: _Lane[T], keys: set[Hashable]) -> None:
        """Move queued records of the keys out of the lane, so that no second batch picks them up."""
        if not keys or not any(w.key in keys for w in lane.queue):
            return
        kept: deque[_Waiting[T]] = deque()
        for waiting in lane.queue:
            if waiting.key in keys:
                self._aside.setdefault(waiting.key, deque()).append((lane.settings.name, waiting))
                lane.queued_cost -= waiting.cost
            else:
                kept.append(waiting)
        lane.queue = kept
