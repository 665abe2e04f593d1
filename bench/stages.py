"""Section `stages`: what an event costs in each stage, in this process, on batches like those of a busy worker.

CPU time of the calling thread, the best of many repeats, over a batch of 256 events of as many patients whose windows
are full (so that every event steps both head and checkpoint). What cannot be seen so, the event loop and the Kafka
client, is the difference to the CPU time that section `vitals` finds.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import io
import pstats
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder

from bench.events import Load, vitals
from bench.explanations import explanations
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.site import Place
from models.bundle import load_bundle
from topics.catalogue import VITALS
from topics.codec import decode
from topics.vitals import VitalsEvent
from workers import collate
from workers.batcher import Batch, LaneSettings, MicroBatcher
from workers.context import WINDOW, Contexts, blank, pack, unpack
from workers.control import Control, ControlBoard
from workers.fold import fold_vitals
from workers.folding import Work
from workers.judge import Judge
from workers.ledger import PartitionLedger
from workers.metrics import Metrics
from workers.parts import Parts, build_parts
from workers.patients import Patients
from workers.pipeline import DECIDE_DEPTH, Pipeline
from workers.records import Publish, Record, Refused, Source
from workers.settings import Settings
from workers.stores import MemoryContexts, RedisContexts
from workers.warm_up import tune_interpreter

_BATCH: Final = 256
_ROUNDS: Final = WINDOW + 3  # the window is full before the last one
_SMALL: Final = (1, 16)  # batches of a quiet worker: what a batch costs whatever its size shows here
_BESIDE: Final = "beside"  # shown, not summed
_FIRST_READ: Final = "context read, of patients seen for the first time"
_LANE_PATIENTS: Final = 2000  # whose records lie in a full lane
_PROFILE_LINES: Final = 45


@dataclass(frozen=True, slots=True)
class Stage:
    """Cost of a stage in microseconds an event; `inside` names the stage that it is a part of, or `_BESIDE`."""

    name: str
    us: float
    inside: str = ""


class Task(NamedTuple):
    """Something to time: `work` on what `prepare` makes, which is not counted, for `size` events at once."""

    work: Callable[..., Any]
    prepare: Callable[[], Any] | None = None
    size: int = _BATCH


class _Nowhere:
    """An outlet that nothing is given to."""

    async def publish(self, decided: Any) -> list[Refused]:
        """See `workers.outbox.Outlet`."""
        raise NotImplementedError

    async def bury(self, refused: Any) -> None:
        """See `workers.outbox.Outlet`."""
        raise NotImplementedError


class Workbench:
    """A batch of 256 records, the contexts before it, and the parts that work on them."""

    def __init__(self, settings: Settings, parts: Parts, store: MemoryContexts) -> None:
        metrics, control = Metrics(), ControlBoard()
        self.parts = parts
        self.control: Control = control.snapshot(0)
        patients = Patients(
            store, _unused, lambda _sources: None, wait_s=0.0, most=1, count=metrics.count_context
        )  # fmt: skip
        self.pipeline = Pipeline(
            settings, {}, parts.decider, patients, _Nowhere(), control, parts.threads, parts.identity, metrics
        )
        load = Load(_BATCH * _ROUNDS, _BATCH, int(time.time() * 1000))
        self.raw = list(vitals(load))
        self.slots = np.arange(_BATCH)
        self.degraded = np.zeros(_BATCH, bool)
        self.contexts = blank(_BATCH)
        for turn in range(_ROUNDS - 1):
            self.decide(self.contexts, self.records(turn))
        self.last = self.records(_ROUNDS - 1)

    def sources(self, turn: int) -> list[Source]:
        """The records of one round as they are fetched."""
        first, ledger = turn * _BATCH, PartitionLedger()
        now, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        return [
            Source(VITALS, 0, first + i, key, value, (), ledger, now_ms, now, full_topic=VITALS)
            for i, (key, value) in enumerate(self.raw[first : first + _BATCH])
        ]

    def records(self, turn: int) -> list[Record]:
        """The records of one round, decoded."""
        records, refused = self.pipeline.read(self.sources(turn))
        assert not refused
        return records

    def decide(self, contexts: Contexts, records: list[Record]) -> list[Any]:
        """Decide a batch, one record a context; `contexts` holds the contexts after it."""
        count = len(records)
        return self.parts.decider.decide(
            Work(records, self.slots[:count], contexts, self.degraded[:count]), self.control
        )


def measure(plan: Plan, place: Place | None, progress: Progress, *, profile: bool = False) -> tuple[Section, str]:
    """The section, and a profile of deciding when asked for.

    Args:
        plan: Repeats.
        place: With a Redis server whose round trips are measured too; None leaves them out.
        progress: Told what happens.
        profile: Whether to profile.
    """
    settings = Settings(image_processes=1, only=("vitals",))
    store = MemoryContexts()
    parts = build_parts(settings, store, lambda *_: None)
    try:
        progress("filling the windows of 256 patients")
        bench = Workbench(settings, parts, store)
        progress("measuring each stage")
        tasks = _deciding(bench) | _around(bench) | {"lane": _queue(settings), "yardstick": _YARDSTICK}
        with _no_collection():
            us = _least(plan.stage_rounds, tasks)
            beside = explanations(bench.parts.models, lambda work, n: _alone(plan.stage_rounds, Task(work, size=n)))
        stages = _stages(us, beside)
        stages.append(Stage("garbage collection", _collection(bench, plan.stage_rounds)))
        if place is not None:
            stages += asyncio.run(_redis(bench, place.settings, plan.stage_rounds))
        text = _profile(bench) if profile else ""
    finally:
        asyncio.run(parts.close())
    return _section(plan, stages, us["yardstick"], place is not None), text


def _deciding(bench: Workbench) -> dict[str, Task]:
    """What happens in the thread that decides."""
    records, model = bench.last, bench.parts.models.vitals
    rows, changed = collate.vitals_rows(records), collate.changes(records, "live")
    before, folded = bench.contexts, bench.contexts.copy()
    fold_vitals(folded, rows.rows.copy(), changed, model)
    ranker = load_bundle().ranker
    judge = Judge(ranker.catalogue, ranker)
    head = before["head"]
    inputs = (
        head["hidden"][:, : model.hidden], rows.rows["value"], head["value"], np.full_like(head["value"], 0.25),
        np.column_stack((head["static"], np.full(len(head), 12.0, np.float32))),
    )  # fmt: skip
    both = [np.concatenate((each, each)) for each in inputs]
    return {
        "decide": Task(lambda c: bench.decide(c, records), before.copy),
        **{
            f"decide {count}": Task(lambda c: bench.decide(c, records[: len(c)]), before[:count].copy, count)
            for count in _SMALL
        },
        "rows": Task(lambda: (collate.vitals_rows(records), collate.changes(records, "live"))),
        "fold": Task(lambda c: fold_vitals(c, rows.rows.copy(), changed, model), before.copy),
        "both": Task(lambda: model.explain(*both, first=_BATCH)),
        "explain": Task(lambda: model.explain(*inputs)),
        "step": Task(lambda: model.step(*inputs)),
        "judge": Task(lambda c: judge.assess(c, bench.parts.models, bench.control), folded.copy),
    }


def _around(bench: Workbench) -> dict[str, Task]:
    """What happens before and after, on the event loop."""
    sources = bench.sources(_ROUNDS - 1)
    pairs = [(source.key, source.value) for source in sources]
    now_ms = int(time.time() * 1000)
    values: list[bytes | None] = list(pack(bench.contexts))
    decisions = [each for each in bench.decide(bench.contexts.copy(), bench.last) if isinstance(each, Publish)]
    assert len(decisions) == _BATCH
    outgoing = [(each.record.source.key, each.value, each.headers) for each in decisions]

    def append() -> None:
        batch = BatchBuilder(2**21, 0)
        for key, value, headers in outgoing:
            assert batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is not None

    return {
        "read": Task(lambda: bench.pipeline.read(sources)),
        "decode": Task(lambda: decode(VitalsEvent, pairs, now_ms=now_ms)),
        "unpack": Task(lambda: unpack(values)),
        "pack": Task(lambda: pack(bench.contexts)),
        "append": Task(append),
    }


def _queue(settings: Settings) -> Task:
    """A lane that is full and served as in a worker: some batches under way while the next one is taken."""
    count = settings.inflight_max_records
    lane = LaneSettings(VITALS, 0, _BATCH, 0.01, max_cost=_BATCH, capacity=count)
    keys = [b"%06d" % (number % _LANE_PATIENTS) for number in range(count)]

    def serve(batcher: MicroBatcher[int]) -> None:
        under_way: deque[Batch[int]] = deque()
        for item, key in enumerate(keys):
            batcher.add(VITALS, item, key, 0.0, size=700)
        while batcher.held(VITALS):
            batch = batcher.take(1.0, running=len(under_way))
            if batch is not None:
                under_way.append(batch)
            if batch is None or len(under_way) == DECIDE_DEPTH:
                batcher.release(under_way.popleft())

    return Task(serve, lambda: MicroBatcher([lane]), count)


_YARDSTICK: Final = Task(lambda: [uuid.uuid5(uuid.NAMESPACE_DNS, "a name of usual length") for _ in range(_BATCH)])
"""Something that anybody can measure anywhere, of the same kind as most of the work here: interpreter and C."""


def _stages(us: dict[str, float], beside: dict[str, float]) -> list[Stage]:
    """The table's lines, but for Redis and garbage collection."""
    rest = us["decide"] - us["rows"] - us["fold"] - us["judge"]
    return [
        Stage("decide", us["decide"]),
        Stage("rows from events", us["rows"], "decide"),
        Stage("fold", us["fold"], "decide"),
        Stage("network: steps of head and checkpoint", us["both"], "fold"),
        Stage("judge", us["judge"], "decide"),
        Stage("results as text, ids, headers, alert policy, the rest", rest, "decide"),
        *(Stage(f"decide, {count} at a time", us[f"decide {count}"], _BESIDE) for count in _SMALL),
        Stage("explaining vital signs: gradient of the step", us["explain"] - us["step"], _BESIDE),
        *(Stage(name, cost, _BESIDE) for name, cost in beside.items()),
        Stage("decode and validate", us["decode"]),
        Stage("digests and pseudonyms", us["read"] - us["decode"]),
        Stage("lane and micro-batch", us["lane"]),
        Stage("unpack contexts", us["unpack"]),
        Stage("pack contexts", us["pack"]),
        Stage("append to a produce request", us["append"]),
    ]


async def _redis(bench: Workbench, settings: Settings, rounds: int) -> list[Stage]:
    """Round trips to a Redis server for a batch: CPU time of this thread, and what the clock says."""
    store = RedisContexts(settings)
    keys = [record.patient for record in bench.last]
    values = pack(bench.contexts)
    versions = [value[:8] for value in values]
    held = dict(zip(keys, values, strict=True))
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "context write": lambda: store.compare_and_set(keys, versions, values),
        "context read": lambda: store.read(keys, held),
        _FIRST_READ: lambda: store.read(keys),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    try:
        for _ in range(rounds + 1):
            for name, call in calls.items():
                cpu, wall = time.thread_time(), time.perf_counter()
                await call()
                found[name].append((time.thread_time() - cpu, time.perf_counter() - wall))
    finally:
        await store.close()
    stages = []
    for name, times in found.items():
        cpu, wall = (min(column) / _BATCH * 1e6 for column in zip(*times[1:], strict=True))
        stages += [
            Stage(name + ", client", cpu, _BESIDE if name == _FIRST_READ else ""),
            Stage(name + ", whole round trip", wall, _BESIDE),
        ]
    return stages


def _least(rounds: int, tasks: dict[str, Task]) -> dict[str, float]:
    """Least CPU microseconds an event of each task.

    They take turns: a shared machine has slow seconds, and what is measured wholly within one looks slow.
    """
    least = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            arguments = () if task.prepare is None else (task.prepare(),)
            start = time.thread_time()
            task.work(*arguments)
            least[name] = min(least[name], (time.thread_time() - start) / task.size * 1e6)
    return least


def _alone(rounds: int, task: Task) -> float:
    return _least(rounds, {"": task})[""]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector: when it runs is chance, so it has a line of its own."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _collection(bench: Workbench, rounds: int) -> float:
    """What the cyclic garbage collector costs, microseconds an event, with a worker's settings of it.

    As in a worker, some batches of results are alive while the next one is decided.
    """
    batches = max(20, 2 * rounds)
    collecting, began = 0.0, 0.0

    def watch(phase: str, _info: dict[str, int]) -> None:
        nonlocal collecting, began
        if phase == "start":
            began = time.thread_time()
        else:
            collecting += time.thread_time() - began

    before = gc.get_threshold()
    tune_interpreter()
    gc.callbacks.append(watch)
    alive: deque[Any] = deque(maxlen=DECIDE_DEPTH)
    try:
        for _ in range(batches):
            alive.append((bench.records(_ROUNDS - 1), bench.decide(bench.contexts.copy(), bench.last)))
    finally:
        gc.callbacks.remove(watch)
        gc.set_threshold(*before)
        gc.unfreeze()
    return collecting / batches / _BATCH * 1e6


def _profile(bench: Workbench) -> str:
    """Where deciding spends its time, by function."""
    profiler = cProfile.Profile()
    copies = [bench.contexts.copy() for _ in range(20)]
    profiler.enable()
    for contexts in copies:
        bench.decide(contexts, bench.last)
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(_PROFILE_LINES)
    return out.getvalue()


def _section(plan: Plan, stages: list[Stage], yardstick: float, with_redis: bool) -> Section:
    whole = sum(stage.us for stage in stages if not stage.inside)
    rows = []
    for stage in stages:
        depth = {"": 0, "decide": 1, "fold": 2, _BESIDE: 1}[stage.inside]
        share = "" if stage.inside == _BESIDE else f"{stage.us / whole:.0%}"
        rows.append(("· " * depth + stage.name, number(stage.us), share))
    rows.append(("sum", number(whole), "100%"))
    return Section(
        "stages",
        "Cost by stage",
        ("stage", "us an event", "share"),
        rows,
        {"us": {stage.name: stage.us for stage in stages}, "sum_us": whole, "yardstick_us": yardstick},
        [
            f"CPU time of one thread, batches of {_BATCH} patients with full windows, best of "
            f"{plan.stage_rounds} turns; what is indented is part of the line above it."
            + (" Whole round trips (by the clock) and small batches are not in the sum." if with_redis else ""),
            "Garbage collection: as a worker sets it, decoding and deciding, three batches of results alive.",
            (
                f"Yardstick: one uuid.uuid5 of the standard library costs {number(yardstick)} us here. Figures of two "
                "machines, or of one shared machine on two days, compare as multiples of it."
            ),
            "Not in it: fetching, the event loop, thread hand-overs, metrics, the Kafka client's own work.",
        ],
    )


async def _unused(*_: Any) -> None:
    """Nothing calls this: deciding touches no store."""
    raise NotImplementedError
