"""Candidates that score along: the same patients after the same batches, on copies, in a thread of their own.

Nothing of it reaches a result, a context or a batch: what cannot be kept up with is left out and counted. A candidate
of the vitals model starts from the raw window, which is what a promotion would give it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from workers.alert_policy import Policy
from workers.arms import Suite
from workers.context import Contexts
from workers.control import Control
from workers.fold import adopt
from workers.judge import Assessment
from workers.metrics import Metrics
from workers.shelf import Shelf

log = structlog.get_logger(__name__)

_STEPS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bounds of the absolute difference of the fused risk, as the report counts them."""


@dataclass(slots=True)
class Comparison:
    """A candidate beside what is live, summed over all patients compared.

    Attributes:
        candidates: Version by model.
        batches: Compared.
        skipped: Left out, because the batch before was still being compared.
        failed: On which the candidate raised an error.
        patients: Compared, each after each of its batches.
        both: Of them, with a risk of both.
        one: With a risk of one of the two only.
        difference: Sum of the absolute differences of the fused risk.
        largest: Of them.
        steps: How many differences lie at or below each of `_STEPS`.
        band: Patients whose band differs.
        alert: Patients whose risk lies above the raising line for one and not for the other.
        first: Patients with the same first action; of `listed`.
        five: Sum of the share of the first five actions that both list.
        listed: Patients for whom either lists an action.
    """

    candidates: Mapping[str, str]
    batches: int = 0
    skipped: int = 0
    failed: int = 0
    patients: int = 0
    both: int = 0
    one: int = 0
    difference: float = 0.0
    largest: float = 0.0
    steps: list[int] = field(default_factory=lambda: [0] * len(_STEPS))
    band: int = 0
    alert: int = 0
    first: int = 0
    five: float = 0.0
    listed: int = 0

    def report(self) -> dict[str, Any]:
        """Counts and shares, for people and programs; nothing of any patient."""
        return {
            "candidates": dict(self.candidates), "batches": self.batches, "skipped_batches": self.skipped,
            "failed_batches": self.failed, "patients": self.patients, "risks_of_both": self.both,
            "risks_of_one_only": self.one, "mean_difference": _share(self.difference, self.both),
            "largest_difference": self.largest,
            "difference_at_most": dict(zip(map(str, _STEPS), self.steps, strict=True)),
            "band_differs": self.band, "model_alert_differs": self.alert, "lists": self.listed,
            "same_first_action": self.first, "overlap_of_first_five": _share(self.five, self.listed),
        }  # fmt: skip


class Shadow:
    """Compares candidates with what is live.

    Args:
        shelf: Of the models.
        metrics: Where differences are counted.
    """

    def __init__(self, shelf: Shelf, metrics: Metrics) -> None:
        self._shelf, self._metrics = shelf, metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._busy = False
        self._found: Comparison | None = None

    def offer(self, contexts: Contexts, control: Control) -> None:
        """Compare a batch's patients, if a candidate is asked for and the batch before is done. Never waits.

        Args:
            contexts: `(n,)` after the batch; copied here.
            control: As the batch had it.
        """
        if not any(switch.shadow for switch in control.switches.values()):
            return
        made = self._shelf.shadow(control)
        if made is None:
            return
        candidate, names = made
        if self._found is None or self._found.candidates != names:
            self._found = Comparison(names)
        if self._busy:
            self._found.skipped += 1
            self._metrics.shadow_skipped.inc()
            return
        self._busy = True
        live = self._shelf.live(control).suite
        copies = contexts.copy()
        done = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: compare(copies, live, candidate, control)
        )
        done.add_done_callback(lambda task: self._note(task, names))

    def report(self) -> dict[str, Any] | None:
        """What has been found since this candidate began; None where there is none."""
        return None if self._found is None else self._found.report()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _note(self, task: asyncio.Future[Comparison], names: Mapping[str, str]) -> None:
        self._busy = False
        if task.cancelled() or self._found is None or self._found.candidates != names:
            return
        error = task.exception()
        if error is not None:
            self._found.failed += 1
            log.warning("shadow_failed", error=type(error).__name__, models=sorted(names))
            return
        one = task.result()
        self._found = add(self._found, one)
        self._metrics.shadow_patients.inc(one.patients)
        for what, count in (("band", one.band), ("alert", one.alert), ("first_action", one.listed - one.first)):
            self._metrics.shadow_differs.labels(what).inc(count)


def compare(contexts: Contexts, live: Suite, candidate: Suite, control: Control) -> Comparison:
    """What two suites make of the same patients.

    Args:
        contexts: `(n,)`, the caller's to lose.
        live: In use.
        candidate: Beside it.
        control: What is in force.
    """
    a = _judged(contexts.copy(), live, control)
    b = _judged(contexts, candidate, control)
    mine, theirs = a.risks.fused.astype(np.float64), b.risks.fused.astype(np.float64)
    known, other = ~np.isnan(mine), ~np.isnan(theirs)
    both = known & other
    difference = np.abs(mine[both] - theirs[both])
    line = control.policies.get("*", Policy()).model_raise
    bands = [x != y for x, y, use in zip(a.risks.fused_bands, b.risks.fused_bands, both, strict=True) if use]
    firsts, overlap, listed = _lists(a.ranking.order, b.ranking.order)
    return Comparison(
        {}, batches=1, patients=len(contexts), both=int(both.sum()), one=int((known != other).sum()),
        difference=float(difference.sum()), largest=float(difference.max(initial=0.0)),
        steps=[int((difference <= step).sum()) for step in _STEPS], band=sum(bands),
        alert=int(((np.nan_to_num(mine) >= line) != (np.nan_to_num(theirs) >= line)).sum()),
        first=firsts, five=overlap, listed=listed,
    )  # fmt: skip


def add(a: Comparison, b: Comparison) -> Comparison:
    """Both together, under the names of the first."""
    sums = {
        name: getattr(a, name) + getattr(b, name)
        for name in ("batches", "patients", "both", "one", "difference", "band", "alert", "first", "five", "listed")
    }
    steps = [x + y for x, y in zip(a.steps, b.steps, strict=True)]
    return replace(a, **sums, steps=steps, largest=max(a.largest, b.largest))


def _judged(contexts: Contexts, suite: Suite, control: Control) -> Assessment:
    if suite.without_fusion:
        control = replace(control, models_off=control.models_off | {"fusion"})
    adopt(contexts, suite.models.vitals)
    return suite.judge.assess(contexts, suite.models, control)


def _lists(a: NDArray[np.int16], b: NDArray[np.int16]) -> tuple[int, float, int]:
    """Same first action, sum of shares of the first five that both have, and patients with any action."""
    firsts, overlap, listed = 0, 0.0, 0
    for mine, theirs in zip(a[:, :5].tolist(), b[:, :5].tolist(), strict=True):
        one, two = [k for k in mine if k >= 0], [k for k in theirs if k >= 0]
        if one or two:
            listed += 1
            firsts += one[:1] == two[:1]
            overlap += len({*one} & {*two}) / max(len(one), len(two))
    return firsts, overlap, listed


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
