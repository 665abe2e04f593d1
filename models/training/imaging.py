"""Train the imaging network: normal, bacterial or viral, split by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.imaging import LABELS, SIDE, ImagingConfig, ImagingEncoder, ImagingOut
from models.training import calibrate
from models.training.average import Average
from models.training.metrics import report
from models.training.outcome import Progress, Trained, silent
from models.training.split import rows_of
from models.weights import Manifest, Thresholds

Pixels = NDArray[np.uint8]

ORDINARY_PERCENT = 95.0
"""Films like those of training that may count as such: flagging one in twenty is the price of keeping adults out."""


@dataclass(frozen=True, slots=True)
class ImagingPlan:
    """How to train.

    Attributes:
        epochs: Passes.
        rate: Peak learning rate (AdamW, one cycle).
        batch: Images a batch.
        seed: Of weights, order and augmentation.
        average: How much of the running average of the weights stays at each step.
    """

    epochs: int = 12
    rate: float = 4e-3
    batch: int = 32
    seed: int = 0
    average: float = 0.995


def as_input(pixels: Pixels) -> Tensor:
    """(B, 224, 224) uint8 to (B, 1, 224, 224) float32 in [0, 1]."""
    return torch.from_numpy(pixels).unsqueeze(1).float().div_(255)


def _augment(x: Tensor, random: torch.Generator) -> Tensor:
    """Shift, turn, scale, blur, brightness and contrast, each image its own.

    Sharpness differs between the classes: half the images are blurred, so that it is less of a shortcut.
    """
    count = len(x)
    uniform = torch.rand(count, 6, generator=random) * 2 - 1
    angle, zoom = uniform[:, 0] * 0.15, 1 + uniform[:, 1] * 0.12
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift = uniform[:, 2:4] * 0.08
    affine = torch.stack((cos, -sin, shift[:, 0], sin, cos, shift[:, 1]), 1).view(count, 2, 3)
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    soft = F.avg_pool2d(moved, 3, 1, 1)
    moved = torch.where((torch.rand(count, 1, 1, 1, generator=random) < 0.5), soft, moved)
    contrast, light = 1 + uniform[:, 4] * 0.25, uniform[:, 5] * 0.12
    return ((moved - 0.5) * contrast.view(-1, 1, 1, 1) + 0.5 + light.view(-1, 1, 1, 1)).clamp_(0, 1)


def _fit(
    network: ImagingEncoder, pixels: Pixels, label: Tensor, plan: ImagingPlan, progress: Progress
) -> ImagingEncoder:
    """Train; returns the averaged network."""
    order, random = np.random.default_rng(plan.seed), torch.Generator().manual_seed(plan.seed)
    steps = len(pixels) // plan.batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.epochs * steps + 1)
    average = Average(network, plan.average)
    network.train()
    for epoch in range(plan.epochs):
        rows = order.permutation(len(pixels))
        for step in range(steps):
            chosen = rows[step * plan.batch : (step + 1) * plan.batch]
            out = network(_augment(as_input(pixels[chosen]), random))
            loss = F.cross_entropy(out.logits, label[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            average.follow(network)
            progress(f"imaging, epoch {epoch + 1}", epoch * steps + step + 1, plan.epochs * steps)
    return average.network


@torch.inference_mode()
def encode(network: ImagingEncoder, pixels: Pixels) -> ImagingOut:
    """Run every image, without its maps: embedding, logits, novelty; the map is left empty."""
    outs = [network(as_input(pixels[i : i + 32])) for i in range(0, len(pixels), 32)]
    return ImagingOut(
        torch.cat([out.embedding for out in outs]), torch.cat([out.logits for out in outs]),
        torch.empty(0), torch.cat([out.appearance for out in outs]), torch.cat([out.novelty for out in outs]),
    )  # fmt: skip


def train_imaging(
    pixels: Pixels,
    label: NDArray[np.int64],
    patient: Sequence[str],
    plan: ImagingPlan,
    *,
    foreign: Pixels | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train, calibrate and measure.

    Args:
        pixels: (N, 224, 224) uint8 grey.
        label: (N,) class numbers in the order of LABELS.
        patient: (N,) whose image.
        plan: How.
        foreign: Images of another population; the share called novel is reported.
        progress: Told each step.

    Returns:
        The network and its held-out figures.
    """
    torch.manual_seed(plan.seed)
    parts = rows_of(patient)
    network = ImagingEncoder(ImagingConfig())
    network = _fit(network, pixels[parts["training"]], torch.from_numpy(label[parts["training"]]), plan, progress)
    held = encode(network, pixels[parts["validation"]])
    seen = encode(network, pixels[parts["training"]]).appearance
    network.novelty.fit(seen, held.appearance, ORDINARY_PERCENT)
    calibration = calibrate.fit_softmax(held.logits.numpy(), label[parts["validation"]])
    test, truth = encode(network, pixels[parts["test"]]), label[parts["test"]]
    probability = torch.softmax(test.logits / calibration.temperature, 1).double().numpy()
    who = [patient[i] for i in parts["test"]]
    metrics: dict[str, object] = {
        "pneumonia": report((truth > 0).astype(float), 1 - probability[:, 0], who),
        "bacterial": report((truth == 1).astype(float), probability[:, 1], who),
        "viral": report((truth == 2).astype(float), probability[:, 2], who),
        "accuracy_three_classes": round(float((probability.argmax(1) == truth).mean()), 4),
        "novel_share_held_out": round(float((test.novelty > 1).float().mean()), 4),
    }
    if foreign is not None:
        metrics["novel_share_foreign"] = round(float((encode(network, foreign).novelty > 1).float().mean()), 4)
    manifest = Manifest(
        name="imaging", trained=True, config=asdict(network.config), labels=LABELS, metrics=metrics,
        input={"size": [1, SIDE, SIDE], "range": [0.0, 1.0], "polarity": "bone is bright"},
        calibration=dict.fromkeys(LABELS, calibration),
        thresholds=dict.fromkeys(LABELS, Thresholds(medium=0.5, high=0.8)),
        notes="Softmax over exclusive labels after division by the temperature.",
    )  # fmt: skip
    return Trained(network.state_dict(), manifest)
