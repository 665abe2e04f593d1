"""Other versions of the shipped models: their weights, a little changed."""

from __future__ import annotations

from pathlib import Path

from models.bundle import ARTEFACTS
from models.weights import load, save


def another(folder: Path, name: str, *, by: float = 1e-3, trained: bool = True, built_on: dict | None = None) -> str:
    """Put another version of a shipped model into an operator's folder; its version.

    Args:
        folder: The operator's.
        name: Of the model.
        by: Added to every floating tensor.
        trained: As its manifest says.
        built_on: As its manifest says; as the shipped one where left out.
    """
    state, manifest = load(ARTEFACTS / name)
    changed = {key: value + by if value.is_floating_point() else value for key, value in state.items()}
    more = {"trained": trained, "version": "9.9.9"} | ({} if built_on is None else {"built_on": built_on})
    place = folder / name / "incoming"
    beside = {file: (ARTEFACTS / name / file).read_bytes() for file in manifest.files}
    made = save(place, changed, manifest.model_copy(update=more), beside)
    place.rename(folder / name / made.version)
    return made.version
