"""Versions of models in a running worker: loaded off the event loop, then taken from one batch to the next.

Control names a version, a candidate for a share of the patients, or a candidate that only scores along. Until a
version is loaded, and where it cannot be, the one before it stays in use and every result says so. What each batch uses
follows from its snapshot of control alone, so that a change lies between batches.

Vitals, fusion and ranker change so. Notes and imaging change at a start, together with the fusion that reads their
embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
import torch

from models.bundle import ARTEFACTS, Bundle, load_bundle, strangers, versions, with_parts
from models.weights import WeightsError, read_manifest
from topics.control_settings import ModelSwitch
from topics.reasons import Reason
from workers.arms import Arm, Suite, in_share
from workers.control import Control
from workers.inference import Models
from workers.judge import Judge

log = structlog.get_logger(__name__)

PROMOTED_WITHIN_S: Final = 10.0
"""Promise: from the broker's acknowledgement of a control record that names a version, which lies whole in the models
folder of the worker, until the worker's batches use it: the bound of control, and what loading takes."""

Named = tuple[str, str]
"""A model's name and version."""


class Shelf:
    """The suites of models of one worker; see `workers.arms.Suites`.

    Args:
        bundle: What the worker started with.
        folder: The operator's models; None for the shipped ones.
        device: Where models run.
    """

    def __init__(self, bundle: Bundle, folder: Path | None, device: torch.device) -> None:
        self._bundle, self._folder, self._device = bundle, folder, device
        self._loaded: dict[Named, Bundle] = {}  # replaced as a whole: other threads read it
        self._last: set[Named] = set()  # live versions that stay in use until what follows them is there
        self._absent: frozenset[Named] = frozenset()
        self._suites: dict[frozenset[Named], Suite] = {}
        self._arms: tuple[Control | None, dict[tuple[str, ...], Arm]] = (None, {})
        self.base: Final = self._suite(frozenset(), {})

    @property
    def absent(self) -> frozenset[Named]:
        """Versions that control asks for and that could not be loaded."""
        return self._absent

    def load(self, control: Control) -> None:
        """Load what control asks for, and forget what it no longer does. Takes seconds: not for the event loop."""
        wanted, failed = set(_wanted(control)), set()
        loaded = {named: bundle for named, bundle in self._loaded.items() if named in wanted | self._last}
        for name, version in sorted(wanted - loaded.keys()):
            if self._bundle.versions.get(name) == version:
                continue
            try:
                loaded[name, version] = load_bundle(self._place(name, version), self._device)
                log.info("model_version_loaded", model=name, version=version)
            except WeightsError as error:
                failed.add((name, version))
                if (name, version) not in self._absent:
                    log.warning("model_version_unavailable", model=name, version=version, advice=str(error))
        self._loaded = loaded
        own = self._bundle.versions
        live = {(name, switch.version) for name, switch in control.switches.items() if switch.version is not None}
        self._last = {
            (name, version)
            for name, version in self._last | live
            if name in control.switches and (name, version) in loaded
            and ((name, version) in live or (name, control.switches[name].version) in failed)
            and own.get(name) != version
        }  # fmt: skip
        self._suites = {key: suite for key, suite in self._suites.items() if key <= loaded.keys()}
        self._absent = frozenset(failed)
        self._arms = (None, {})

    def live(self, control: Control) -> Arm:
        """See Suites."""
        return self._arm((), control)

    def of(self, patient: bytes, control: Control) -> Arm:
        """See Suites."""
        canary = tuple(
            name
            for name, switch in sorted(control.switches.items())
            if switch.canary is not None and in_share(patient, name, switch.share or 0.0)
        )
        return self._arm(canary, control)

    def shadow(self, control: Control) -> tuple[Suite, dict[str, str]] | None:
        """The live suite with the candidates that score along, and their versions; None where there are none."""
        loaded = self._loaded
        candidates = {name: switch.shadow for name, switch in control.switches.items() if switch.shadow is not None}
        there = {name: version for name, version in candidates.items() if self._has((name, version), loaded)}
        if not there:
            return None
        return self._suite(self._key({**self._chosen((), control, loaded), **there}), loaded), there

    def _arm(self, canary: tuple[str, ...], control: Control) -> Arm:
        known, arms = self._arms
        if known is not control:
            arms = {}
            self._arms = (control, arms)
        arm = arms.get(canary)
        if arm is None:
            arm = arms[canary] = self._make(canary, control)
        return arm

    def _make(self, canary: tuple[str, ...], control: Control) -> Arm:
        loaded = self._loaded
        chosen = self._chosen(canary, control, loaded)
        suite = self._suite(self._key(chosen), loaded)
        reasons = []
        if not self._absent.isdisjoint(_asked(canary, control).items()):
            reasons.append(Reason.MODEL_VERSION_UNAVAILABLE)
        if suite.without_fusion:
            reasons.append(Reason.FUSION_MISFIT)
        inside = tuple(name for name in canary if chosen.get(name) == control.switches[name].canary)
        return Arm(suite, canary=inside, reasons=tuple(reasons))

    def _chosen(self, canary: tuple[str, ...], control: Control, loaded: Mapping[Named, Bundle]) -> dict[str, str]:
        """Version by name, of what control asks for and is there; what is not leaves what was in use before."""
        last = dict(self._last)
        found: dict[str, str] = {}
        for name, switch in control.switches.items():
            asked = (switch.canary if name in canary else None, switch.version)
            for version in (*asked, last.get(name) if switch.version is not None else None):
                if version is not None and self._has((name, version), loaded):
                    found[name] = version
                    break
        return found

    def _key(self, chosen: Mapping[str, str]) -> frozenset[Named]:
        own = self._bundle.versions
        return frozenset((name, version) for name, version in chosen.items() if own.get(name) != version)

    def _suite(self, key: frozenset[Named], loaded: Mapping[Named, Bundle]) -> Suite:
        suite = self._suites.get(key)
        if suite is None:
            bundle = with_parts(self._bundle, {name: loaded[name, version] for name, version in key})
            misfit = any(line.startswith("fusion ") for line in strangers(bundle.manifests))
            judge = Judge(bundle.ranker.catalogue, bundle.ranker)
            suite = self._suites[key] = Suite(Models.of(bundle, self._device), judge, without_fusion=misfit)
        return suite

    def _has(self, named: Named, loaded: Mapping[Named, Bundle]) -> bool:
        name, version = named
        return named in loaded or self._bundle.versions.get(name) == version

    def _place(self, name: str, version: str) -> Path:
        """Where a version lies.

        Raises:
            WeightsError: It is not there, or was never trained.
        """
        places = [] if self._folder is None else versions(self._folder, name)
        for place in (*places, ARTEFACTS / name):
            manifest = read_manifest(place)
            if manifest.version == version:
                if not manifest.trained:
                    raise WeightsError(f"{name} {version} was never trained: its results mean nothing")
                return place
        where = self._folder or "the shipped models: set WARDSTREAM_MODELS_DIR"
        raise WeightsError(f"there is no {name} {version} in {where}")


def _asked(canary: tuple[str, ...], control: Control) -> dict[str, str]:
    """Version by name that control asks for."""
    asked = {name: _of(switch, canary=name in canary) for name, switch in control.switches.items()}
    return {name: version for name, version in asked.items() if version is not None}


def _of(switch: ModelSwitch, *, canary: bool) -> str | None:
    return switch.canary if canary else switch.version


def _wanted(control: Control) -> Iterator[Named]:
    for name, switch in control.switches.items():
        for version in (switch.version, switch.canary, switch.shadow):
            if version is not None:
                yield name, version
