"""Judging a model on any folder of records in a known format: figures, simple baselines beside them, subgroups.

Nothing is fitted here. A probability is the model's as the live pipeline would publish it; a baseline is whatever
number people have at the bedside anyway, and is judged by its order only. Intervals are 95 %, from a bootstrap over
patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.calibration import calibrated_logits, exclusive_probabilities, probabilities
from models.imaging import LABELS as FINDINGS
from models.training import imaging, notes
from models.training.bedside import bedside
from models.training.metrics import Draws, auprc, auroc, interval, rounded
from models.training.sequences import Course, sequence
from models.training.vitals import score
from models.vitals import LABELS

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

_AGES: Final = ((45, "under 45"), (65, "45 to 64"), (80, "65 to 79"), (np.inf, "80 and over"))
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
    """

    name: str
    label: Floats
    probability: Floats
    patient: Texts
    baselines: Mapping[str, Floats] = field(default_factory=dict)
    strata: Mapping[str, Texts] = field(default_factory=dict)


def _age_band(years: float) -> str:
    return "unknown" if np.isnan(years) else next(name for limit, name in _AGES if years < limit)


def _sex(male: float) -> str:
    return "unknown" if np.isnan(male) else ("male" if male else "female")


def vitals_question(bundle: Bundle, stays: Sequence[Course], label: str, *, last_only: bool = False) -> Question:
    """Every event of every stay, or the last one of each.

    Args:
        bundle: Loaded models.
        stays: With the label of the question.
        label: One of `models.vitals.LABELS`.
        last_only: Whether only the last event of a stay counts.
    """
    events = [sequence(stay) for stay in stays]
    of = {stay.patient_id: stay for stay, one in zip(stays, events, strict=True) if len(one.label)}
    found = score(bundle.vitals, [one for one in events if len(one.label)], LABELS.index(label))
    calibration = bundle.manifests["vitals"].calibration
    calibrated = calibrated_logits(found.logit[:, None], [label], calibration)[:, 0]
    order = list(dict.fromkeys(found.patient.tolist()))
    rules = {one.patient_id: one for one in bedside([of[name] for name in order])}
    baselines = {
        "NEWS2 (lower bound)": np.concatenate([rules[name].news2 for name in order]),
        "qSOFA (lower bound)": np.concatenate([rules[name].qsofa for name in order]),
        "shock index": np.nan_to_num(np.concatenate([rules[name].shock_index for name in order])),
    }
    rows = found.last if last_only else np.ones_like(found.last)
    who = found.patient[rows]
    return Question(
        label, found.label[rows].astype(float), probabilities(calibrated)[rows].astype(float), who,
        {name: values[rows].astype(float) for name, values in baselines.items()},
        {
            "age": np.array([_age_band(of[name].age_years) for name in who.tolist()]),
            "sex": np.array([_sex(of[name].male) for name in who.tolist()]),
        },
    )  # fmt: skip


def imaging_questions(
    bundle: Bundle, pixels: NDArray[np.uint8], label: NDArray[np.int64], patient: Sequence[str]
) -> Iterator[Question]:
    """Pneumonia or not, bacterial or not, viral or not; beside them what sharpness alone would tell."""
    temperature = next((c.temperature for c in bundle.manifests["imaging"].calibration.values()), 1.0)
    logits = imaging.encode(bundle.imaging, pixels).logits.numpy()
    by_class = exclusive_probabilities(logits, temperature).astype(float)
    who = np.array(patient)
    shortcut = {"blur (shortcut check)": -np.array([_sharpness(film) for film in pixels])}
    yield Question("pneumonia", (label > 0).astype(float), 1 - by_class[:, 0], who, shortcut)
    for number in (1, 2):
        truth = (label == number).astype(float)
        yield Question(FINDINGS[number], truth, by_class[:, number], who, shortcut)


def _sharpness(film: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian, the usual measure of focus."""
    grey = film.astype(np.float32)
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).var())


def notes_questions(
    bundle: Bundle, texts: Sequence[str], specialties: Sequence[Sequence[str]], note_id: Sequence[str]
) -> Iterator[Question]:
    """Every label of the notes model that occurs."""
    manifest = bundle.manifests["notes"]
    logits = notes.encode(bundle.notes, bundle.tokenizer, texts).logits.numpy()
    each = probabilities(calibrated_logits(logits, manifest.labels, manifest.calibration)).astype(float)
    for column, name in enumerate(manifest.labels):
        truth = np.array([float(name in of) for of in specialties])
        if truth.any():
            yield Question(name, truth, each[:, column], np.array(note_id))


def figures(question: Question, *, seed: int = 0) -> dict[str, object]:
    """All figures of a question as plain data.

    Returns:
        The model's metrics as [value, lower, upper]; `baselines`, `subgroups` and `reliability`; `event_1` (the best
        minimum of sensitivity and positive predictive value over all thresholds, as in the 2012 challenge).
    """
    truth, draws = question.label, Draws(question.patient.tolist(), seed)
    made = draws.report(truth, question.probability)
    made["event_1"] = draws.interval(event_1, truth, question.probability)
    made["baselines"] = {
        name: {
            "auroc": draws.interval(auroc, truth, values),
            "auprc": draws.interval(auprc, truth, values),
        }
        for name, values in question.baselines.items()
    }
    made["subgroups"] = {name: _by_group(question, groups, seed) for name, groups in question.strata.items()}
    made["reliability"] = reliability(truth, question.probability)
    return made


def _by_group(question: Question, groups: Texts, seed: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for group in np.unique(groups).tolist():
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


def event_1(label: Floats, probability: Floats, weight: Floats) -> float:
    """The best minimum of sensitivity and positive predictive value (PhysioNet/CinC Challenge 2012, event 1)."""
    order = np.argsort(-probability, kind="stable")
    _, first = np.unique(-probability[order], return_index=True)
    hits = np.cumsum(np.add.reduceat((weight * label)[order], first))
    flagged = np.cumsum(np.add.reduceat(weight[order], first))
    if not hits[-1]:
        return float("nan")
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return float(np.minimum(hits / hits[-1], precision).max())


def reliability(label: Floats, probability: Floats) -> list[dict[str, float | int | None]]:
    """Mean prediction and observed share in ten bins of equal size; equal predictions share a bin."""
    edges = np.quantile(probability, np.linspace(0, 1, RELIABILITY_BINS + 1)[1:-1])
    chosen = np.searchsorted(edges, probability, side="right")
    return [
        {
            "predicted": rounded(probability[chosen == k].mean()),
            "observed": rounded(label[chosen == k].mean()),
            "rows": int((chosen == k).sum()),
        }
        for k in range(RELIABILITY_BINS)
        if (chosen == k).any()
    ]
