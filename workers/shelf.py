"""Versions of models in a running worker: loaded off the event loop, then taken from one batch to the next.

Control names a version, a candidate for a share of the patients, or a candidate that only scores along. Until a
version is loaded, and where it cannot be, the one before it stays in use and every result says so
(`workers.standing`). What a batch uses follows from its snapshot of control and from what was loaded when it began, so
that a change lies between batches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import structlog
import torch

from models.bundle import ARTEFACTS, Bundle, load_bundle, versions, with_parts
from models.weights import WeightsError, read_manifest
from topics.control_settings import Choice
from workers.arms import Suite
from workers.context import COLUMN_COUNT, EMBEDDING, HIDDEN, blank
from workers.control import Control
from workers.inference import Models
from workers.judge import Judge
from workers.standing import Named, Standing, wanted

log = structlog.get_logger(__name__)


class Shelf:
    """The suites of models of one worker; see `workers.arms.Suites`.

    Args:
        bundle: What the worker started with.
        folder: The operator's models; None for the shipped ones.
        device: Where models run.
    """

    def __init__(self, bundle: Bundle, folder: Path | None, device: torch.device) -> None:
        self._bundle, self._folder, self._device = bundle, folder, device
        self._judge = _judge(bundle)
        self._absent: frozenset[Named] = frozenset()
        self._standing = Standing(bundle, self._suite, {}, {})
        self.base: Final = self._standing.base

    @property
    def absent(self) -> frozenset[Named]:
        """Versions that control asks for and that could not be loaded."""
        return self._absent

    def standing(self) -> Standing:
        """What is loaded now; it does not change."""
        return self._standing

    def load(self, control: Control) -> None:
        """Load what control asks for, and forget what it no longer does. Takes seconds: not for the event loop."""
        before = self._standing
        asked, failed = set(wanted(control)), set()
        kept = asked.union(*before.last.values())
        loaded = {named: bundle for named, bundle in before.loaded.items() if named in kept}
        for name, version in sorted(asked - loaded.keys()):
            if self._bundle.versions.get(name) == version:
                continue
            try:
                loaded[name, version] = self._read(name, version)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the one in use goes on
                failed.add((name, version))
                if (name, version) not in self._absent:
                    advice = str(error) if isinstance(error, WeightsError) else type(error).__name__
                    log.warning("model_version_unavailable", model=name, version=version, advice=advice)
        there = Standing(self._bundle, self._suite, loaded, {}, before)
        last = {name: choice for name in control.switches if (choice := _last(name, control, before, there))}
        after = Standing(self._bundle, self._suite, loaded, last, there)
        after.live(control)  # made here, not by the first batch
        after.shadow(control)
        self._standing, self._absent = after, frozenset(failed)

    def _read(self, name: str, version: str) -> Bundle:
        """The worker's own bundle with another version of one model.

        Raises:
            WeightsError: There is none, it is damaged, was never trained, or does not go with the rest.
        """
        made = with_parts(self._bundle, {name: load_bundle(self._place(name, version), self._device)})
        _try(self._suite(made, misfit=False))
        log.info("model_version_loaded", model=name, version=version)
        return made

    def _suite(self, bundle: Bundle, misfit: bool) -> Suite:
        judge = self._judge if bundle.ranker is self._bundle.ranker else _judge(bundle)
        return Suite(Models.of(bundle, self._device), judge, without_fusion=misfit)

    def _place(self, name: str, version: str) -> Path:
        """Where a version lies."""
        places = [] if self._folder is None else versions(self._folder, name)
        damaged: WeightsError | None = None
        for place in (*places, ARTEFACTS / name):
            try:
                manifest = read_manifest(place)
            except WeightsError as error:  # another version may be whole
                damaged = error if place.name == version else damaged
                continue
            if (manifest.name, manifest.version) == (name, version):
                if not manifest.trained:
                    raise WeightsError(f"{name} {version} was never trained: its results mean nothing")
                return place
        where = self._folder or "the shipped models: set WARDSTREAM_MODELS_DIR"
        raise damaged or WeightsError(f"there is no {name} {version} in {where}")


def _try(suite: Suite) -> None:
    """Run each model once: what does not fit the others must show before a patient needs it.

    Raises:
        WeightsError: Shapes do not fit; or whatever a model raises.
    """
    models = suite.models
    vitals = models.vitals
    if vitals.hidden > HIDDEN:
        raise WeightsError(f"its state of {vitals.hidden} does not fit a context: {HIDDEN} at most")
    columns, static = np.full((1, COLUMN_COUNT), 80.0, np.float32), np.full((1, 3), np.nan, np.float32)
    vitals.explain(np.zeros((1, vitals.hidden), np.float32), columns, columns, columns, static)
    suite.judge.assess(blank(1), models, Control())
    for encoded in (models.notes.encode(["try"]), models.imaging.encode(np.zeros((1, 1, 224, 224), np.float32))):
        if encoded[0].embedding.shape != (EMBEDDING,):
            raise WeightsError(f"its embedding does not fit a context: {EMBEDDING} floats")


def _judge(bundle: Bundle) -> Judge:
    return Judge(bundle.ranker.catalogue, bundle.ranker)


def _last(name: str, control: Control, before: Standing, there: Standing) -> Choice:
    """What of a model stays in use until the version that control asks for is there; nothing where it asks for none."""
    asked = control.switches[name].to_use
    if not asked:
        return ()
    return asked if there.there(asked) else before.last.get(name, ())
