"""What a candidate makes of the same inputs as what is live: sums over patients, notes and images, nothing of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.arms import Suite
from workers.context import FOREIGN, UNREADABLE, Contexts
from workers.control import Control
from workers.fold import adopt
from workers.judge import Assessment
from workers.records import Encoded, Record

STEPS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bounds of the absolute difference of the fused risk, as it is counted."""


@dataclass(slots=True)
class Comparison:
    """A candidate of vitals, fusion or ranker beside what is live, summed over all patients compared.

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
        steps: How many differences lie at or below each of STEPS.
        band: Patients whose band differs.
        alert: Patients whose risk reaches their ward's raising line for one and not for the other.
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
    steps: list[int] = field(default_factory=lambda: [0] * len(STEPS))
    band: int = 0
    alert: int = 0
    first: int = 0
    five: float = 0.0
    listed: int = 0

    def report(self) -> dict[str, Any]:
        """Counts and shares, for people and programs."""
        return {
            "batches": self.batches, "skipped_batches": self.skipped, "failed_batches": self.failed,
            "patients": self.patients, "risks_of_both": self.both, "risks_of_one_only": self.one,
            "mean_difference": share(self.difference, self.both), "largest_difference": self.largest,
            "difference_at_most": dict(zip(map(str, STEPS), self.steps, strict=True)),
            "band_differs": self.band, "model_alert_differs": self.alert, "lists": self.listed,
            "same_first_action": self.first, "overlap_of_first_five": share(self.five, self.listed),
        }  # fmt: skip


@dataclass(slots=True)
class Agreement:
    """A candidate of notes or imaging beside what is live, summed over all records compared.

    Attributes:
        version: Of the candidate.
        batches: Compared.
        skipped: Left out, because the batch before was still being compared.
        failed: On which the candidate raised an error.
        records: Compared: what went through the live network, and not what its cache answered.
        labels: Of them, with the same strongest label.
        foreign: Of them, that one takes for unlike its training data and the other does not.
        both: Of them, where both name the live one's strongest label.
        difference: Sum of the absolute differences of that label's probability.
    """

    version: str
    batches: int = 0
    skipped: int = 0
    failed: int = 0
    records: int = 0
    labels: int = 0
    foreign: int = 0
    both: int = 0
    difference: float = 0.0

    def report(self) -> dict[str, Any]:
        """Counts and shares, for people and programs."""
        return {
            "version": self.version, "batches": self.batches, "skipped_batches": self.skipped,
            "failed_batches": self.failed, "records": self.records, "same_first_label": self.labels,
            "foreign_differs": self.foreign, "mean_difference": share(self.difference, self.both),
        }  # fmt: skip


def compare(
    contexts: Contexts, records: Sequence[Record], live: Suite, candidate: Suite, control: Control
) -> tuple[Comparison, NDArray[np.float64]]:
    """What two suites make of the same patients.

    Args:
        contexts: `(n,)` after the batch, with what was indicated before it; the caller's to lose.
        records: `(n,)` the newest of each patient.
        live: In use.
        candidate: Beside it.
        control: What is in force.

    Returns:
        The sums, and the absolute differences of the fused risk where there are both.
    """
    a = _judged(contexts.copy(), records, live, control)
    b = _judged(contexts, records, candidate, control)
    mine, theirs = a.risks.fused.astype(np.float64), b.risks.fused.astype(np.float64)
    known, other = ~np.isnan(mine), ~np.isnan(theirs)
    both = known & other
    difference = np.abs(mine[both] - theirs[both])
    lines = np.array([control.policy_of(record.event.unit).model_raise for record in records])
    bands = [x != y for x, y, use in zip(a.risks.fused_bands, b.risks.fused_bands, both, strict=True) if use]
    firsts, overlap, listed = _lists(a.ranking.order, b.ranking.order)
    return Comparison(
        {}, batches=1, patients=len(contexts), both=int(both.sum()), one=int((known != other).sum()),
        difference=float(difference.sum()), largest=float(difference.max(initial=0.0)),
        steps=[int((difference <= step).sum()) for step in STEPS], band=sum(bands),
        alert=int(((np.nan_to_num(mine) >= lines) != (np.nan_to_num(theirs) >= lines)).sum()),
        first=firsts, five=overlap, listed=listed,
    ), difference  # fmt: skip


def agree(version: str, mine: Sequence[Encoded], theirs: Sequence[Encoded]) -> Agreement:
    """What two encoders make of the same notes or images; what either could not read is left out."""
    found = Agreement(version, batches=1)
    for a, b in zip(mine, theirs, strict=True):
        if (a.quality | b.quality) & UNREADABLE or not a.labels or not b.labels:
            continue
        first, second = int(np.argmax(a.probability)), int(np.argmax(b.probability))
        label = a.labels[first]
        found.records += 1
        found.labels += label == b.labels[second]
        found.foreign += (a.quality ^ b.quality) & FOREIGN != 0
        if label in b.labels:
            found.both += 1
            found.difference += abs(float(a.probability[first]) - float(b.probability[b.labels.index(label)]))
    return found


Sums = Comparison | Agreement


def add(a: Sums, b: Sums) -> Any:
    """Both together, under the names of the first."""
    sums: dict[str, Any] = {
        name: getattr(a, name) + getattr(b, name)
        for name in a.__dataclass_fields__
        if name not in ("candidates", "version", "largest", "steps")
    }
    if isinstance(a, Comparison) and isinstance(b, Comparison):
        sums["steps"] = [x + y for x, y in zip(a.steps, b.steps, strict=True)]
        sums["largest"] = max(a.largest, b.largest)
    return replace(a, **sums)


def share(part: float, whole: int) -> float | None:
    """A share; None of nothing."""
    return part / whole if whole else None


def _judged(contexts: Contexts, records: Sequence[Record], suite: Suite, control: Control) -> Assessment:
    """As `workers.decide` has it judged."""
    adopt(contexts, suite.models.vitals)
    return suite.assess(contexts, records, suite.models, suite.control(control))


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
