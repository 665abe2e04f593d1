"""Late fusion on the constructed cohort: is what is fused ever worse than the best of its parts?

Every name says that the cohort is constructed: notes and films are of other people, paired by label
(`models.training.cohort`). What is fused is compared, on the same rows, with each modality that takes part, read by
itself: the vitals logit, and the evidence of the note's and of the film's read-out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from models.bundle import Bundle
from models.calibration import calibrated_logits, probabilities
from models.evaluation.coverage import coverage_figures
from models.evaluation.figures import Floats, Question, Summary
from models.fusion import MODALITIES
from models.training.cohort import Cohort
from models.training.fusion import LABEL
from models.training.metrics import Draws, auroc

ROWS: Final = 40_000
"""Hours that are paired and judged: all of a small folder, a sample of a large one."""

_BEST: Final = "best single modality"
_GAIN: Final = "AUROC, fused minus best single"


@dataclass(frozen=True, slots=True)
class Case:
    """What a patient has at the moment of judging.

    Attributes:
        name: As shown.
        present: Vitals, note, film.
        age_h: Of each.
        stale: The vitals are those of `cohort.EARLIER` events before.
    """

    name: str
    present: tuple[bool, bool, bool]
    age_h: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stale: bool = False


CASES: Final = (
    Case("vitals", (True, False, False)),
    Case("vitals and note", (True, True, False)),
    Case("vitals and film", (True, False, True)),
    Case("vitals, note and film", (True, True, True)),
    Case("vitals, note and film of two days ago", (True, True, True), (0.0, 48.0, 48.0)),
    Case("vitals of six events ago", (True, False, False), (6.0, 0.0, 0.0), stale=True),
    Case("vitals of six events ago, note and film", (True, True, True), (6.0, 0.0, 0.0), stale=True),
)


def fusion_questions(bundle: Bundle, cohort: Cohort) -> Iterator[Question | Summary]:
    """One question a case, and the paired differences of all of them at the end."""
    differences: dict[str, object] = {}
    for case in CASES:
        question = _question(bundle, cohort, case)
        differences[question.name] = {name: question.extra[name] for name in (_BEST, _GAIN)}
        yield question
    yield Summary("constructed cohort, fused minus best single modality", differences)


def _question(bundle: Bundle, cohort: Cohort, case: Case) -> Question:
    rows = np.isfinite(cohort.earlier) if case.stale else np.ones(len(cohort.label), np.bool_)
    logit, shares, single = scores(bundle, cohort, case)
    truth, who = cohort.label[rows].astype(float), cohort.patient[rows]
    probability = probabilities(logit[rows].astype(np.float32)).astype(float)
    each = {name: float(auroc(truth, score[rows], np.ones_like(truth))) for name, score in single.items()}
    best = max(each, key=lambda name: each[name])
    sets = bundle.manifests["fusion"].conformal.get(LABEL)
    return Question(
        f"constructed cohort, {case.name}", truth, probability, who,
        {f"{name} alone": score[rows] for name, score in single.items()},
        extra={
            _BEST: best,
            _GAIN: Draws(who.tolist()).difference(auroc, truth, logit[rows], single[best][rows]),
            "mean share": {name: round(float(share), 3)
                           for name, share in zip(MODALITIES, shares[rows].mean(0), strict=True)},
            **coverage_figures(sets, truth, probability, who),
        },
    )  # fmt: skip


@torch.inference_mode()
def scores(bundle: Bundle, cohort: Cohort, case: Case) -> tuple[Floats, Floats, dict[str, Floats]]:
    """The calibrated fused logit (N,), shares (N, 3), and the score of each modality that is present."""
    inputs = cohort.inputs(np.array(case.present), case.age_h, stale=case.stale)
    logit, shares = bundle.fusion(*inputs)
    calibration = bundle.manifests["fusion"].calibration
    calibrated = calibrated_logits(logit.numpy()[:, None], (LABEL,), calibration)[:, 0]
    network = bundle.fusion
    single = {
        "vitals": inputs[0],
        "notes": network.evidence(network.note, inputs[1]),
        "imaging": network.evidence(network.image, inputs[2]),
    }
    there = {
        name: score.numpy().astype(float)
        for (name, score), present in zip(single.items(), case.present, strict=True)
        if present
    }
    return calibrated.astype(float), shares.numpy().astype(float), there
