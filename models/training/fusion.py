"""Train late fusion on the constructed cohort of `models.training.cohort`.

The read-outs of note and film are learned beside the vitals logit on the training part. On the validation part each is
then given a temperature and a bias, because networks look surer of films and notes that they were trained on; and it
must show there that it helps: a modality whose gain in AUROC is not above zero, at 95 % certainty, is weighted zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.calibration import probabilities
from models.conformal import fit_yes_no
from models.fusion import MODALITIES, FusionConfig, LateFusion
from models.training import calibrate
from models.training.cohort import F32, Bools, Cohort, Hours, Pool, pair
from models.training.metrics import Draws, auroc, report
from models.training.outcome import Progress, Trained, silent
from models.training.split import Part
from models.weights import Manifest

LABEL: Final = "sepsis_6h"
_ALONE: Final = np.array([True, False, False])
_SOMETIMES: Final = (1.0, 0.7, 0.7)  # how often an hour has vitals, a note, a film


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """How to train.

    Attributes:
        rows: Most hours of a part that are paired.
        repeats: How often each hour of the validation part is paired anew: which note an hour drew is chance.
        steps: Of the optimiser (L-BFGS, five iterations each, over all rows).
        penalty: On the squared weights of the read-outs, beside a loss that is divided by the labels' variance.
        seed: Of the pairing.
    """

    rows: int = 120_000
    repeats: int = 10
    steps: int = 12
    penalty: float = 0.03
    seed: int = 0


def train_fusion(
    hours: Mapping[Part, Hours],
    notes: Mapping[Part, Pool],
    images: Mapping[Part, Pool],
    plan: FusionPlan,
    progress: Progress = silent,
) -> Trained:
    """Train, calibrate, choose what counts, and measure on the constructed cohort.

    Args:
        hours: By part.
        notes: Likewise.
        images: Likewise.
        plan: How.
        progress: Told each step.

    Returns:
        The fusion with the cohort's held-out figures, alone and beside vitals only.
    """
    torch.manual_seed(plan.seed)
    cohorts = {
        part: pair(
            hours[part], notes[part], images[part], plan.rows, plan.seed,
            repeats=plan.repeats if part == "validation" else 1,
        )
        for part in hours
    }  # fmt: skip
    network = LateFusion(FusionConfig())
    rate = float(hours["training"].label.mean())
    network.base.fill_(float(np.log(rate / (1 - rate))))
    history = _fit(network, cohorts["training"], plan, progress)
    gates = _calibrate(network, cohorts["validation"], plan)
    validation = _risk(network, cohorts["validation"], plan)
    left = calibrate.fit(_logit_of(validation), cohorts["validation"].label)
    metrics = {
        "gates": gates,
        "temperature_and_bias_left_after_fusion": [left.temperature, left.bias],
        **_held_out(network, cohorts["test"], plan),
    }
    manifest = Manifest(
        name="fusion", trained=True, config=asdict(network.config), labels=(LABEL,), metrics=metrics,
        input={"vitals_logit": "calibrated", "embeddings": 32, "modalities": list(MODALITIES)},
        horizon_h={LABEL: 6.0}, conformal={LABEL: fit_yes_no(validation, cohorts["validation"].label)},
        thresholds={LABEL: calibrate.bands(validation)},
        notes="Trained on a constructed cohort: vitals, notes and images of different people, paired by label.",
    )  # fmt: skip
    return Trained(network.state_dict(), manifest, history)


def _sometimes(cohort: Cohort, seed: int) -> tuple[Tensor, ...]:
    """The cohort with notes and films absent at times, by chance alone."""
    return cohort.inputs(np.random.default_rng(seed).random((len(cohort.label), 3)) < _SOMETIMES)


def _fit(network: LateFusion, cohort: Cohort, plan: FusionPlan, progress: Progress) -> tuple[dict[str, float], ...]:
    """Learn the read-outs on standardised embeddings, so that their scale does not matter; then unfold that."""
    layers = ((network.note, cohort.note), (network.image, cohort.image))
    scales = [(pool.mean(0), pool.std(0) + 1e-6) for _, pool in layers]
    note, image = ((pool - mean) / deviation for (_, pool), (mean, deviation) in zip(layers, scales, strict=True))
    standard = replace(cohort, note=note, image=image)
    inputs, target = _sometimes(standard, plan.seed), torch.from_numpy(cohort.label)
    for layer, _ in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(network.parameters(), max_iter=5, line_search_fn="strong_wolfe")
    spread = target.mean() * (1 - target.mean())

    def loss() -> Tensor:
        optimiser.zero_grad()
        fit = F.binary_cross_entropy_with_logits(network(*inputs)[0], target) / spread
        value: Tensor = fit + plan.penalty * torch.stack([layer.weight.square().sum() for layer, _ in layers]).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    history = []
    for step in range(plan.steps):
        before: Tensor = optimiser.step(loss)  # type: ignore[no-untyped-call]
        history.append({"epoch": float(step + 1), "loss": float(before.detach())})
        progress("fusion", step + 1, plan.steps)
    network.eval().requires_grad_(False)
    for (layer, _), (mean, deviation) in zip(layers, scales, strict=True):
        layer.weight.div_(torch.from_numpy(deviation))
        layer.bias.sub_(layer.weight @ torch.from_numpy(mean))
    return tuple(history)


def _calibrate(network: LateFusion, cohort: Cohort, plan: FusionPlan) -> dict[str, object]:
    """Fold a temperature, a bias and a gate into each read-out.

    Returns:
        For notes and imaging: scale and bias of the read-out, 0 where the gate is shut, and the gain in AUROC over
        vitals alone on the validation part with its interval.
    """
    found: dict[str, object] = {}
    draws = Draws(cohort.patient.tolist(), plan.seed)
    for name, layer, present in (
        ("notes", network.note, np.array([True, True, False])),
        ("imaging", network.image, np.array([True, False, True])),
    ):
        scale, bias = _scale(network, layer, cohort, present)
        gain = draws.difference(auroc, cohort.label, _logits(network, cohort, present), cohort.logit)
        if scale <= 0 or not gain[1] or gain[1] <= 0:
            scale = bias = 0.0
            layer.weight.zero_()
            layer.bias.zero_()
        found[name] = {"scale": round(scale, 4), "bias": round(bias, 4), "validation_auroc_gain": gain}
    return found


def _scale(network: LateFusion, layer: nn.Linear, cohort: Cohort, present: Bools) -> tuple[float, float]:
    """Scale and bias of a read-out with the least loss where it stands beside the vitals; folded into the layer."""
    embedding = torch.from_numpy(cohort.note if present[1] else cohort.image)
    raw, bound = layer(embedding).squeeze(-1).double(), network.config.bound
    vitals, target = torch.from_numpy(cohort.logit).double(), torch.from_numpy(cohort.label).double()
    both = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([both], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        evidence = bound * torch.tanh((raw * both[0] + both[1]) / bound)
        value = F.binary_cross_entropy_with_logits(vitals + evidence, target)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    scale, bias = (float(value) for value in both.detach())
    layer.weight.mul_(scale)
    layer.bias.mul_(scale).add_(bias)
    return scale, bias


@torch.inference_mode()
def _logits(network: LateFusion, cohort: Cohort, present: Bools) -> F32:
    logits: F32 = network(*cohort.inputs(present))[0].numpy()
    return logits


@torch.inference_mode()
def _risk(network: LateFusion, cohort: Cohort, plan: FusionPlan) -> F32:
    """Probabilities where notes and films are absent at times."""
    return probabilities(network(*_sometimes(cohort, plan.seed + 1))[0].numpy())


def _logit_of(probability: F32) -> F32:
    odds: F32 = np.log(probability / (1 - probability)).astype(np.float32)
    return odds


def _held_out(network: LateFusion, cohort: Cohort, plan: FusionPlan) -> dict[str, object]:
    label, who = cohort.label.astype(float), cohort.patient.tolist()
    fused = _risk(network, cohort, plan).astype(float)
    with torch.inference_mode():
        shares = network(*cohort.inputs(np.ones(3, np.bool_)))[1].mean(0).tolist()
    return {
        "constructed_cohort_fused": report(label, fused, who),
        "constructed_cohort_vitals_only": report(label, probabilities(cohort.logit).astype(float), who),
        "mean_shares_all_present": {name: round(share, 3) for name, share in zip(MODALITIES, shares, strict=True)},
    }
