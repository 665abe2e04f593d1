"""Train the vitals network on two sets at once: sepsis by the hour, and death in hospital.

Both heads read one state. Batches of the two sets alternate, each teaching its own head. A third head, thrown away
afterwards, forecasts what the next event will measure: every stay teaches that, also those where nothing happens. In
training, age and sex are at times hidden, whole columns too, because live patients come without them.

What is kept is a running average of the weights, at the epoch that does best on the validation part.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.calibration import Calibration, probabilities
from models.columns import COLUMNS
from models.training import calibrate
from models.training.average import Average
from models.training.metrics import auroc, report
from models.training.outcome import Progress, Trained, silent
from models.training.sequences import Batch, Course, Events, batches, pieces, sequence
from models.training.split import PARTS, Part, part_of
from models.vitals import LABELS, VitalsConfig, VitalsEncoder
from models.weights import Manifest, Thresholds

LEAST_ROWS = 500
"""A column measured in fewer training rows is not used: its weights would be noise."""

_MORTALITY_WEIGHT = 0.3  # the label is the same in every row of a stay and says less per row
_HIDE_STATIC, _HIDE_COLUMN = 0.1, 0.1
_USUAL_EVENTS = 40  # of a stay in the sepsis set: keeps a batch's loss about as large as a mean
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class VitalsPlan:
    """How to train.

    Attributes:
        epochs: Passes over both sets.
        rate: Peak learning rate (AdamW, one cycle).
        batch: Stays a batch.
        length: Most events a piece.
        seed: Of weights, order and dropping.
        hidden: Width of the state, at most 128.
        decay: Weight decay.
        dropout: Share of the state hidden from the heads.
        forecast: Weight of forecasting the next event.
        average: How much of the running average stays at each step.
    """

    epochs: int = 16
    rate: float = 5e-3
    batch: int = 32
    length: int = 192
    seed: int = 0
    hidden: int = 64
    decay: float = 0.05
    dropout: float = 0.2
    forecast: float = 0.1
    average: float = 0.999


class _Set:
    """One data set, split: sequences by part."""

    def __init__(self, name: str, stays: Sequence[Course]) -> None:
        self.parts: dict[Part, list[Events]] = {part: [] for part in PARTS}
        for stay in stays:
            events = sequence(stay)
            if len(events.label):
                self.parts[part_of(f"{name}/{stay.patient_id}")].append(events)


def _normalise(network: VitalsEncoder, training: list[Events]) -> None:
    """Median and robust spread of each column, and which columns training has at all."""
    values = np.concatenate([events.values for events in training])
    count = (~np.isnan(values)).sum(0)
    for column in range(values.shape[1]):
        network.used[column] = float(count[column] >= LEAST_ROWS)
        if count[column] >= LEAST_ROWS:
            known = values[:, column][~np.isnan(values[:, column])]
            low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
            network.centre[column] = float(middle)
            network.scale[column] = 3.29 / float(
                max(high - low, 1e-3)
            )  # the 5 to 95 % range of a normal law is 3.29 SD


def _hide(batch: Batch, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The inputs, with age, sex and whole columns hidden in some stays."""
    values, carried, gap_h, static = batch.inputs
    columns = torch.rand(len(values), 1, values.shape[2], generator=random) < _HIDE_COLUMN
    unsaid = torch.rand(len(static), 1, static.shape[2], generator=random) < _HIDE_STATIC
    unsaid[..., 2] = False  # how long a patient has been known is always known
    hidden = static.masked_fill(unsaid, torch.nan)
    nan = torch.nan
    return values.masked_fill(columns, nan), carried.masked_fill(columns, nan), gap_h.masked_fill(columns, nan), hidden


def _loss(
    network: VitalsEncoder, forecaster: nn.Linear, batch: Batch, head: int, plan: VitalsPlan, random: torch.Generator
) -> Tensor:
    """Of one batch: the label of its set, and what the next event measures."""
    states = network(*_hide(batch, random))
    seen = F.dropout(states, plan.dropout)
    logits = network.heads(seen)[..., head]
    real = ~torch.isnan(batch.label)
    loss = F.binary_cross_entropy_with_logits(logits[real], batch.label[real], reduction="sum")
    # Every hour of the set counts the same for sepsis, though a batch holds stays of one length; for death every stay.
    loss = loss / real.sum() * _MORTALITY_WEIGHT if head else loss / (plan.batch * _USUAL_EVENTS)
    following = batch.inputs[0][:, 1:]
    measured = ~torch.isnan(following)
    ahead = F.smooth_l1_loss(forecaster(seen[:, :-1])[measured], network.standardised(following)[measured])
    return loss + plan.forecast * ahead


def _fit(network: VitalsEncoder, sets: list[_Set], plan: VitalsPlan, progress: Progress) -> VitalsEncoder:
    """Train; returns the averaged network of the best epoch."""
    random, hiding = np.random.default_rng(plan.seed), torch.Generator().manual_seed(plan.seed)
    training = [pieces(one.parts["training"], plan.length) for one in sets]
    per_epoch = sum(-(-len(one) // plan.batch) for one in training)
    forecaster = nn.Linear(plan.hidden, len(COLUMNS))
    parameters = [*network.parameters(), *forecaster.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.epochs * per_epoch + 1)
    average = Average(network, plan.average)
    best, best_score = average.network, -np.inf
    for epoch in range(plan.epochs):
        work = [(head, batch) for head, one in enumerate(training) for batch in batches(one, plan.batch, random)]
        for done, place in enumerate(random.permutation(len(work)), 1):
            head, batch = work[place]
            optimiser.zero_grad()
            _loss(network, forecaster, batch, head, plan, hiding).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, _CLIP)
            optimiser.step()
            schedule.step()
            average.follow(network)
            progress(f"vitals, epoch {epoch + 1}", epoch * per_epoch + done, plan.epochs * per_epoch)
        found = [_validation_auroc(average.network, one, head) for head, one in enumerate(sets)]
        progress(f"vitals, epoch {epoch + 1}: validation AUROC {found[0]:.4f}, {found[1]:.4f}", epoch + 1, plan.epochs)
        if sum(found) > best_score:
            best, best_score = copy.deepcopy(average.network), sum(found)
    return best


def _validation_auroc(network: VitalsEncoder, one: _Set, head: int) -> float:
    """Hourly for sepsis, at the last event for mortality; 0.5 where the part has one class only."""
    held = score(network, one.parts["validation"], head)
    rows = held.last if head else np.ones_like(held.last)
    value = auroc(held.label[rows].astype(float), held.logit[rows].astype(float), np.ones(int(rows.sum())))
    return 0.5 if np.isnan(value) else value


@dataclass(frozen=True, slots=True)
class Scores:
    """Every row of a part.

    Attributes:
        logit: (N,).
        label: (N,).
        patient: (N,) whose.
        last: (N,) bool, the last row of its stay.
        state: (N, H).
    """

    logit: NDArray[np.float32]
    label: NDArray[np.float32]
    patient: NDArray[np.str_]
    last: NDArray[np.bool_]
    state: Tensor


@torch.inference_mode()
def score(network: VitalsEncoder, stays: Sequence[Events], head: int) -> Scores:
    """Run whole stays through the network, as they lie."""
    found: list[tuple[Tensor, Tensor, NDArray[np.str_], NDArray[np.bool_]]] = []
    for batch in batches(stays, 128):
        states = network(*batch.inputs)
        real = ~torch.isnan(batch.label)
        lengths = real.sum(1).numpy()
        who = np.repeat(np.array([stays[i].patient_id for i in batch.rows]), lengths)
        last = np.zeros(lengths.sum(), bool)
        last[np.cumsum(lengths) - 1] = True
        found.append((states[real], batch.label[real], who, last))
    state = torch.cat([one[0] for one in found])
    return Scores(
        network.heads(state)[:, head].numpy(), torch.cat([one[1] for one in found]).numpy(),
        np.concatenate([one[2] for one in found]), np.concatenate([one[3] for one in found]), state,
    )  # fmt: skip


def score_part(network: VitalsEncoder, stays: Sequence[Course], name: str, part: Part) -> Scores:
    """Run the stays of one part of a set; `name` is sepsis or mortality, as in training."""
    return score(network, _Set(name, stays).parts[part], ("sepsis", "mortality").index(name))


def _calibrated(logit: NDArray[np.float32], by: Calibration) -> NDArray[np.float32]:
    return probabilities((logit / by.temperature + by.bias).astype(np.float32))


def train_vitals(
    sepsis: Sequence[Course], mortality: Sequence[Course], plan: VitalsPlan, progress: Progress = silent
) -> Trained:
    """Train, calibrate and measure.

    Args:
        sepsis: Stays whose label is sepsis by then or within six hours.
        mortality: Stays whose label is death in hospital.
        plan: How.
        progress: Told each step.

    Returns:
        The network and its held-out figures: hourly for sepsis; for mortality at the last event of the stay.
    """
    torch.manual_seed(plan.seed)
    sets = [_Set("sepsis", sepsis), _Set("mortality", mortality)]
    network = VitalsEncoder(VitalsConfig(hidden=plan.hidden))
    _normalise(network, [events for one in sets for events in one.parts["training"]])
    network = _fit(network, sets, plan, progress)
    calibration: dict[str, Calibration] = {}
    metrics: dict[str, object] = {}
    thresholds: dict[str, Thresholds] = {}
    states: list[Tensor] = []
    for head, (label, one) in enumerate(zip(LABELS, sets, strict=True)):
        held = score(network, one.parts["validation"], head)
        calibration[label] = calibrate.fit(held.logit, held.label)
        thresholds[label] = _bands(_calibrated(held.logit, calibration[label]))
        states.append(held.state)
        test = score(network, one.parts["test"], head)
        rows = test.last if label == "mortality" else np.ones_like(test.last)
        metrics[label] = report(
            test.label[rows], _calibrated(test.logit[rows], calibration[label]), test.patient[rows].tolist()
        )
    _novelty(network, sets, torch.cat(states))
    used = [column.name for column, use in zip(COLUMNS, network.used.tolist(), strict=True) if use]
    units = {column.name: column.unit for column in COLUMNS if column.name in used}
    manifest = Manifest(
        name="vitals", trained=True, config=asdict(network.config), labels=LABELS, calibration=calibration,
        input={"table": "models.columns", "used": units, "static": ["age_years", "male"]},
        horizon_h={"sepsis_6h": 6.0, "mortality": None}, thresholds=thresholds, metrics=metrics,
    )  # fmt: skip
    return Trained(network.state_dict(), manifest)


def _bands(probability: NDArray[np.float32]) -> Thresholds:
    """Medium is the highest tenth of held-back events, high the highest fiftieth: a first policy, by alert load."""
    medium, high = np.quantile(probability, [0.90, 0.98])
    return Thresholds(medium=round(float(medium), 4), high=round(float(high), 4))


def _novelty(network: VitalsEncoder, sets: list[_Set], held_back: Tensor) -> None:
    """States of every fifth training stay give mean and covariance; those of the validation part the threshold."""
    ordinary = torch.cat([score(network, one.parts["training"][::5], 0).state for one in sets])
    network.novelty.fit(ordinary, held_back)
