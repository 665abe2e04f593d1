"""One `wardstream train`: a run folder, the trainers in turn, and what is written of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from models.training.cards.card import ABOUT
from models.weights import Manifest, save
from workers.cli.describe import describe
from workers.cli.training import run_folder
from workers.cli.training.job import Job, Made
from workers.cli.training.told import Told, told


@dataclass(frozen=True, slots=True)
class Request:
    """The command line.

    Attributes:
        data: Folder of data sets.
        runs: Gets the run folder.
        out: Gets the artefacts in its place, one folder a model.
        models: Artefacts to build on.
        epochs: None for the plan's own number.
        seed: Of everything.
        device: Where vitals and imaging are trained.
        encoder: A pretrained encoder for notes; None: the one that is installed.
    """

    data: Path
    runs: Path
    out: Path | None
    models: Path | None
    epochs: int | None
    seed: int
    device: str = "cpu"
    encoder: Path | None = None


def run(name: str, trainers: Mapping[str, Callable[[Job], Made]], request: Request, console: Console) -> Path:
    """Train one model or several.

    Args:
        name: Of the run.
        trainers: By model, in order. One alone has the run folder to itself; several have a folder each in it.
        request: The command line.
        console: Gets progress and figures.

    Returns:
        The run folder.

    Raises:
        DatasetError: A set cannot be read. The folder of a model that did not begin is taken away again.
        WeightsError: What it builds on cannot be loaded.
    """
    root = run_folder.create(request.runs, name, datetime.now(UTC))
    alone = len(trainers) == 1
    built_here = request.out if request.out is not None and (request.out.is_dir() or not alone) else None
    base = request.models or built_here or (None if alone else root)
    for model, trainer in trainers.items():
        folder = root if alone else root / model
        folder.mkdir(exist_ok=True)
        artefact = request.out / model if request.out else folder
        try:
            with told(console, folder / run_folder.LOG) as say:
                say.line(f"{model}: reading {request.data}")
                job = Job(
                    request.data, base, request.epochs, request.seed, say.tell, say.line, request.device,
                    request.encoder,
                )  # fmt: skip
                _train(trainer, job, folder, artefact, say)
        except Exception:
            if not say.began:
                shutil.rmtree(folder)
                if not alone and not any(root.iterdir()):
                    root.rmdir()
            raise
    return root


def _train(trainer: Callable[[Job], Made], job: Job, folder: Path, artefact: Path, say: Told) -> None:
    started = datetime.now(UTC)
    try:
        with say.progress():
            made = trainer(job)
    except BaseException as error:  # Ctrl-C too: whoever finds the folder should know how it ended
        say.keep(f"{type(error).__name__}: {error}")
        raise
    files = run_folder.data_files(job.data, made.files)
    written = _write_artefact(artefact, made, {name: one.sha256 for name, one in files.items()})
    run_folder.write_config(folder, job, made, files, started)
    run_folder.write_metrics(folder, written)
    say.line(f"{written.name} {written.version} in {artefact}")
    say.figures(written.metrics)
    run_folder.write_history(folder, made.trained)


def _write_artefact(folder: Path, made: Made, data_files: Mapping[str, str]) -> Manifest:
    manifest = made.trained.manifest
    data = made.data or ABOUT[manifest.name].data
    about = {"data": data, "data_files": dict(data_files), "built_on": dict(made.built_on)}
    written = save(folder, made.trained.state, manifest.model_copy(update=about), made.beside)
    describe(folder, written)
    return written
