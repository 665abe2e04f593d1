"""All networks of one release and the ranker, loaded and ready to infer.

The shipped artefacts lie beside this file; an operator's own folder has the same layout, one folder a model, and
may hold only some of them: what it lacks comes from the shipped ones. It may hold several versions of a model, one
folder each below the model's, and beside them a file that names the one in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from models.clinical.actions import Catalogue
from models.columns import COLUMNS
from models.fusion import FusionConfig, LateFusion
from models.imaging import ImagingConfig, ImagingEncoder
from models.notes import NotesConfig, NotesEncoder
from models.recommend.ranker import Ranker
from models.recommend.recommenders import ACCEPTANCE
from models.tokens import FILE, NoteTokenizer
from models.vitals import VitalsConfig, VitalsEncoder
from models.weights import MANIFEST, Manifest, WeightsError, load, read_manifest

ARTEFACTS: Final = Path(__file__).parent / "artefacts"
NAMES: Final = ("vitals", "notes", "imaging", "fusion", "ranker")
ACTIVE: Final = "ACTIVE"
"""File that names the version in use, in a model's folder that holds several."""

_FACTORS: Final = ("collaborative.history_factors", "collaborative.item_factors", "collaborative.everyone")
"""Tensors of the ranker whose last axis is free: as many factors as were fitted."""

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The networks in `eval()`, without gradients, on one device, and the ranker, which is arrays on the CPU.

    Attributes:
        vitals: One step an event.
        notes: Notes encoder.
        tokenizer: What the notes encoder reads.
        imaging: Imaging encoder.
        fusion: Late fusion.
        ranker: Orders the catalogue's actions; fitted for the shipped catalogue.
        manifests: By name.
    """

    vitals: VitalsEncoder
    notes: NotesEncoder
    tokenizer: NoteTokenizer
    imaging: ImagingEncoder
    fusion: LateFusion
    ranker: Ranker
    manifests: dict[str, Manifest] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, str]:
        """Version by name, as results echo them."""
        return {name: manifest.version for name, manifest in self.manifests.items()}


def with_parts(bundle: Bundle, others: Mapping[str, Bundle]) -> Bundle:
    """The bundle with models, by name, taken from other bundles; the notes network brings its tokenizer."""
    parts: dict[str, Any] = {name: getattr(other, name) for name, other in others.items()}
    if "notes" in others:
        parts["tokenizer"] = others["notes"].tokenizer
    manifests = bundle.manifests | {name: other.manifests[name] for name, other in others.items()}
    return replace(bundle, **parts, manifests=manifests)


def strangers(manifests: Mapping[str, Manifest]) -> list[str]:
    """A line for each model that was trained on results of a version other than the one beside it.

    Embeddings of two trainings have nothing in common: what reads them must be trained with them.
    """
    return [
        f"{name} {one.version} was trained on {other} {version}, and stands beside {manifests[other].version}: "
        f"train {name} again, or use that {other}"
        for name, one in manifests.items()
        for other, version in one.built_on.items()
        if other in manifests and manifests[other].version != version
    ]


def artefact(folder: Path | None, name: str) -> Path:
    """Where the artefact of a model lies that is to be used.

    Args:
        folder: An operator's: the artefact is `folder`/NAME; or, where that holds several versions, the one of them
            that its file ACTIVE names; or `folder` itself, if it is an artefact of this model.
        name: Of the model.

    Returns:
        The artefact's folder, of the shipped ones if `folder` has none for this model.

    Raises:
        WeightsError: ACTIVE names a version that is not there.
    """
    if folder is None:
        return ARTEFACTS / name
    own = folder / name
    if (own / ACTIVE).is_file():
        return _active(own)
    if (own / MANIFEST).is_file():
        return own
    return folder if (folder / MANIFEST).is_file() and read_manifest(folder).name == name else ARTEFACTS / name


def _active(own: Path) -> Path:
    version = (own / ACTIVE).read_text(encoding="utf-8", errors="replace").strip()
    place = own / version
    if version != place.name or not (place / MANIFEST).is_file():
        raise WeightsError(
            f"{own / ACTIVE} names {version[:80]!r}, which is not there: choose with `wardstream models activate`"
        )
    return place


def versions(folder: Path, name: str) -> list[Path]:
    """Every artefact that an operator's folder holds of a model, the one in use or not: by name of folder."""
    own = folder / name
    places = [own, *sorted(own.iterdir())] if own.is_dir() else []
    return [place for place in places if (place / MANIFEST).is_file()]


def build(network: Callable[[], Network], state: dict[str, Tensor], where: Path, device: torch.device | str) -> Network:
    """Put a state into a network and make it ready.

    Raises:
        WeightsError: The state does not fit the network.
    """
    try:
        built = network()
        built.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{where} does not fit this release of wardstream: {reason}") from error
    return built.to(device).eval().requires_grad_(False)


def build_ranker(state: dict[str, Tensor], where: Path) -> Ranker:
    """The ranker of a state, for the shipped catalogue and `models.columns`.

    Raises:
        WeightsError: The state is of another catalogue or of other columns, or not of a ranker.
    """
    try:
        return _ranker(state)
    except (IndexError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{where} does not fit this release of wardstream: {reason}") from error


def _ranker(state: dict[str, Tensor]) -> Ranker:
    catalogue = Catalogue.load()
    wanted = Ranker.unfitted(catalogue, len(COLUMNS)).state_dict()
    if state.keys() - {ACCEPTANCE} != wanted.keys():
        raise ValueError(f"its tensors are {', '.join(sorted(state))}, not {', '.join(sorted(wanted))}")
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite")
    ranker = Ranker.from_state_dict(catalogue, state)  # says so if the catalogue is another
    for name, tensor in state.items():
        if name in (ACCEPTANCE, "weights"):  # checked in the making
            continue
        free = name in _FACTORS and tensor.ndim == wanted[name].ndim
        if tensor.shape[: -1 if free else None] != wanted[name].shape[: -1 if free else None]:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
    return ranker


def load_bundle(folder: Path | None = None, device: torch.device | str = "cpu") -> Bundle:
    """Load every network and the ranker.

    Args:
        folder: An operator's artefacts; None for the shipped ones.
        device: Where they run.

    Returns:
        The bundle.

    Raises:
        WeightsError: An artefact is missing, damaged or made for another release; the message is for the operator.
    """
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"there is no folder {folder}: unset WARDSTREAM_MODELS_DIR to use the shipped models")
    places = {name: artefact(folder, name) for name in NAMES}
    loaded = {name: load(place) for name, place in places.items()}
    states = {name: state for name, (state, _) in loaded.items()}
    config = {name: _tuples(manifest.config) for name, (_, manifest) in loaded.items()}
    try:
        tokenizer = NoteTokenizer.load(places["notes"] / FILE)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{places['notes'] / FILE} cannot be read: copy the whole folder of the model") from error
    if FILE not in loaded["notes"][1].files or len(tokenizer) != config["notes"].get("vocabulary"):
        raise WeightsError(f"{places['notes'] / FILE} is of other weights: copy the whole folder of the model")
    return Bundle(
        vitals=build(
            lambda: VitalsEncoder(VitalsConfig(**config["vitals"])), states["vitals"], places["vitals"], device
        ),
        notes=build(lambda: NotesEncoder(NotesConfig(**config["notes"])), states["notes"], places["notes"], device),
        tokenizer=tokenizer,
        imaging=build(
            lambda: ImagingEncoder(ImagingConfig(**config["imaging"])), states["imaging"], places["imaging"], device
        ),
        fusion=build(lambda: LateFusion(FusionConfig(**config["fusion"])), states["fusion"], places["fusion"], device),
        ranker=build_ranker(states["ranker"], places["ranker"]),
        manifests={name: manifest for name, (_, manifest) in loaded.items()},
    )


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the configurations have tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
