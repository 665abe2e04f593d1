"""A worker's own figures, read from its /metrics page.

Decides which metrics the demonstration shows; a metric that a worker does not export is simply not shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

BATCH: Final = "wardstream_batch_records"
"""Histogram: records of each dispatched micro-batch, by lane."""
CACHE: Final = "wardstream_embedding_cache"
"""Counter: embedding look-ups, by kind and outcome (hit or miss)."""
ANSWERS: Final = "wardstream_answers"
"""Counter: clinicians' answers applied, by outcome and effect."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page said.

    Attributes:
        batch_mean: Mean records of a batch, by lane.
        cache_hits: Embeddings found.
        cache_misses: Embeddings computed.
        applied: Answers applied.
    """

    batch_mean: dict[str, float]
    cache_hits: int
    cache_misses: int
    applied: int = 0


def parse(page: str) -> Figures:
    """Read a metrics page in the Prometheus text format.

    Raises:
        ValueError: It is no such page.
    """
    families = {family.name: family for family in text_string_to_metric_families(page)}
    totals: dict[str, float] = {}
    counts: dict[str, float] = {}
    for sample in _samples(families.get(BATCH)):
        lane = sample.labels.get("lane", "")
        if sample.name.endswith("_sum"):
            totals[lane] = totals.get(lane, 0.0) + sample.value
        elif sample.name.endswith("_count"):
            counts[lane] = counts.get(lane, 0.0) + sample.value
    means = {lane: totals.get(lane, 0.0) / count for lane, count in counts.items() if count}
    found = {"hit": 0.0, "miss": 0.0}
    for sample in _samples(families.get(CACHE)):
        result = sample.labels.get("outcome", "")
        if sample.name.endswith("_total") and result in found:
            found[result] += sample.value
    applied = sum(one.value for one in _samples(families.get(ANSWERS)) if one.name.endswith("_total"))
    return Figures(means, int(found["hit"]), int(found["miss"]), int(applied))


def _samples(family: Metric | None) -> Iterable[Any]:
    return family.samples if family else ()
