"""What an evaluation is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.bundle import Bundle


class Part(StrEnum):
    """Which records."""

    all = "all"
    test = "test"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that belongs to an evaluation as a whole.

    Attributes:
        file: Its name in the output folder.
        title: What it shows.
        draw: Writes it to a path.
    """

    file: str
    title: str
    draw: Callable[[Path], None]


def silent(_what: str) -> None:
    """For whoever does not look on."""


@dataclass(frozen=True, slots=True)
class Case:
    """One evaluation as asked for on the command line.

    Attributes:
        bundle: Loaded models.
        data: Folder of data sets; any of them may be missing.
        part: Which records of them.
        say: Told what is under way; may be called as often as wanted.
        models: Folder of artefacts that the bundle came from; None for the shipped ones.
        trees: Folder of data sets whose training part boosted trees are grown on, to be judged beside the model.
        baseline: Folder of data sets whose training part simple baselines are fitted to; None: no such baselines.
    """

    bundle: Bundle
    data: Path
    part: Part
    say: Callable[[str], None] = silent
    models: Path | None = None
    trees: Path | None = None
    baseline: Path | None = None

    def keep(self, identifier: str) -> bool:
        """Whether the records of this patient (as named to `models.training.split`) are judged."""
        from models.training.split import part_of

        return self.part is Part.all or part_of(identifier) == "test"

    def has(self, *files: str) -> bool:
        """Whether the data folder holds these files."""
        return all((self.data / file).is_file() for file in files)
