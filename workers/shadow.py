"""Candidates that score along: the same inputs, on copies, in a thread of their own.

Nothing of it reaches a result, a context or a batch: what cannot be kept up with is left out and counted, and what goes
wrong is counted. A candidate of the vitals model starts from the raw window, which is what a promotion would give it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from workers.comparison import Agreement, Comparison, add, agree, compare
from workers.context import Contexts, take
from workers.control import Control
from workers.metrics import Metrics
from workers.records import Encoded, Record
from workers.shelf import Shelf
from workers.standing import ENCODERS

log = structlog.get_logger(__name__)
T = TypeVar("T")
_PATIENTS = "patients"


class Shadow:
    """Compares candidates with what is live.

    Args:
        shelf: Of the models.
        metrics: Where differences are counted.
    """

    def __init__(self, shelf: Shelf, metrics: Metrics) -> None:
        self._shelf, self._metrics = shelf, metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._busy: set[str] = set()
        self._found: Comparison | None = None
        self._encoders: dict[str, Agreement] = {}

    def before(self, contexts: Contexts, control: Control) -> NDArray[np.uint64] | None:
        """What was indicated for each patient before a batch; None where no candidate will ask for it."""
        asked = any(switch.shadow and name not in ENCODERS for name, switch in control.switches.items())
        return contexts["indicated"].copy() if asked else None

    def offer(
        self, contexts: Contexts, judged: Mapping[int, Record], before: NDArray[np.uint64], control: Control
    ) -> None:  # fmt: skip
        """Compare a batch's patients, if a candidate is there and the batch before is done. Never waits.

        Args:
            contexts: `(n,)` after the batch; copied here.
            judged: By row, the newest record that was published.
            before: `(n,)` as `before` gave it.
            control: As the batch had it.
        """
        standing = self._shelf.standing()
        made = standing.shadow(control)
        mine = {row: record for row, record in judged.items() if not control.without_models(record.event.unit)}
        if made is None or not mine:
            return
        candidate, names = made
        if self._found is None or self._found.candidates != names:
            self._found = Comparison(names)
        if not self._free(_PATIENTS, self._found):
            return
        rows = np.array(list(mine), np.intp)
        copies, records, live = take(contexts, rows), list(mine.values()), standing.live(control).suite
        copies["indicated"] = before[rows]

        def note(result: tuple[Comparison, NDArray[np.float64]]) -> None:
            if self._found is not None and self._found.candidates == names:
                self._found = add(self._found, result[0])
                self._count(*result)

        self._run(_PATIENTS, self._found, lambda: compare(copies, records, live, candidate, control), note)

    def encoded(self, name: str, inputs: Sequence[Any], results: Sequence[Encoded], control: Control) -> None:
        """Compare what the live network made of notes or images, if a candidate is there and not busy. Never waits.

        Args:
            name: notes or imaging.
            inputs: Texts, or images `(1, 224, 224)`.
            results: Of the live network.
            control: As the batch had it.
        """
        model = self._shelf.standing().encoder(name, control)
        if model is None:
            return
        found = self._encoders.get(name)
        if found is None or found.version != model.version:
            found = self._encoders[name] = Agreement(model.version)
        if not self._free(name, found):
            return
        version, given, mine = model.version, list(inputs), list(results)

        def work() -> Agreement:
            return agree(version, mine, model.encode(given if name == "notes" else np.stack(given)))  # type: ignore[arg-type]

        def note(result: Agreement) -> None:
            known = self._encoders.get(name)
            if known is not None and known.version == version:
                self._encoders[name] = add(known, result)
                self._metrics.shadow_records.labels(name).inc(result.records)
                self._metrics.shadow_differs.labels(f"{name}_label").inc(result.records - result.labels)

        self._run(name, found, work, note)

    def report(self) -> dict[str, Any] | None:
        """What has been found since the candidates began; None where there was none."""
        if self._found is None and not self._encoders:
            return None
        found = self._found or Comparison({})
        encoders = {name: each.report() for name, each in self._encoders.items()}
        candidates = {**found.candidates, **{name: each.version for name, each in self._encoders.items()}}
        return {"candidates": candidates, **found.report(), "encoders": encoders}

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _free(self, what: str, found: Comparison | Agreement) -> bool:
        if what not in self._busy:
            return True
        found.skipped += 1
        self._metrics.shadow_skipped.inc()
        return False

    def _run(
        self, what: str, found: Comparison | Agreement, work: Callable[[], T], note: Callable[[T], None]
    ) -> None:  # fmt: skip
        self._busy.add(what)

        def done(task: asyncio.Future[T]) -> None:
            self._busy.discard(what)
            if task.cancelled():
                return
            error = task.exception()
            if error is None:
                note(task.result())
                return
            found.failed += 1
            log.warning("shadow_failed", what=what, error=type(error).__name__)

        asyncio.get_running_loop().run_in_executor(self._thread, work).add_done_callback(done)

    def _count(self, one: Comparison, differences: NDArray[np.float64]) -> None:
        self._metrics.shadow_patients.inc(one.patients)
        for difference in differences.tolist():
            self._metrics.shadow_difference.observe(difference)
        for what, count in (("band", one.band), ("alert", one.alert), ("first_action", one.listed - one.first)):
            self._metrics.shadow_differs.labels(what).inc(count)
