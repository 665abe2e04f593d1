"""The imaging model on films: findings, what appearance alone would tell, the flag of foreign films, its map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.bundle import Bundle
from models.calibration import exclusive_probabilities
from models.evaluation import map_deletion
from models.evaluation.figures import Floats, Question, Summary
from models.imaging import LABELS, ImagingOut
from models.training.imaging import encode
from models.training.imaging_fit import as_input
from models.training.metrics import Draws, auroc
from models.weights import Thresholds

Pixels = NDArray[np.uint8]

_TERTILES: Final = ("soft third", "middle third", "sharp third")
_UNFITTED: Final = Thresholds(medium=0.5, high=0.8)
_FLAGGED: Final = "flagged as unlike training"
_EDGE: Final = 8
"""Columns at each side of a film, pixels: dark where the field is wide."""


class Films(NamedTuple):
    """Films to judge.

    Attributes:
        pixels: (N, 224, 224) grey.
        label: (N,) class numbers in the order of LABELS.
        patient: (N,) whose film.
    """

    pixels: Pixels
    label: NDArray[np.int64]
    patient: Sequence[str]


def imaging_figures(bundle: Bundle, films: Films) -> Iterator[Question | Summary]:
    """Pneumonia or not, bacterial or not, viral or not; the three classes together; what the map is worth."""
    out = encode(bundle.imaging, films.pixels)
    by_class = _probabilities(bundle, out)
    who = np.array(films.patient)
    shortcuts = appearances(films.pixels)
    thirds = _thirds(shortcuts["blur"])
    beside = {f"{name} (shortcut check)": values for name, values in shortcuts.items()}
    for number, name in ((0, "pneumonia"), *enumerate(LABELS[1:], 1)):
        truth = (films.label > 0 if number == 0 else films.label == number).astype(float)
        probability = 1 - by_class[:, 0] if number == 0 else by_class[:, number]
        extra = _pneumonia(bundle, films, probability) if number == 0 else {}
        yield Question(name, truth, probability, who, beside, {"sharpness": thirds}, extra)
    yield Summary("three classes", _three_classes(bundle, films, by_class) | {_FLAGGED: _flagged(out, films.patient)})
    yield Summary("map, taking away its highest cells", _map(bundle, films))


def flags(bundle: Bundle, pixels: Pixels, patient: Sequence[str]) -> list[float | None]:
    """Share of films flagged as unlike those of training, [value, lower, upper]."""
    return _flagged(encode(bundle.imaging, pixels), patient)


def _flagged(out: ImagingOut, patient: Sequence[str]) -> list[float | None]:
    return Draws(patient).mean((out.novelty > 1).numpy().astype(float))


def appearances(pixels: Pixels) -> dict[str, Floats]:
    """What a film looks like without any regard to what it shows, each signed to rise with pneumonia in training.

    Returns:
        (N,) each: `blur`, minus the variance of the Laplacian; `flat`, minus the spread of grey; `narrow`, the mean
        grey of the side edges, which are black where the field is wide.
    """
    grey = [film.astype(np.float32) for film in pixels]
    return {
        "blur": -np.array([_sharpness(one) for one in grey]),
        "flat": -np.array([float(one.std()) for one in grey]),
        "narrow": np.array([float(one[:, :_EDGE].mean() + one[:, -_EDGE:].mean()) / 2 for one in grey]),
    }


def _pneumonia(bundle: Bundle, films: Films, probability: Floats) -> dict[str, object]:
    """Decisions at the manifest's threshold, and the AUROC on the same films made softer, flatter or narrower."""
    threshold = bundle.manifests["imaging"].thresholds.get("pneumonia", _UNFITTED).medium
    draws, truth = Draws(films.patient), (films.label > 0).astype(float)
    right = ((probability >= threshold) == (films.label > 0)).astype(float)
    found: dict[str, object] = {
        "called from": threshold,
        "accuracy": draws.mean(right),
        "sensitivity": draws.ratio(right * truth, truth),
        "specificity": draws.ratio(right * (1 - truth), 1 - truth),
    }
    for name, change in _CHANGES.items():
        changed = 1 - _probabilities(bundle, encode(bundle.imaging, films.pixels, change))[:, 0]
        found[f"auroc, {name}"] = draws.interval(auroc, truth, changed)
    return found


def _three_classes(bundle: Bundle, films: Films, by_class: Floats) -> dict[str, object]:
    draws, truth = Draws(films.patient), films.label
    right = (by_class.argmax(1) == truth).astype(float)
    found: dict[str, object] = {"accuracy": draws.mean(right)}
    conformal = bundle.manifests["imaging"].conformal.get("finding")
    if conformal is not None:
        sets = conformal.sets(by_class)
        kept, size = sets[np.arange(len(truth)), truth].astype(float), sets.sum(1).astype(float)
        found["conformal coverage meant"] = conformal.coverage
        found["conformal coverage"] = {
            name: draws.ratio(kept * (truth == k), truth == k) for k, name in enumerate(LABELS)
        }
        found["conformal set size"] = draws.mean(size)
        found["one class in the set"] = draws.mean((size == 1).astype(float))
    return found


def _map(bundle: Bundle, films: Films) -> dict[str, object]:
    """Of the films of pneumonia: elsewhere there is nothing to take away. Normal films give what comes instead."""
    rows, normal = np.flatnonzero(films.label > 0), np.flatnonzero(films.label == 0)
    if not len(rows) or not len(normal):
        return {}
    clear = as_input(films.pixels[normal])
    parts = [
        map_deletion.fall(bundle.imaging, as_input(films.pixels[i]), clear, seed=int(i[0])) for i in _batches(rows)
    ]
    top, random, bottom = (torch.cat(each).double().numpy() for each in zip(*parts, strict=True))
    draws = Draws([films.patient[i] for i in rows.tolist()])
    return {
        "cells taken away": map_deletion.CELLS,
        "fall of log odds, highest cells": draws.mean(top),
        "fall of log odds, random cells": draws.mean(random),
        "fall of log odds, lowest cells": draws.mean(bottom),
        "highest less random": draws.mean(top - random),
        "share of films where the highest cells count more": draws.mean((top > random).astype(float)),
    }


def _probabilities(bundle: Bundle, out: ImagingOut) -> Floats:
    """(N, 3) calibrated."""
    manifest = bundle.manifests["imaging"]
    return exclusive_probabilities(out.logits.numpy(), manifest.labels, manifest.calibration).astype(float)


def _softer(x: Tensor) -> Tensor:
    """As if scanned at 90 x 90."""
    small = F.interpolate(x, size=(90, 90), mode="bilinear", antialias=True)
    return F.interpolate(small, size=x.shape[-2:], mode="bilinear")


def _flatter(x: Tensor) -> Tensor:
    return (x - 0.5) * 0.6 + 0.5


def _narrower(x: Tensor) -> Tensor:
    """The middle 80 % of both sides."""
    row, column = x.shape[-2] // 10, x.shape[-1] // 10
    return F.interpolate(x[..., row:-row, column:-column], size=x.shape[-2:], mode="bilinear")


_CHANGES: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "films made softer": _softer,
    "films made flatter": _flatter,
    "films cut narrower": _narrower,
}


def _thirds(blur: Floats) -> NDArray[np.str_]:
    low, high = np.quantile(-blur, [1 / 3, 2 / 3])
    return np.array(_TERTILES)[np.searchsorted([low, high], -blur)]


def _batches(rows: NDArray[np.int64], size: int = 32) -> Iterator[NDArray[np.int64]]:
    return (rows[i : i + size] for i in range(0, len(rows), size))


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Variance of the Laplacian, the usual measure of focus."""
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).var())
