"""The artefact of a network: a folder with weights.safetensors, manifest.json and what else the network needs.

The manifest says what the weights are and how to read their outputs, and carries the SHA-256 of every other file:
files that are not the ones the manifest speaks of are refused, so that a result never names a version it was not made
by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from models.calibration import Calibration
from models.conformal import Conformal

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"

_PLAIN = r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$"
"""Versions and names of files, which become parts of paths."""


class WeightsError(Exception):
    """An artefact cannot be used; the message says which and what to do. The worker must not start with it."""


class Thresholds(BaseModel):
    """Calibrated probabilities at which a risk's band begins.

    Attributes:
        medium: From here on the band is medium.
        high: From here on it is high.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    medium: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class Manifest(BaseModel):
    """What a set of weights is.

    Attributes:
        name: vitals, notes, imaging, fusion or ranker.
        version: As results echo it: release, "+", the first eight digits of the weights' SHA-256.
        sha256: Of weights.safetensors; `save` fills it in.
        files: SHA-256 of each file beside the weights that the network needs, by name; `save` fills it in.
        trained: False for random weights, whose outputs mean nothing.
        config: Arguments that build the network.
        input: What goes in: columns or size, units, preparation.
        labels: Names of the outputs, in order.
        horizon_h: Hours that each risk looks ahead; None where it has no horizon.
        thresholds: Bands by label.
        calibration: Logit to probability by label.
        conformal: Prediction sets: by label whether it holds (no, yes); for imaging of all findings, as `finding`.
        licence: Of the weights.
        data: Sets they were trained on, with licence and citation.
        data_files: SHA-256 of each file of them, by name below the data folder.
        built_on: Version of each model whose results it was trained on, by name; only those go with it.
        metrics: Held-out figures of the training run.
        notes: What a user must know beside them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field("1.0.0", pattern=_PLAIN)
    sha256: str = ""
    files: dict[Annotated[str, Field(pattern=_PLAIN)], str] = Field(default_factory=dict)
    trained: bool
    config: dict[str, Any] = Field(default_factory=dict)
    input: dict[str, Any] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    horizon_h: dict[str, float | None] = Field(default_factory=dict)
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    conformal: dict[str, Conformal] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    data: tuple[str, ...] = ()
    data_files: dict[str, str] = Field(default_factory=dict)
    built_on: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    notes: str = ""


def save(
    folder: Path, state: Mapping[str, Tensor], manifest: Manifest, beside: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write an artefact.

    Args:
        folder: Made if need be; an artefact there is replaced.
        state: Tensors by name.
        manifest: Its `sha256`, `files` and the suffix of its `version` are filled in.
        beside: Further files that the network needs, like a tokenizer: name to content.

    Returns:
        The manifest as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    digest = hashlib.sha256(blob).hexdigest()
    release = manifest.version.split("+", 1)[0]
    files = {name: hashlib.sha256(content).hexdigest() for name, content in (beside or {}).items()}
    of = {"sha256": digest, "files": files, "version": f"{release}+{digest[:8]}"}
    written = manifest.model_copy(update=of)
    for name, content in (beside or {}).items():
        (folder / name).write_bytes(content)
    (folder / WEIGHTS).write_bytes(blob)
    (folder / MANIFEST).write_text(json.dumps(written.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    return written


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, without a look at the files that it speaks of.

    Raises:
        WeightsError: It is missing or cannot be read.
    """
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise _missing(folder, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise WeightsError(f"{folder / MANIFEST} cannot be read: {where}: {first['msg']}") from error


def _missing(folder: Path, error: FileNotFoundError) -> WeightsError:
    return WeightsError(f"{folder} is no model artefact: {Path(str(error.filename)).name} is missing")


def load(folder: Path) -> tuple[dict[str, Tensor], Manifest]:
    """Read an artefact.

    Args:
        folder: As `save` wrote it.

    Returns:
        Tensors by name, on the CPU, and the manifest.

    Raises:
        WeightsError: A file is missing or unreadable, or not the one of the manifest.
    """
    manifest = read_manifest(folder)
    try:
        blob = _whole(folder / WEIGHTS, manifest.sha256)
        for name, digest in manifest.files.items():
            _whole(folder / name, digest)
    except FileNotFoundError as error:
        raise _missing(folder, error) from error
    try:
        return safetensors.torch.load(blob), manifest
    except SafetensorError as error:
        raise WeightsError(f"{folder / WEIGHTS} is no safetensors file: {error}") from error


def _whole(file: Path, wanted: str) -> bytes:
    """The content of a file, if it is the one that the manifest speaks of."""
    content = file.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != wanted:
        raise WeightsError(
            f"{file} has SHA-256 {digest[:12]}..., its manifest says {wanted[:12]}...: "
            "copy all files from the same training run"
        )
    return content
