"""The models as the pipeline sees them: numpy in, numpy out, on the configured device.

Nothing here decides; it moves arrays, calibrates logits and names labels. It runs in the threads that `workers.threads`
gives it, never on the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bundle import Bundle
from models.calibration import IDENTITY, calibrated_logits, exclusive_probabilities, probabilities
from models.conformal import YES, answers, certain, limits
from models.tokens import Tokens
from models.weights import Thresholds
from topics.reasons import Reason
from workers.context import FOREIGN, PROBABILITIES, digest32
from workers.evidence import heat, spans
from workers.records import Encoded

Floats = NDArray[np.float32]
_LABELS: Final = 3  # labels of a note that are shown
_BANDS: Final = np.array(["low", "medium", "high", None], object)  # None, the last, where there is no probability


class VitalsModel:
    """The vitals network as a `workers.fold.Recurrence`."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._network = bundle.vitals
        self._device = device
        manifest = bundle.manifests["vitals"]
        self._manifest = manifest
        self.digest = digest32(manifest.version)
        self.hidden = self._network.config.hidden
        self.labels = manifest.labels
        self.horizons = [(label, manifest.horizon_h.get(label)) for label in manifest.labels]
        self.limits = limits(manifest.labels, manifest.conformal)
        self._scale = np.float32(1 / manifest.calibration.get(manifest.labels[0], IDENTITY).temperature)

    def step(self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats) -> Floats:
        """See Recurrence."""
        with torch.inference_mode():
            return _host(self._network.step(*self._move(h, values, carried, gap_h, static)))

    def explain(
        self, h: Floats, values: Floats, carried: Floats, gap_h: Floats, static: Floats, *, first: int | None = None
    ) -> tuple[Floats, Floats]:
        """See Recurrence."""
        with torch.inference_mode():
            after, parts = self._network.explain(*self._move(h, values, carried, gap_h, static), first=first)
            return _host(after), _host(parts) * self._scale

    def logits(self, hidden: Floats) -> tuple[Floats, Floats]:
        """Calibrated logits `(n, 2)` of the states `(n, H)`, and how foreign each state is (> 1 is)."""
        with torch.inference_mode():
            (states,) = self._move(hidden)
            raw, novelty = self._network.heads(states), self._network.novelty(states)
        return calibrated_logits(_host(raw), self.labels, self._manifest.calibration), _host(novelty)

    def bands(self, probability: Floats) -> list[list[str | None]]:
        """`(n, 2)` probabilities to band names; None where there is no probability."""
        return [_band(probability[:, k], self._manifest.thresholds.get(name)) for k, name in enumerate(self.labels)]

    def _move(self, *arrays: Floats) -> list[Tensor]:
        return [torch.from_numpy(np.ascontiguousarray(array)).to(self._device) for array in arrays]


class FusionModel:
    """Late fusion."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._network = bundle.fusion
        self._device = device
        self._manifest = bundle.manifests["fusion"]
        self._label = self._manifest.labels[0] if self._manifest.labels else "deterioration"
        self.limits = limits((self._label,), self._manifest.conformal)

    def fuse(
        self, vitals_logit: Floats, notes: Floats, images: Floats, present: NDArray[np.bool_], age_h: Floats
    ) -> tuple[Floats, Floats]:
        """Fused risk probability `(n,)` and shares `(n, 3)` in the order vitals, notes, imaging."""
        with torch.inference_mode():
            inputs = [torch.from_numpy(a).to(self._device) for a in (vitals_logit, notes, images, present, age_h)]
            logit, shares = self._network(*inputs)
        calibrated = calibrated_logits(_host(logit)[:, None], [self._label], self._manifest.calibration)[:, 0]
        return probabilities(calibrated), _host(shares)

    def bands(self, probability: Floats) -> list[str | None]:
        """Band names."""
        return _band(probability, self._manifest.thresholds.get(self._label))


class NotesModel:
    """The notes encoder with its tokenizer."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._network, self._tokenizer, self._device = bundle.notes, bundle.tokenizer, device
        self._manifest = bundle.manifests["notes"]
        self.version = self._manifest.version
        self.digest = digest32(self.version)
        self._max_tokens = self._network.config.max_tokens
        self._limits = limits(self._manifest.labels, self._manifest.conformal)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """What the network reads of each text."""
        return self._tokenizer.encode(texts, self._max_tokens)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """One result a text."""
        tokens = self.tokens(texts)
        with torch.inference_mode():
            out = self._network(
                torch.from_numpy(tokens.ids).to(self._device), torch.from_numpy(tokens.mask).to(self._device)
            )
        labels = self._manifest.labels
        probability = probabilities(calibrated_logits(_host(out.logits), labels, self._manifest.calibration))
        left = answers(probability, self._limits)
        possible, sure = left & YES != 0, certain(left, probability)
        settled = np.logical_or(sure.any(axis=1), np.isnan(self._limits).all())
        embedding, saliency, novelty = _host(out.embedding), _host(out.saliency), _host(out.novelty)
        results = []
        for i, text in enumerate(texts):
            top = np.argsort(-probability[i], kind="stable")[:_LABELS]
            foreign = bool(novelty[i] > 1) or not tokens.mask[i].any()
            reasons = [Reason.OUT_OF_DISTRIBUTION] if foreign else [] if settled[i] else [Reason.AMBIGUOUS]
            if tokens.mask[i].all() and tokens.offsets[i, -1, 1] < len(text.rstrip()):
                reasons.append(Reason.NOTE_TRUNCATED)
            results.append(
                Encoded(
                    embedding[i],
                    probability[i, top],
                    tuple(labels[k] for k in top),
                    FOREIGN if foreign else 0,
                    tuple(reasons),
                    spans(saliency[i], tokens.offsets[i], tokens.mask[i]),
                    possible=tuple(possible[i, top].tolist()),
                    certain=tuple(sure[i, top].tolist()),
                    model=self.digest,
                    version=self.version,
                )
            )
        return results


class ImagingModel:
    """The imaging encoder."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._network, self._device = bundle.imaging, device
        self._manifest = bundle.manifests["imaging"]
        self.version = self._manifest.version
        self.digest = digest32(self.version)

    def encode(self, images: Floats) -> list[Encoded]:
        """One result an image of `(n, 1, 224, 224)` float32 in [0, 1]."""
        with torch.inference_mode():
            out = self._network(torch.from_numpy(np.ascontiguousarray(images)).to(self._device))
        probability = exclusive_probabilities(_host(out.logits), self._manifest.labels, self._manifest.calibration)
        sets = self._manifest.conformal.get("finding")
        possible = np.ones(probability.shape, np.bool_) if sets is None else sets.sets(probability)
        alone = possible.sum(axis=1) == 1
        embedding, maps, novelty = _host(out.embedding), _host(out.cam), _host(out.novelty)
        results = []
        for i in range(len(images)):
            foreign, ambiguous = bool(novelty[i] > 1), sets is not None and not alone[i]
            results.append(
                Encoded(
                    embedding[i],
                    probability[i, :PROBABILITIES],
                    tuple(self._manifest.labels),
                    FOREIGN if foreign else 0,
                    (Reason.OUT_OF_DISTRIBUTION,) if foreign else (Reason.AMBIGUOUS,) if ambiguous else (),
                    heat_map=heat(maps[i]),
                    possible=tuple(possible[i].tolist()),
                    certain=tuple((possible[i] & alone[i]).tolist()),
                    model=self.digest,
                    version=self.version,
                )
            )
        return results


@dataclass(frozen=True, slots=True)
class Models:
    """All models of a worker, on one device."""

    vitals: VitalsModel
    notes: NotesModel
    imaging: ImagingModel
    fusion: FusionModel
    versions: dict[str, str]

    @classmethod
    def of(cls, bundle: Bundle, device: torch.device) -> Models:
        """Wrap a loaded bundle."""
        return cls(
            VitalsModel(bundle, device),
            NotesModel(bundle, device),
            ImagingModel(bundle, device),
            FusionModel(bundle, device),
            bundle.versions,
        )


def choose_device(name: str) -> torch.device:
    """The device of a setting: `auto` takes CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _host(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().numpy()


def _band(probability: Floats, thresholds: Thresholds | None) -> list[str | None]:
    medium, high = (thresholds.medium, thresholds.high) if thresholds else (0.1, 0.3)
    index = (probability >= medium).astype(np.intp) + (probability >= high)
    names: list[str | None] = _BANDS[np.where(np.isnan(probability), -1, index)].tolist()
    return names
