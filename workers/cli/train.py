"""`wardstream train`: make the model artefacts from the public data sets.

Shows progress, writes weights, manifest and card. What is read for each model is in `workers.cli.training`; how a
network is trained is decided in `models.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from models.weights import Manifest
    from workers.cli.training.job import Job, Made

app = typer.Typer(help="Train the models on the public data sets.")
console = Console(stderr=True)


class Model(StrEnum):
    """What can be trained."""

    vitals = "vitals"
    notes = "notes"
    imaging = "imaging"
    fusion = "fusion"
    ranker = "ranker"
    all = "all"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; elsewhere a line at each tenth."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)
            if not console.is_terminal and done * 10 // total > (done - 1) * 10 // total:
                console.print(f"{what}: {done} of {total} steps")

        yield tell


def _write(out: Path, made: Made) -> Manifest:
    """Save weights, manifest and card, and print the card's figures."""
    from models.training.cards.card import ABOUT
    from models.weights import save
    from workers.cli.describe import describe

    trained = made.trained
    folder = out / trained.manifest.name
    data = ABOUT[trained.manifest.name].data
    written = save(folder, trained.state, trained.manifest.model_copy(update={"data": data}), made.beside)
    describe(folder, written)
    console.print(f"{folder}: {written.name} {written.version}")
    console.print_json(data=written.metrics)
    return written


def _trainers() -> dict[Model, Callable[[Job], Made]]:
    """In the order in which `all` goes: fusion loads the others."""
    from workers.cli.training.fusion import fusion
    from workers.cli.training.imaging import imaging
    from workers.cli.training.notes import notes
    from workers.cli.training.ranker import ranker
    from workers.cli.training.vitals import vitals

    return {
        Model.vitals: vitals, Model.notes: notes, Model.imaging: imaging, Model.ranker: ranker, Model.fusion: fusion,
    }  # fmt: skip


@app.command()
def train(
    model: Annotated[Model, typer.Argument(help="What to train; fusion builds on the other networks in OUT.")],
    out: Annotated[Path, typer.Option(help="Gets one folder a model: weights, manifest, card.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets; WARDSTREAM_DATA, else ../shared/data, when left out.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data (steps for fusion, iterations for ranker).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
) -> None:
    """Train MODEL and write its artefact, with held-out figures and card, to OUT."""
    import torch

    from models.weights import WeightsError
    from workers.cli.training.job import Job
    from workers.datasets.folder import DatasetError, data_folder

    torch.set_num_threads(threads)
    try:
        folder = data_folder(data)
        trainers = _trainers()
        for one in trainers if model is Model.all else (model,):
            with _progress() as tell:
                made = trainers[one](Job(folder, out, epochs, seed, tell))
            _write(out, made)
    except (DatasetError, WeightsError, OSError) as error:
        console.print(f"wardstream train: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
