"""The record of one training: what was asked, what was read, how it went, what came of it."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.training.outcome import Trained
from models.weights import Manifest
from workers import __version__
from workers.cli.training.curves import draw
from workers.cli.training.job import Job, Made

LOG = "log.txt"
_LIBRARIES = ("torch", "numpy", "safetensors", "tokenizers")


def create(runs: Path, name: str, started: datetime) -> Path:
    """A new folder `runs`/NAME-TIME, never one that was there before."""
    first = runs / f"{name}-{started:%Y%m%dT%H%M%SZ}"
    runs.mkdir(parents=True, exist_ok=True)
    for folder in (first, *(first.with_name(f"{first.name}-{n}") for n in range(2, 1000))):
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{runs} is full of runs of this second")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was read.

    Attributes:
        sha256: Of its content.
        size_bytes: Of it.
    """

    sha256: str
    size_bytes: int


def data_files(data: Path, names: Iterable[str]) -> dict[str, DataFile]:
    """Hash and size of files below the data folder, by name."""
    found = {}
    for name in names:
        with (data / name).open("rb") as file:
            found[name] = DataFile(hashlib.file_digest(file, "sha256").hexdigest(), (data / name).stat().st_size)
    return found


def write_config(folder: Path, job: Job, made: Made, files: Mapping[str, DataFile], started: datetime) -> None:
    """config.json: all that it takes to make the same weights again."""
    import torch

    libraries = {name: version(name) for name in _LIBRARIES}
    _write(
        folder / "config.json",
        {
            "model": made.trained.manifest.name,
            "command": shlex.join(["wardstream", *sys.argv[1:]]),
            "started": started.isoformat(),
            "seed": job.seed,
            "plan": asdict(made.plan),
            "threads": torch.get_num_threads(),
            "versions": {"wardstream": __version__, "python": platform.python_version(), **libraries},
            "machine": {"system": platform.system(), "processor": platform.machine()},
            "data_files": {name: asdict(one) for name, one in files.items()},
            "built_on": dict(made.built_on),
        },
    )


def write_history(folder: Path, trained: Trained) -> None:
    """history.json and curves.png; neither of a model that has no epochs."""
    if trained.history:
        _write(folder / "history.json", [dict(epoch) for epoch in trained.history])
        draw(folder / "curves.png", trained.manifest.name, trained.history)


def write_metrics(folder: Path, written: Manifest) -> None:
    """metrics.json: the held-out figures, as the manifest and the card have them."""
    _write(folder / "metrics.json", {"version": written.version, "metrics": written.metrics})


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
