"""Train the imaging network: normal, bacterial or viral, split by patient; calibrate it and measure it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration import exclusive_probabilities
from models.conformal import COVERAGE, Conformal
from models.imaging import LABELS, SIDE, ImagingConfig, ImagingEncoder, ImagingOut
from models.training import calibrate
from models.training.imaging_fit import Held, ImagingPlan, Numbers, Pixels, as_input, fit, halved
from models.training.metrics import report
from models.training.outcome import Progress, Trained, silent
from models.training.split import require_every_part, rows_of
from models.weights import Manifest, Thresholds

Floats = NDArray[np.float64]

ORDINARY_PERCENT = 97.0
"""Share of films of training patients, each held back in turn, that is not to be flagged. One in twenty films of new
patients may be; they lie a little farther out than those of training, hence the margin."""
_FOLDS = 5


class Foreign(NamedTuple):
    """Films of another population.

    Attributes:
        pixels: (N, 224, 224) uint8 grey.
        patient: (N,) whose.
    """

    pixels: Pixels
    patient: Sequence[str]


@torch.inference_mode()
def encode(network: ImagingEncoder, pixels: Pixels, change: Callable[[Tensor], Tensor] | None = None) -> ImagingOut:
    """Run every film, without its map, which is left empty.

    Args:
        network: In evaluation mode.
        pixels: (N, 224, 224) uint8 grey.
        change: Of the (B, 1, 224, 224) input before the network gets it.
    """
    batches = (as_input(pixels[i : i + 32]) for i in range(0, len(pixels), 32))
    outs = [network(one if change is None else change(one)) for one in batches]
    return ImagingOut(
        torch.cat([out.embedding for out in outs]), torch.cat([out.logits for out in outs]),
        torch.empty(0), torch.cat([out.appearance for out in outs]), torch.cat([out.novelty for out in outs]),
    )  # fmt: skip


def train_imaging(
    pixels: Pixels,
    label: Numbers,
    patient: Sequence[str],
    plan: ImagingPlan,
    *,
    initial: Mapping[str, Tensor] | None = None,
    foreign: Foreign | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train, calibrate and measure.

    Args:
        pixels: (N, 224, 224) uint8 grey.
        label: (N,) class numbers in the order of LABELS.
        patient: (N,) whose image.
        plan: How.
        initial: Weights to start from; those that it lacks are random.
        foreign: Images of another population; the share called novel is reported.
        progress: Told each step.

    Returns:
        The network and its held-out figures.

    Raises:
        TooFewError: There is no film in one of the parts.
    """
    torch.manual_seed(plan.seed)
    parts = rows_of(patient)
    require_every_part({part: len(rows) for part, rows in parts.items()}, "films")
    network = ImagingEncoder(ImagingConfig())
    network.load_state_dict(network.state_dict() | dict(initial or {}))
    films, truth = {part: halved(pixels[rows]) for part, rows in parts.items()}, torch.from_numpy(label)
    held = Held(films["validation"], truth[parts["validation"]], plan)
    network, history = fit(network, films["training"], truth[parts["training"]], held, plan, progress)
    network = network.folded()
    own = np.concatenate((parts["training"], parts["validation"]))
    names = [patient[i] for i in own.tolist()]
    network.novelty.fit_crosswise(encode(network, pixels[own]).appearance, _folds(names), ORDINARY_PERCENT)
    manifest = _calibrated(network, pixels[parts["validation"]], label[parts["validation"]], held)
    of_test = [patient[i] for i in parts["test"].tolist()]
    metrics = _figures(network, manifest, pixels[parts["test"]], label[parts["test"]], of_test)
    if foreign is not None:
        metrics |= _foreign(network, foreign)
    return Trained(network.state_dict(), manifest.model_copy(update={"metrics": metrics}), tuple(history))


def _calibrated(network: ImagingEncoder, pixels: Pixels, truth: Numbers, held: Held) -> Manifest:
    """What is fitted on validation films: calibration, prediction sets, and from where on pneumonia is called."""
    logits = encode(network, pixels).logits.numpy()
    by_label = dict(zip(LABELS, calibrate.fit_softmax(logits, truth), strict=True))
    probability = exclusive_probabilities(logits, LABELS, by_label)
    disguised = exclusive_probabilities(held.disguised_logits(network).numpy(), LABELS, by_label)
    return Manifest(
        name="imaging", trained=True, config=asdict(network.config), labels=LABELS,
        input={"size": [1, SIDE, SIDE], "range": [0.0, 1.0], "polarity": "bone is bright"},
        calibration=by_label, conformal={"finding": Conformal.fit(probability, truth, LABELS, COVERAGE)},
        thresholds={"pneumonia": decision(1 - disguised[:, 0].astype(float), truth > 0)}
        | dict.fromkeys(LABELS, Thresholds(medium=0.5, high=0.8)),
        notes="Softmax over exclusive labels after calibration. Pneumonia is 1 - normal, called from `medium` on.",
    )  # fmt: skip


def decision(probability: Floats, pneumonia: NDArray[np.bool_]) -> Thresholds:
    """From which probability on a film is called pneumonia: where sensitivity and specificity add up to most.

    Unlike the share of right answers, that does not lean to the class that the set has more of.

    Args:
        probability: (N,) of pneumonia, of held-back films.
        pneumonia: (N,) whether it is.
    """
    if pneumonia.all() or not pneumonia.any():
        return Thresholds(medium=0.5, high=0.8)
    candidates = np.linspace(0.02, 0.98, 97)
    called = probability >= candidates[:, None]
    gain = called[:, pneumonia].mean(1) - called[:, ~pneumonia].mean(1)
    best = round(float(np.median(candidates[gain >= gain.max() - 1e-9])), 2)
    return Thresholds(medium=best, high=max(best, 0.8))


def _figures(
    network: ImagingEncoder, manifest: Manifest, pixels: Pixels, truth: Numbers, who: Sequence[str]
) -> dict[str, object]:
    """Of held-out films."""
    out = encode(network, pixels)
    probability = exclusive_probabilities(out.logits.numpy(), LABELS, manifest.calibration).astype(float)
    called = 1 - probability[:, 0] >= manifest.thresholds["pneumonia"].medium
    return {
        "pneumonia": report((truth > 0).astype(float), 1 - probability[:, 0], who),
        "bacterial": report((truth == 1).astype(float), probability[:, 1], who),
        "viral": report((truth == 2).astype(float), probability[:, 2], who),
        "accuracy_pneumonia": round(float((called == (truth > 0)).mean()), 4),
        "accuracy_three_classes": round(float((probability.argmax(1) == truth).mean()), 4),
        "novel_share_held_out": round(float((out.novelty > 1).float().mean()), 4),
    }


def _foreign(network: ImagingEncoder, foreign: Foreign) -> dict[str, object]:
    """Of the half of foreign people who had no say in what novelty looks at."""
    rows = [i for i, name in enumerate(foreign.patient) if reported(name)]
    novel = encode(network, foreign.pixels[rows]).novelty > 1
    return {"novel_share_foreign": round(float(novel.float().mean()), 4), "foreign_films": len(rows)}


def _folds(patient: Sequence[str]) -> Tensor:
    """(N,) numbers 0 .. 4, by hash of the patient."""
    return torch.tensor([hashlib.sha256(name.encode()).digest()[-1] % _FOLDS for name in patient])


def reported(identifier: str) -> bool:
    """Whether the films of an adult are for reporting; the other half was looked at to choose what novelty sees."""
    return hashlib.sha256(identifier.encode()).digest()[0] % 2 == 0
