"""The lists as they are shown: how early what lasts stands in them, and how many kinds of care the first few are of.

No data here say which action helped. What can be told is which indications last: an action that the rules still
indicate at the patient's next event was no flicker of one reading. That is a proxy, and favours sure indications.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.clinical.actions import Catalogue, Evaluation
from models.clinical.truth import TRUE
from models.evaluation.figures import Summary
from models.recommend.ranker import Ranker
from models.training.ranking_figures import figures, gains
from models.training.replay import evaluated, events_of, sampled
from models.training.sequences import Course

FIRST: Final = 5
_MS_PER_HOUR: Final = 3_600_000.0
_STAYS_A_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Lists:
    """N hours of stays whose lists hold something that lasts and something that does not.

    Attributes:
        patient: (N,) whose.
        features: (N, F).
        history: (N, A) indicated at the event before.
        evaluation: What the rules say at the hour.
        lasts: (N, A) indicated now, and at the patient's next event too.
    """

    patient: NDArray[np.str_]
    features: NDArray[np.float32]
    history: NDArray[np.float32]
    evaluation: Evaluation
    lasts: NDArray[np.bool_]


def lists(stays: Sequence[Course], catalogue: Catalogue, *, horizon_h: float, hours_a_stay: int, seed: int) -> Lists:
    """Sample hours that have an event before, and one within the horizon after.

    Raises:
        ValueError: There is no such hour.
    """
    made = list(_sampled(stays, catalogue, horizon_h, hours_a_stay, np.random.default_rng(seed)))
    if not made:
        raise ValueError("no stay has three events within reach of one another: no list can be judged")
    patient, features, history, indicated, blocked, met, lasts = (
        np.concatenate(parts) for parts in zip(*made, strict=True)
    )
    return Lists(patient, features, history.astype(np.float32), Evaluation(indicated, blocked, met), lasts)


def _sampled(
    stays: Sequence[Course], catalogue: Catalogue, horizon_h: float, hours_a_stay: int, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.generic], ...]]:
    for stay in stays:
        events = events_of(stay)
        at = sampled(events.hour, horizon_h, hours_a_stay, random)
        if not len(at):
            continue
        around = np.concatenate((at - 1, at, at + 1))
        values, found = evaluated(
            catalogue, events.values[around], events.last_ms[around],
            np.rint(events.hour[around] * _MS_PER_HOUR).astype(np.int64), np.full(len(around), events.applicable),
        )  # fmt: skip
        before, now, after = np.split(found.indicated == TRUE, 3)
        here = slice(len(at), 2 * len(at))
        assert found.met is not None
        lasts = now & after & (found.blocked[here] != TRUE)
        keep = lasts.any(axis=1) & (now & ~after).any(axis=1)
        if keep.any():
            each = (values[here], before, found.indicated[here], found.blocked[here], found.met[here], lasts)
            yield np.repeat(stay.patient_id, keep.sum()), *(one[keep] for one in each)


def list_figures(rankers: Mapping[str, Ranker], found: Lists, *, against: tuple[str, str]) -> dict[str, object]:
    """For each ranker recall and NDCG of what lasts, and kinds of care among the first five, with intervals."""
    gain = {}
    for name, ranker in rankers.items():
        no_risk = np.full(len(found.patient), np.nan, np.float32)
        order = ranker.rank(found.evaluation, no_risk, found.history, found.features).order.astype(np.int64)
        place = np.full(found.lasts.shape, np.inf)
        rows, columns = np.nonzero(order >= 0)
        place[rows, order[rows, columns]] = columns
        each = gains(-place, np.isfinite(place), found.lasts & np.isfinite(place))
        gain[name] = each | {f"kinds@{FIRST}": _kinds(ranker.catalogue, order)}
    return figures(gain, found.patient.tolist(), against=against)


def _kinds(catalogue: Catalogue, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) how many categories are among the first few."""
    names = sorted({action.category for action in catalogue.actions})
    kind = np.array([names.index(action.category) for action in catalogue.actions])
    first = order[:, :FIRST]
    held = np.zeros((len(order), len(names)), np.bool_)
    rows, columns = np.nonzero(first >= 0)
    held[rows, kind[first[rows, columns]]] = True
    kinds: NDArray[np.float64] = held.sum(axis=1).astype(np.float64)
    return kinds


def list_summary(ranker: Ranker, found: Lists) -> Summary:
    """The ranker as it is, beside itself without the guideline part and diversity."""
    plain = replace(ranker.weights, guideline=0.0, diversity=0.0)
    rankers = {"as shown": ranker, "without": Ranker(ranker.catalogue, ranker.recommenders, plain)}
    made = list_figures(rankers, found, against=("as shown", "without"))
    counts = {"rows": len(found.patient), "patients": len(np.unique(found.patient))}
    return Summary("lists as shown: what lasts until the next event", counts | {"methods": made})
