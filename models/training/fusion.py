"""Train late fusion on a constructed cohort, for no set here links vitals, notes and images of one patient.

Each hour of a sepsis stay is given a note and an image of other people, drawn by its label: somewhat more often a
pneumonia film and an acute medical note where sepsis is near. How much more often is a choice made here, and the
learned evidence reflects it: figures of this cohort say that the code works, nothing about patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.calibration import probabilities
from models.fusion import MODALITIES, FusionConfig, LateFusion
from models.training.metrics import report
from models.training.outcome import Trained
from models.training.split import Part
from models.weights import Manifest, Thresholds

ACUTE_NOTES: Final = frozenset(
    {
        "Cardiovascular / Pulmonary", "Consult - History and Phy.", "Discharge Summary", "Emergency Room Reports",
        "Gastroenterology", "General Medicine", "Nephrology",
    }
)  # fmt: skip
"""Specialties whose notes count as acute medical ones in the pairing."""

PNEUMONIA_IF: Final = (0.35, 0.60)
ACUTE_NOTE_IF: Final = (0.40, 0.60)
"""Chance of a pneumonia film, and of an acute note, where sepsis is not near and where it is. Odds ratios of 2.8 and
2.25: enough to be learned, too little for either to outweigh the vitals."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Embeddings of one modality and part.

    Attributes:
        embedding: (N, 32).
        raised: (N,) bool, a pneumonia film or an acute note.
    """

    embedding: NDArray[np.float32]
    raised: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of sepsis stays of one part.

    Attributes:
        logit: (N,) calibrated vitals logit.
        label: (N,) sepsis by then or within six hours.
        patient: (N,) whose.
    """

    logit: NDArray[np.float32]
    label: NDArray[np.float32]
    patient: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """How to train.

    Attributes:
        rows: Most hours of a part that are paired.
        steps: Full-batch Adam steps.
        penalty: Weight decay of the read-outs.
        seed: Of the pairing.
    """

    rows: int = 120_000
    steps: int = 150
    penalty: float = 1e-3
    seed: int = 0


def _draw(
    pool: Pool, label: NDArray[np.float32], chance: tuple[float, float], random: np.random.Generator
) -> NDArray[np.float32]:
    raised = random.random(len(label)) < np.where(label > 0, chance[1], chance[0])
    yes, no = np.flatnonzero(pool.raised), np.flatnonzero(~pool.raised)
    return pool.embedding[np.where(raised, random.choice(yes, len(label)), random.choice(no, len(label)))]


def _cohort(hours: Hours, notes: Pool, images: Pool, plan: FusionPlan) -> tuple[tuple[Tensor, ...], Hours]:
    random = np.random.default_rng(plan.seed)
    rows = random.permutation(len(hours.label))[: plan.rows]
    chosen = Hours(hours.logit[rows], hours.label[rows], hours.patient[rows])
    note = _draw(notes, chosen.label, ACUTE_NOTE_IF, random)
    image = _draw(images, chosen.label, PNEUMONIA_IF, random)
    present = random.random((len(rows), 3)) < (1.0, 0.7, 0.7)
    arrays = (chosen.logit, note, image, present, np.zeros((len(rows), 3), np.float32))
    return tuple(torch.from_numpy(array) for array in arrays), chosen


def train_fusion(
    hours: Mapping[Part, Hours], notes: Mapping[Part, Pool], images: Mapping[Part, Pool], plan: FusionPlan
) -> Trained:
    """Train and measure on the constructed cohort.

    Args:
        hours: By part; training and test are used.
        notes: Likewise.
        images: Likewise.
        plan: How.

    Returns:
        The fusion with the cohort's held-out figures, alone and beside vitals only.
    """
    torch.manual_seed(plan.seed)
    network = LateFusion(FusionConfig())
    rate = float(hours["training"].label.mean())
    network.base.fill_(float(np.log(rate / (1 - rate))))
    for layer in (network.note, network.image):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    inputs, chosen = _cohort(hours["training"], notes["training"], images["training"], plan)
    target = torch.from_numpy(chosen.label)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03, weight_decay=plan.penalty)
    for _ in range(plan.steps):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(network(*inputs)[0], target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    held, truth = _cohort(hours["test"], notes["test"], images["test"], plan)
    with torch.inference_mode():
        logit, shares = network(*held)
    label, who = truth.label.astype(float), truth.patient.tolist()
    fused, alone = probabilities(logit.numpy()), probabilities(truth.logit)
    mean_shares = shares[held[3].all(1)].mean(0).tolist()
    metrics = {
        "constructed_cohort_fused": report(label, fused.astype(float), who),
        "constructed_cohort_vitals_only": report(label, alone.astype(float), who),
        "mean_shares_all_present": {name: round(share, 3) for name, share in zip(MODALITIES, mean_shares, strict=True)},
    }
    medium, high = np.quantile(fused, [0.90, 0.98])
    manifest = Manifest(
        name="fusion", trained=True, config=asdict(network.config), labels=("sepsis_6h",), metrics=metrics,
        input={"vitals_logit": "calibrated", "embeddings": 32, "modalities": list(MODALITIES)},
        horizon_h={"sepsis_6h": 6.0},
        thresholds={"sepsis_6h": Thresholds(medium=round(float(medium), 4), high=round(float(high), 4))},
        notes="Trained on a constructed cohort: vitals, notes and images of different people, paired by label.",
    )  # fmt: skip
    return Trained(network.state_dict(), manifest)
