"""Versions of models in an operator's folder: which may be used, and which one is.

A folder holds one folder a model; `activate` gives it one folder a version, and a file ACTIVE that names the one in
use. A version is copied beside and renamed, ACTIVE is written beside and renamed: whoever reads sees the state before
or the one after, also if the machine stops in between.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from models.bundle import ACTIVE, ARTEFACTS, artefact, load_bundle, versions
from models.weights import MANIFEST, WEIGHTS, Manifest, WeightsError, load, read_manifest
from workers.cli.describe import CARD, CARD_JSON
from workers.cli.errors import UserError

_UNDER_WAY = ".incoming-"


def check(place: Path, name: str) -> Manifest:
    """What must hold of an artefact before a worker uses it: whole, fit for this release, trained, with its cards.

    Raises:
        WeightsError: A file is missing or damaged, or does not fit this release.
        UserError: As for `check_about`.
    """
    load(place)
    manifest = check_about(place, name)
    load_bundle(place)  # this one, with the shipped ones for the rest
    return manifest


def check_about(place: Path, name: str) -> Manifest:
    """What must hold beside the files being whole.

    Raises:
        WeightsError: There is no manifest.
        UserError: It is of another model, was never trained, or has no card of its own.
    """
    manifest = read_manifest(place)
    if manifest.name != name:
        raise UserError(f"{place} is a model {manifest.name}, not {name}")
    if not manifest.trained:
        raise UserError(f"{name} {manifest.version} was never trained: its results mean nothing")
    if not manifest.version.endswith(f"+{manifest.sha256[:8]}"):
        raise UserError(f"{place / MANIFEST} calls {manifest.version} what has SHA-256 {manifest.sha256[:8]}...")
    for card in (CARD, CARD_JSON):
        if not (place / card).is_file():
            raise UserError(f"{place} has no {card}: `wardstream models describe {place}` writes it")
        if manifest.sha256 not in (place / card).read_text(encoding="utf-8"):
            raise UserError(f"{place / card} is of other weights: `wardstream models describe {place}` writes it anew")
    return manifest


def find(folder: Path, name: str, wanted: str) -> Path:
    """The artefact that an operator means.

    Args:
        folder: The operator's.
        name: Of the model.
        wanted: A folder with an artefact, or a version that `folder` or the release holds.

    Raises:
        UserError: There is none; the message lists the versions that there are.
    """
    if (Path(wanted) / MANIFEST).is_file():
        return Path(wanted)
    known = {_version(place): place for place in (*versions(folder, name), ARTEFACTS / name)}
    if wanted in known:
        return known[wanted]
    if os.sep in wanted or Path(wanted).exists():
        raise UserError(f"{wanted} is no model artefact: it holds no {MANIFEST}")
    raise UserError(f"there is no {name} {wanted}: choose one of {', '.join(known)}, or name a folder")


def _version(place: Path) -> str:
    try:
        return read_manifest(place).version
    except WeightsError:
        return place.name


def activate(folder: Path, place: Path, name: str) -> Manifest:
    """Make an artefact the one in use, after `check`.

    Args:
        folder: The operator's; made if need be.
        place: The artefact; copied unless it is a version of the folder already.
        name: Of the model.

    Raises:
        WeightsError: The copy is not whole.
        OSError: It cannot be written. What was in use before still is.
    """
    manifest = read_manifest(place)
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    version = own / manifest.version
    if place.resolve() != version.resolve():
        _copy(place, version, manifest)
    _write(own / ACTIVE, manifest.version)
    return manifest


def in_use(folder: Path, name: str) -> str | None:
    """Version of the model that workers take from a folder; None if it cannot be read, and so cannot be used."""
    try:
        return read_manifest(artefact(folder, name)).version
    except WeightsError:
        return None


def _copy(place: Path, version: Path, manifest: Manifest) -> None:
    """Put an artefact where its version belongs. One that is there already, and perhaps damaged, gives way."""
    incoming = Path(tempfile.mkdtemp(prefix=_UNDER_WAY, dir=version.parent))
    try:
        for file in (WEIGHTS, *manifest.files, MANIFEST, CARD, CARD_JSON):
            shutil.copyfile(place / file, incoming / file)
            _flush(incoming / file)
        load(incoming)
        incoming.chmod(0o755)  # workers may run as somebody else
        if version.exists():
            version.rename(incoming.with_name(f"{incoming.name}-before"))
        incoming.rename(version)
        _flush(version.parent)
    finally:
        for left in version.parent.glob(f"{incoming.name}*"):
            shutil.rmtree(left)


def _write(pointer: Path, version: str) -> None:
    beside = pointer.with_name(f"{_UNDER_WAY}{pointer.name}")
    beside.write_text(f"{version}\n", encoding="utf-8")
    _flush(beside)
    beside.replace(pointer)
    _flush(pointer.parent)


def _flush(path: Path) -> None:
    """Onto the disk, so that a power cut leaves no name without its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
