"""Replay of stays through the clinical rules: which actions they indicate at each event, and which they indicate next.

Values are carried forward, aged out, scored and put to the catalogue as in live judging. Flags, films and model risk
are unknown throughout: sets of hourly records have none, and rules that need them stay silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.clinical.actions import Catalogue, Evaluation
from models.clinical.ageing import age_out
from models.clinical.news2 import news2
from models.clinical.qsofa import qsofa
from models.clinical.shock_index import shock_index
from models.clinical.truth import TRUE, Bools, Floats, Times
from models.clinical.variables import build_variables
from models.training.sequences import Course, carry

ADULT_YEARS: Final = 16.0
"""NEWS2 applies from here on (RCP 2017)."""

_MS_PER_HOUR: Final = 3_600_000.0
_STAYS_A_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Examples:
    """Sampled hours of stays; N rows in the order of the stays.

    Attributes:
        patient: (N,) whose.
        features: (N, F) values as of the hour in the order of `models.columns`, NaN where unknown or too old.
        history: (N, A) indicated at the event before.
        present: (N, A) indicated at the hour itself.
        target: (N, A) newly indicated: at an event within the horizon, neither at the hour nor at the event before.
    """

    patient: NDArray[np.str_]
    features: Floats
    history: Bools
    present: Bools
    target: Bools

    def of(self, rows: NDArray[np.int64]) -> Examples:
        """Only these rows."""
        return Examples(
            *(getattr(self, name)[rows] for name in ("patient", "features", "history", "present", "target"))
        )


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one stay: those rows where something was measured.

    Attributes:
        hour: (T,).
        values: (T, P) last known.
        last_ms: (T, P) their times, milliseconds.
        applicable: The scores for adults apply.
    """

    hour: NDArray[np.float64]
    values: Floats
    last_ms: Times
    applicable: bool


def events_of(stay: Course) -> Events:
    """The rows of a stay where something was measured, with what was known then."""
    some = ~np.isnan(stay.values).all(1)
    hour, values = stay.time_h[some], stay.values[some]
    carried, gap_h = carry(hour, values)
    missing = np.isnan(values)
    since_h = hour[:, None].astype(np.float64) - np.where(missing, np.nan_to_num(gap_h), 0.0)
    last_ms = np.rint(since_h * _MS_PER_HOUR).astype(np.int64)
    # An unknown age counts as adult, as it does live.
    return Events(
        hour.astype(np.float64), np.where(missing, carried, values), last_ms, not stay.age_years < ADULT_YEARS
    )


def evaluated(
    catalogue: Catalogue, values: Floats, last_ms: Times, as_of_ms: Times, applicable: Bools
) -> tuple[Floats, Evaluation]:
    """What the rules say of values alone.

    Args:
        catalogue: The rules.
        values: (B, P) last known values, NaN where none.
        last_ms: (B, P) their times.
        as_of_ms: (B,) time of the judgement.
        applicable: (B,) the scores for adults apply.

    Returns:
        (B, P) values that are not too old, and what the rules say of them.
    """
    count = len(values)
    current = age_out(values, last_ms, as_of_ms)
    scale = np.ones(count, np.int8)
    nothing = np.zeros(count, np.uint32)
    never = np.zeros(count, np.bool_)
    variables = build_variables(
        values=current,
        last_ms=last_ms,
        as_of_ms=as_of_ms,
        flags_known=nothing,
        flags_true=nothing,
        news2=news2(current, scale, applicable),
        qsofa=qsofa(current, applicable),
        shock_index=shock_index(current, last_ms, applicable),
        spo2_scale=scale,
        cxr_ms=np.zeros(count, np.int64),
        p_pneumothorax=np.full(count, np.nan, np.float32),
        suspect=never,
        conflict=never,
        risk_band=np.full(count, -1, np.int8),
        abstained=~never,
    )
    return current, catalogue.evaluate(variables)


def indications(
    catalogue: Catalogue, values: Floats, last_ms: Times, as_of_ms: Times, applicable: Bools
) -> tuple[Floats, Bools]:
    """(B, P) values that are not too old, and (B, A) what is indicated for certain; arguments as for `evaluated`."""
    current, found = evaluated(catalogue, values, last_ms, as_of_ms, applicable)
    return current, found.indicated == TRUE


def newly_within(hour: NDArray[np.float64], indicated: Bools, horizon_h: float) -> Bools:
    """(T, A) indicated at an event up to `horizon_h` later, but neither at that row nor at the one before.

    Args:
        hour: (T,) ascending.
        indicated: (T, A).
        horizon_h: Above 0.
    """
    count = np.vstack((np.zeros((1, indicated.shape[1]), np.int64), np.cumsum(indicated, axis=0)))
    end = np.searchsorted(hour, hour + horizon_h, side="right")
    later: Bools = np.greater(count[end], count[1:])
    before = np.vstack((np.zeros((1, indicated.shape[1]), np.bool_), indicated[:-1]))
    new: Bools = later & ~indicated & ~before
    return new


def _replayed(stays: Sequence[Course], catalogue: Catalogue) -> Iterator[tuple[Course, Events, Floats, Bools]]:
    """Stays with events, their current values (T, P) and indications (T, A), evaluated many stays at a time."""
    for start in range(0, len(stays), _STAYS_A_BATCH):
        some = [(stay, events_of(stay)) for stay in stays[start : start + _STAYS_A_BATCH]]
        lengths = [len(events.hour) for _, events in some]
        hour = np.concatenate([events.hour for _, events in some])
        values, indicated = indications(
            catalogue,
            np.concatenate([events.values for _, events in some]),
            np.concatenate([events.last_ms for _, events in some]),
            np.rint(hour * _MS_PER_HOUR).astype(np.int64),
            np.repeat([events.applicable for _, events in some], lengths),
        )
        ends = np.cumsum(lengths)
        for (stay, events), end, length in zip(some, ends, lengths, strict=True):
            yield stay, events, values[end - length : end], indicated[end - length : end]


def sampled(hour: NDArray[np.floating], horizon_h: float, most: int, random: np.random.Generator) -> NDArray[np.intp]:
    """At most so many of a stay's events that have one before and one within the horizon after, in order."""
    usable = np.flatnonzero(np.diff(hour, append=np.inf) <= horizon_h)
    usable = usable[usable > 0]
    return np.sort(random.permutation(usable)[:most]) if len(usable) else usable


def examples(
    stays: Sequence[Course], catalogue: Catalogue, *, horizon_h: float, hours_a_stay: int, seed: int
) -> Examples:
    """Replay stays and sample hours that have an event before and one within the horizon after.

    Args:
        stays: Each by itself; a stay without such an hour gives nothing.
        catalogue: The rules.
        horizon_h: How far "next" reaches.
        hours_a_stay: At most so many of each stay, so that long stays do not decide.
        seed: Of the sampling.

    Raises:
        ValueError: No stay has such an hour.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.str_], Floats, Bools, Bools, Bools]] = []
    for stay, events, values, indicated in _replayed(stays, catalogue):
        at = sampled(events.hour, horizon_h, hours_a_stay, random)
        if not len(at):
            continue
        target = newly_within(events.hour, indicated, horizon_h)
        rows.append((np.repeat(stay.patient_id, len(at)), values[at], indicated[at - 1], indicated[at], target[at]))
    if not rows:
        raise ValueError("no stay has three events within reach of one another: nothing can be learned")
    return Examples(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))
