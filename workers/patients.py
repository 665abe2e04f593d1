"""Patient contexts between the store and the pipeline: read, compare-and-set, and what happens when that fails.

- Another writer was quicker (a former owner of the partition, another modality's worker): read again, fold this
  worker's events into what is there, write again; nothing is published a second time.
- The store is away: contexts written meanwhile are pinned here, bounded, and the records behind them stay unfinished
  (their offsets uncommitted) until the store is back or a bound of time is over; then the worker goes on degraded.
- The store is away and a context was not used lately: the patient starts cold, and is flagged so.

One batch at a time owns a patient (the batcher sees to that), so nothing here is locked.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from workers.context import Contexts, pack, unpack
from workers.records import Record, Source
from workers.stores import VERSION_BYTES, ContextStore, StoreUnavailableError

log = structlog.get_logger(__name__)

_MOST_ROUNDS: Final = 5
_PINNED_EVENTS: Final = 64  # events kept a pinned patient; beyond, a lost comparison costs the oldest ones

Refold = Callable[[Contexts, Sequence[Record]], Awaitable[None]]
Settled = Callable[[Iterable[Source]], None]


@dataclass(slots=True)
class _Pinned:
    """A context that the store does not have yet."""

    value: bytes
    since: float
    events: list[Record] = field(default_factory=list)
    waiting: list[Source] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch did to one patient.

    Attributes:
        events: Records folded in, in order; refolded if another writer was quicker.
        finished: Records of the batch that end once the context is written.
    """

    patient: bytes
    events: list[Record]
    finished: list[Source]


class Patients:
    """Contexts by patient HMAC.

    Args:
        store: Where they are kept.
        refold: Folds events into one context.
        settled: Told which records have ended.
        wait_s: How long offsets wait for the store.
        most: Pinned contexts at most; also how many written ones are held, so that they need not travel again.
        count: Told (operation, outcome, number) for metrics.
    """

    def __init__(
        self, store: ContextStore, refold: Refold, settled: Settled, *, wait_s: float, most: int,
        count: Callable[[str, str, int], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._version = secrets.randbits(64)
        self._refold = refold
        self._settled = settled
        self._wait_s = wait_s
        self._most = most
        self._count = count
        self._near: OrderedDict[bytes, bytes] = OrderedDict()
        self._pinned: OrderedDict[bytes, _Pinned] = OrderedDict()
        self.degraded = False

    async def read(self, patients: Sequence[bytes]) -> tuple[Contexts, NDArray[np.bool_]]:
        """Contexts in the order of `patients`, and which of them did not come from the store."""
        degraded = np.zeros(len(patients), bool)
        asked = [i for i, patient in enumerate(patients) if patient not in self._pinned]
        values: list[bytes | None] = [None] * len(patients)
        try:
            found = await self._store.read([patients[i] for i in asked], self._near) if asked else []
            for i, value in zip(asked, found, strict=True):
                # A key that this worker wrote and the store has lost: what is held is better than nothing.
                values[i] = value if value is not None else self._near.get(patients[i])
            misses = sum(value is None for value in found)
            self._count("read", "hit", len(found) - misses)
            self._count("read", "miss", misses)
            if asked:
                self._back()
        except StoreUnavailableError as error:
            self._away(error)
            for i in asked:
                values[i] = self._near.get(patients[i])
                degraded[i] = True
            self._count("read", "unavailable", len(asked))
        for i, patient in enumerate(patients):
            pinned = self._pinned.get(patient)
            if pinned is not None:
                values[i] = pinned.value
                degraded[i] = True
        return unpack(values), degraded

    async def write(self, contexts: Contexts, changes: Sequence[Change], now: float) -> None:
        """Write contexts, one a change, in order; ends the finished records, now or when the store is back."""
        if not changes:
            return
        expected = [bytes(version) for version in contexts["version"]]
        contexts["version"] = [self._new_version() for _ in expected]
        values = pack(contexts)
        try:
            won = await self._store.compare_and_set([change.patient for change in changes], expected, values)
        except StoreUnavailableError as error:
            self._away(error)
            self._pin(changes, expected, values, now)
            return
        self._count("write", "written", sum(won))
        for change, value, ok in zip(changes, values, won, strict=True):
            joined = self._unpin(change)
            if ok:
                self._remember(change.patient, value)
                self._settled(joined.finished)
            else:
                await self._again(joined, now)

    async def make_anew(self, changes: Sequence[Change], now: float) -> None:
        """Fold events into the contexts as they are in the store, instead of writing what a batch made of them."""
        for change in changes:
            await self._again(self._unpin(change), now)

    async def flush(self, claim: Callable[[Iterable[Hashable]], set[Hashable]], now: float) -> set[Hashable]:
        """Try to write pinned contexts, and end the records that have waited long enough.

        Args:
            claim: Claims those patients that no batch holds.
            now: Monotonic seconds.

        Returns:
            The patients claimed, for the caller to free.
        """
        for pinned in self._pinned.values():
            if pinned.waiting and now - pinned.since >= self._wait_s:
                self._settled(pinned.waiting)
                pinned.waiting = []
        claimed = claim(list(self._pinned)[:256])
        for patient in [patient for patient in self._pinned if patient in claimed]:
            held = self._pinned.get(patient)
            if held is None:  # pushed out while another was written
                continue
            expected, context = held.value[:VERSION_BYTES], unpack([held.value])
            context["version"] = self._new_version()
            value = pack(context)[0]
            try:
                (won,) = await self._store.compare_and_set([patient], [expected], [value])
            except StoreUnavailableError as error:
                self._away(error)
                break
            self._back()
            self._pinned.pop(patient, None)  # it may have been pushed out while it was written
            if won:
                self._count("write", "written_late", 1)
                self._remember(patient, value)
                self._settled(held.waiting)
            else:
                await self._again(Change(patient, held.events, held.waiting), now)
        return claimed

    @property
    def unwritten(self) -> int:
        """Contexts that the store does not have yet."""
        return len(self._pinned)

    def forget_waiting(self) -> None:
        """At a hand-over: records that still wait are left to the next owner; their contexts stay pinned."""
        for pinned in self._pinned.values():
            pinned.waiting = []

    def _unpin(self, change: Change) -> Change:
        """The change together with what was held back for the patient."""
        pinned = self._pinned.pop(change.patient, None)
        if pinned is None:
            return change
        return Change(change.patient, pinned.events + change.events, pinned.waiting + change.finished)

    async def _again(self, change: Change, now: float) -> None:
        """Another writer was quicker: fold this worker's events into what is there, until it sticks."""
        for _ in range(_MOST_ROUNDS):
            try:
                (current,) = await self._store.read([change.patient])
                context = unpack([current])
                expected = bytes(context["version"][0])
                await self._refold(context, change.events)
                context["version"] = self._new_version()
                value = pack(context)[0]
                (won,) = await self._store.compare_and_set([change.patient], [expected], [value])
            except StoreUnavailableError as error:
                self._away(error)
                break
            self._count("write", "lost", 1)
            if won:
                self._remember(change.patient, value)
                self._settled(change.finished)
                return
        held = unpack([self._near.get(change.patient)])
        version = bytes(held["version"][0])
        await self._refold(held, change.events)
        self._pin([change], [version], pack(held), now)

    def _pin(self, changes: Sequence[Change], expected: Sequence[bytes], values: Sequence[bytes], now: float) -> None:
        for change, version, value in zip(changes, expected, values, strict=True):
            held = self._pinned.setdefault(change.patient, _Pinned(b"", now))
            held.value = version + value[VERSION_BYTES:]  # the version that the store is known to have
            held.events = (held.events + change.events)[-_PINNED_EVENTS:]
            held.waiting += change.finished
        self._count("write", "pinned", len(changes))
        while len(self._pinned) > self._most:
            _, oldest = self._pinned.popitem(last=False)
            waiting, oldest.waiting = oldest.waiting, []
            self._settled(waiting)
            self._count("write", "dropped", 1)

    def _remember(self, patient: bytes, value: bytes) -> None:
        self._near[patient] = value
        self._near.move_to_end(patient)
        if len(self._near) > self._most:
            self._near.popitem(last=False)

    def _away(self, error: StoreUnavailableError) -> None:
        if not self.degraded:
            log.warning("context_store_away", error=str(error))
        self.degraded = True

    def _back(self) -> None:
        if self.degraded:
            log.info("context_store_back", unwritten=len(self._pinned))
        self.degraded = False

    def _new_version(self) -> bytes:
        """A version that no other attempt to write has, of this worker or another: a count from a random start.

        Were it used for two contents, an older write that arrives late, or one made without the patient's history,
        would be taken for the newer one.
        """
        self._version = (self._version + 1) % 2**64 or 1  # 0 is the version of what was never written
        return self._version.to_bytes(VERSION_BYTES, "little")
