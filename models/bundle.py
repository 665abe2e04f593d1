"""All networks of one release, loaded and ready to infer.

The shipped artefacts lie beside this file; an operator's own folder has the same layout, one folder a network, and
may hold only some of them: what it lacks comes from the shipped ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from models.fusion import FusionConfig, LateFusion
from models.imaging import ImagingConfig, ImagingEncoder
from models.notes import NotesConfig, NotesEncoder
from models.tokens import FILE, NoteTokenizer
from models.vitals import VitalsConfig, VitalsEncoder
from models.weights import MANIFEST, Manifest, WeightsError, load

ARTEFACTS: Final = Path(__file__).parent / "artefacts"
NAMES: Final = ("vitals", "notes", "imaging", "fusion")

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The networks in `eval()`, without gradients, on one device.

    Attributes:
        vitals: One step an event.
        notes: Notes encoder.
        tokenizer: What the notes encoder reads.
        imaging: Imaging encoder.
        fusion: Late fusion.
        manifests: By name.
    """

    vitals: VitalsEncoder
    notes: NotesEncoder
    tokenizer: NoteTokenizer
    imaging: ImagingEncoder
    fusion: LateFusion
    manifests: dict[str, Manifest] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, str]:
        """Version by name, as results echo them."""
        return {name: manifest.version for name, manifest in self.manifests.items()}


def artefact(folder: Path | None, name: str) -> Path:
    """Where a network's artefact lies: in `folder` if it is there, else among the shipped ones."""
    own = folder / name if folder is not None else None
    return own if own is not None and (own / MANIFEST).is_file() else ARTEFACTS / name


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


def load_bundle(folder: Path | None = None, device: torch.device | str = "cpu") -> Bundle:
    """Load every network.

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
    if len(tokenizer) != config["notes"].get("vocabulary"):
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
        manifests={name: manifest for name, (_, manifest) in loaded.items()},
    )


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the configurations have tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
