"""Figures of a yes-or-no question, with simple baselines beside them, and by subgroup.

A baseline is judged by its order only. Intervals are 95 %, from a bootstrap over patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.training.metrics import Draws, auprc, auroc, event_1, interval, rounded

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

_LEAST_POSITIVES: Final = 10
"""Fewer positives or negatives in a subgroup say nothing, and are not shown."""

RELIABILITY_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Question:
    """One yes-or-no question put to a model: N rows.

    Attributes:
        name: Of the label.
        label: (N,) 0 or 1.
        probability: (N,) calibrated.
        patient: (N,) whose row.
        baselines: Name to (N,) any score that rises with risk.
        strata: Name to (N,) subgroup of each row.
        extra: Further figures by name, made by whoever asks: a number, [value, lower, upper] or a small table of
            either. Shown and written beside the standard ones.
    """

    name: str
    label: Floats
    probability: Floats
    patient: Texts
    baselines: Mapping[str, Floats] = field(default_factory=dict)
    strata: Mapping[str, Texts] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures that belong to no single yes-or-no question, like a macro-F1.

    Attributes:
        name: What was judged; other than that of any question.
        figures: By name, each a number, [value, lower, upper] or a small table (a mapping) of either.
    """

    name: str
    figures: Mapping[str, object]


def figures(question: Question, *, thresholds: Mapping[str, float] | None = None, seed: int = 0) -> dict[str, object]:
    """All figures of a question as plain data.

    Args:
        question: With at least one row.
        thresholds: Probabilities at which people act, by name; fixed before these rows were seen.
        seed: Of the bootstrap.

    Returns:
        The model's metrics as [value, lower, upper]; `baselines`, with `auroc_ahead` the model's AUROC less theirs on
        the same sample of patients; `subgroups` and `reliability`; `event_1` (the best minimum of sensitivity and
        positive predictive value over all thresholds, as in the 2012 challenge); `bands`, what acting from each
        threshold on would mean; `extra` as it came.
    """
    truth, draws = question.label, Draws(question.patient.tolist(), seed)
    made = draws.report(truth, question.probability)
    made["event_1"] = draws.interval(event_1, truth, question.probability)
    made["bands"] = {name: _band(question, least, draws) for name, least in (thresholds or {}).items()}
    made["baselines"] = {
        name: {
            "auroc": draws.interval(auroc, truth, values),
            "auprc": draws.interval(auprc, truth, values),
            "auroc_ahead": draws.difference(auroc, truth, question.probability, values),
        }
        for name, values in question.baselines.items()
    }
    made["subgroups"] = {name: _by_group(question, groups, seed) for name, groups in question.strata.items()}
    made["reliability"] = reliability(truth, question.probability, draws)
    made["extra"] = dict(question.extra)
    return made


def _band(question: Question, least: float, draws: Draws) -> dict[str, object]:
    flagged, truth = (question.probability >= least).astype(float), question.label
    return {
        "from": least,
        "flagged": draws.ratio(flagged, np.ones_like(truth)),
        "sensitivity": draws.ratio(flagged * truth, truth),
        "specificity": draws.ratio((1 - flagged) * (1 - truth), 1 - truth),
        "positive predictive value": draws.ratio(flagged * truth, flagged),
    }


def _by_group(question: Question, groups: Texts, seed: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for group in sorted(np.unique(groups).tolist(), key=lambda name: (not name.startswith("under"), name)):
        rows = groups == group
        truth = question.label[rows]
        if min(truth.sum(), (1 - truth).sum()) >= _LEAST_POSITIVES:
            who = question.patient[rows].tolist()
            found[group] = {
                "auroc": interval(auroc, truth, question.probability[rows], who, seed=seed),
                "observed": rounded(truth.mean()),
                "predicted": rounded(question.probability[rows].mean()),
                "rows": len(truth),
            }
    return found


def reliability(label: Floats, probability: Floats, draws: Draws) -> list[dict[str, float | int | None]]:
    """Mean prediction and observed share in ten bins of equal size; equal predictions share a bin.

    Args:
        label: (N,) 0 or 1.
        probability: (N,) predicted.
        draws: Of the patients of these rows, for the interval of the observed share.
    """
    edges = np.quantile(probability, np.linspace(0, 1, RELIABILITY_BINS + 1)[1:-1])
    chosen = np.searchsorted(edges, probability, side="right")
    points: list[dict[str, float | int | None]] = []
    for rows in (chosen == k for k in range(RELIABILITY_BINS) if (chosen == k).any()):
        observed, low, high = draws.ratio(label * rows, rows.astype(float))
        predicted = rounded(probability[rows].mean())
        points.append({"predicted": predicted, "observed": observed, "low": low, "high": high, "rows": int(rows.sum())})
    return points
