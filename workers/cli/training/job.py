"""What a training is asked for, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.training.outcome import Progress, Trained


@dataclass(frozen=True, slots=True)
class Job:
    """One training as asked for on the command line.

    Attributes:
        data: Folder of data sets.
        models: Folder of the artefacts that this one builds on; what it lacks comes from the shipped ones, as all do
            when it is None.
        epochs: Passes over the data, or what the model has in their place; None for the plan's own number.
        seed: Of weights, order and augmentation.
        tell: Told of progress.
        say: Told, in a line, what else people should know.
        device: Where vitals and imaging are trained, as torch names it; the others take minutes on a CPU.
        encoder: Folder of a pretrained encoder that notes learn word vectors from; None: the one that is installed.
    """

    data: Path
    models: Path | None
    epochs: int | None
    seed: int
    tell: Progress
    say: Callable[[str], None]
    device: str = "cpu"
    encoder: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it.

    Attributes:
        trained: The network.
        plan: The dataclass that says how it was trained.
        files: Data files that were read, by name below the data folder.
        beside: Files that belong to the artefact beside weights and manifest: name to content.
        built_on: Versions of the models that this one builds on, by name.
        data: For the card, in place of the sets that a model of this kind usually learns from.
    """

    trained: Trained
    plan: Any
    files: tuple[str, ...]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    built_on: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
