"""Train the vitals network on two sets at once, sepsis by the hour and death in hospital; calibrate and measure it.

Boosted trees are grown first, cross-fitted on the training part (`models.training.trees`), and teach the network
beside the labels. Calibration, bands, prediction sets, novelty and the alarm threshold are fitted on the validation
part; figures are of the test part. No tree and no weight has seen a patient of either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.calibration import Calibration, calibrated_logits, probabilities
from models.columns import COLUMNS
from models.conformal import Conformal, fit_yes_no
from models.evaluation import utility
from models.training import calibrate
from models.training.metrics import report
from models.training.outcome import Progress, Trained, silent
from models.training.scores import Scores, by_patient, score
from models.training.sequences import Course, Events, sequence
from models.training.split import PARTS, Part, part_of, require_both_answers, require_every_part
from models.training.trees import PLANS, cross_fitted
from models.training.vitals_fit import VitalsPlan, fit
from models.vitals import LABELS, VitalsConfig, VitalsEncoder
from models.weights import Manifest, Thresholds

LEAST_ROWS = 500
"""A column measured in fewer training rows is not used: its weights would be noise."""

SETS = ("sepsis", "mortality")
"""Names under which `models.training.split` knows the patients of each label's set."""


class _Set:
    """One data set, split: stays and their events by part."""

    def __init__(self, name: str, stays: Sequence[Course]) -> None:
        self.stays: dict[Part, list[Course]] = {part: [] for part in PARTS}
        self.parts: dict[Part, list[Events]] = {part: [] for part in PARTS}
        for stay in stays:
            events, part = sequence(stay), part_of(f"{name}/{stay.patient_id}")
            self.stays[part].append(stay)
            if len(events.label):
                self.parts[part].append(events)


def _normalise(network: VitalsEncoder, training: list[Events]) -> None:
    """Median and robust spread of each column, and which columns training has at all."""
    values = np.concatenate([events.values for events in training])
    network.used.zero_()
    for column in used_columns(training).tolist():
        known = values[:, column][~np.isnan(values[:, column])]
        low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
        network.used[column] = 1.0
        network.centre[column] = float(middle)
        network.scale[column] = 3.29 / float(max(high - low, 1e-3))  # the 5 to 95 % range of a normal law is 3.29 SD


def used_columns(stays: Sequence[Events]) -> NDArray[np.int64]:
    """Columns measured in enough rows of these stays to be learned from."""
    return np.flatnonzero(sum((~np.isnan(stay.values)).sum(0) for stay in stays) >= LEAST_ROWS)


def _taught(one: _Set, head: int, plan: VitalsPlan, progress: Progress) -> None:
    """Give the training stays what trees say of them that never saw their patient."""
    if not plan.teacher[head]:
        return
    stays = one.parts["training"]
    by = cross_fitted(stays, used_columns(stays), PLANS[head], progress, f"trees for {LABELS[head]}")
    one.parts["training"] = [replace(stay, teacher=risk) for stay, risk in zip(stays, by, strict=True)]


def train_vitals(
    sepsis: Sequence[Course], mortality: Sequence[Course], plan: VitalsPlan, progress: Progress = silent
) -> Trained:
    """Train, calibrate and measure.

    Args:
        sepsis: Stays whose label is sepsis by then or within six hours, one row an hour.
        mortality: Stays whose label is death in hospital.
        plan: How.
        progress: Told each step.

    Returns:
        The network and its held-out figures: hourly for sepsis, with the utility of the 2019 challenge and the alarm
        threshold for it; for mortality at the last event of the stay.

    Raises:
        TooFewError: A set has no stay, or none with or none without the label, in one of the parts.
    """
    sets = [_Set(SETS[0], sepsis), _Set(SETS[1], mortality)]
    for name, one in zip(SETS, sets, strict=True):
        what = f"stays with events in the set of {name}"
        require_every_part({part: len(one.parts[part]) for part in PARTS}, what)
        labels = {part: np.concatenate([events.label for events in one.parts[part]]) for part in PARTS}
        require_both_answers(labels, what)
    for head, one in enumerate(sets):
        _taught(one, head, plan, progress)
    torch.manual_seed(plan.seed)
    network = VitalsEncoder(VitalsConfig(hidden=plan.hidden, memory=plan.memory))
    _normalise(network, [events for one in sets for events in one.parts["training"]])
    network, history = fit(network, [one.parts for one in sets], plan, progress)
    readings = [_read(network, one, head) for head, one in enumerate(sets)]
    _novelty(network, sets, torch.cat([reading.held.state for reading in readings]))
    used = [column.name for column, use in zip(COLUMNS, network.used.tolist(), strict=True) if use]
    units = {column.name: column.unit for column in COLUMNS if column.name in used}
    by_label = dict(zip(LABELS, readings, strict=True))
    manifest = Manifest(
        name="vitals", trained=True, config=asdict(network.config), labels=LABELS,
        input={"table": "models.columns", "used": units, "static": ["age_years", "male", "hours since first event"]},
        horizon_h={"sepsis_6h": 6.0, "mortality": None},
        calibration={label: reading.calibration for label, reading in by_label.items()},
        conformal={label: reading.conformal for label, reading in by_label.items()},
        thresholds={label: reading.thresholds for label, reading in by_label.items()},
        metrics={label: reading.metrics for label, reading in by_label.items()},
    )  # fmt: skip
    return Trained(network.state_dict(), manifest, history)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one head is to be read, and how well it does."""

    held: Scores
    calibration: Calibration
    conformal: Conformal
    thresholds: Thresholds
    metrics: Mapping[str, object]


def _read(network: VitalsEncoder, one: _Set, head: int) -> _Reading:
    """Fit on validation, measure on test."""
    label = LABELS[head]
    held, test = (score(network, one.parts[part], head) for part in ("validation", "test"))
    calibration = calibrate.fit(held.logit, held.label)
    risk, found = (
        probabilities(calibrated_logits(of.logit[:, None], [label], {label: calibration})[:, 0]) for of in (held, test)
    )
    rows = test.last if head else np.ones_like(test.last)
    metrics = report(test.label[rows], found[rows], test.patient[rows].tolist())
    if not head:
        metrics |= _alarms(one, held, risk, test, found)
    return _Reading(held, calibration, fit_yes_no(risk, held.label), calibrate.bands(risk), metrics)


def _alarms(
    one: _Set, held: Scores, risk: NDArray[np.float32], test: Scores, found: NDArray[np.float32]
) -> dict[str, object]:
    """The threshold that pays most on validation, and what it is worth on test."""
    parts: tuple[tuple[Part, Scores, NDArray[np.float32]], ...] = (("validation", held, risk), ("test", test, found))
    hours = [
        utility.every_hour(one.stays[part], by_patient(of.patient, values.astype(np.float64)))
        for part, of, values in parts
    ]
    threshold = utility.best_threshold(utility.worth([stay.label for stay in one.stays["validation"]]), hours[0])
    worth = utility.worth([stay.label for stay in one.stays["test"]])
    return {"utility": utility.interval(worth, hours[1] >= threshold), "utility_threshold": round(threshold, 6)}


def _novelty(network: VitalsEncoder, sets: list[_Set], held_back: torch.Tensor) -> None:
    """States of every fifth training stay give mean and covariance; those of the validation part the threshold."""
    ordinary = torch.cat([score(network, one.parts["training"][::5], 0).state for one in sets])
    network.novelty.fit(ordinary, held_back)
