"""Scores that staff have at the bedside anyway, replayed over stays: what a model must beat to be worth its alerts.

Values are carried forward and aged out as in live judging. Missing is never normal: the lower bound is what is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.clinical.ageing import age_out
from models.clinical.news2 import news2
from models.clinical.qsofa import qsofa
from models.clinical.shock_index import shock_index
from models.training.replay import events_of
from models.training.sequences import Course

_STAYS_A_BATCH = 500
_MS_PER_HOUR = 3_600_000.0


@dataclass(frozen=True, slots=True)
class Bedside:
    """The scores of one stay at each of its T events.

    Attributes:
        patient_id: Whose.
        news2: (T,) lower bound.
        qsofa: (T,) lower bound.
        shock_index: (T,) NaN where unknown.
    """

    patient_id: str
    news2: NDArray[np.int16]
    qsofa: NDArray[np.int8]
    shock_index: NDArray[np.float32]


def bedside(stays: Sequence[Course]) -> Iterator[Bedside]:
    """The scores of each stay that has events, in order."""
    for start in range(0, len(stays), _STAYS_A_BATCH):
        some = [(stay.patient_id, events_of(stay)) for stay in stays[start : start + _STAYS_A_BATCH]]
        some = [(name, events) for name, events in some if len(events.hour)]
        if not some:
            continue
        hour = np.concatenate([events.hour for _, events in some])
        lengths = [len(events.hour) for _, events in some]
        last_ms = np.concatenate([events.last_ms for _, events in some])
        as_of_ms = np.rint(hour * _MS_PER_HOUR).astype(np.int64)
        values = age_out(np.concatenate([events.values for _, events in some]), last_ms, as_of_ms)
        adult = np.repeat([events.applicable for _, events in some], lengths)
        early = news2(values, np.ones(len(hour), np.int8), adult).low
        sofa = qsofa(values, adult).low
        shock = shock_index(values, last_ms, adult)
        ends = np.cumsum(lengths)
        for (name, _), end, length in zip(some, ends, lengths, strict=True):
            span = slice(end - length, end)
            yield Bedside(name, early[span], sofa[span], shock[span])
