"""Warm-up: every model runs once before the worker is ready, so that no patient's first record pays for it."""

from __future__ import annotations

import gc
import sys

import numpy as np
import structlog

from models.columns import COLUMNS
from topics.catalogue import IMAGING
from workers.parts import Parts
from workers.settings import Settings

log = structlog.get_logger(__name__)


async def warm_up(parts: Parts, settings: Settings) -> None:
    """Run each model at its smallest and largest batch."""
    vitals = parts.models.vitals

    def step(count: int) -> None:
        columns = np.full((count, len(COLUMNS)), 80.0, np.float32)
        hidden = np.zeros((count, vitals.hidden), np.float32)
        static = np.full((count, 3), np.nan, np.float32)
        vitals.step(hidden, columns, columns, columns, static)
        vitals.explain(hidden, columns, columns, columns, static, first=(count + 1) // 2)

    for count in {1, 2 * settings.batch_max_records}:  # head and checkpoint of each record
        await parts.threads.run("decide", lambda n=count: step(n))  # type: ignore[misc]
    if "notes" in settings.only:
        await parts.threads.run("notes", lambda: parts.models.notes.encode(["warm up"]))
    if IMAGING in parts.encoders:
        await parts.pool.start()
        blank = np.zeros((1, 1, 224, 224), np.float32)
        await parts.threads.run("imaging", lambda: parts.models.imaging.encode(blank))
    log.info("warmed_up")


def tune_interpreter() -> None:
    """Settings of the interpreter that suit a worker.

    Outputs have no cycles: to look for garbage among them at Python's own pace is for nothing. And the event loop asks
    for the interpreter many times a batch while the deciding thread holds it: at the default of 5 ms each, that wait
    was most of the latency at light load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(0.0005)
