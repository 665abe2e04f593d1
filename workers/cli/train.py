"""`wardstream train`: make the model artefacts from the public data sets.

Reads the sets, shows progress, writes weights, manifest and card; how a network is trained is decided in
`models.training`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.training.fusion import Hours, Pool
    from models.training.outcome import Trained
    from models.training.split import Part
    from models.weights import Manifest

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


def _write(out: Path, trained: Trained) -> Manifest:
    """Save weights, manifest and card, and print the card's figures."""
    from models.training import card, ranker_card
    from models.weights import save

    name = trained.manifest.name
    data = ranker_card.DATA if name == Model.ranker else card.ABOUT[name].data
    folder = out / name
    written = save(folder, trained.state, trained.manifest.model_copy(update={"data": data}))
    text = ranker_card.card(written) if name == Model.ranker else card.card(written)
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    console.print(f"{folder}: {written.name} {written.version}")
    console.print_json(data=written.metrics)
    return written


def _vitals(data: Path, out: Path, epochs: int | None, seed: int) -> None:
    from models.training.vitals import VitalsPlan, train_vitals
    from workers.datasets import physionet2012, physionet2019

    plan = VitalsPlan(seed=seed) if epochs is None else VitalsPlan(epochs=epochs, seed=seed)
    with _progress() as tell:
        _write(out, train_vitals(list(physionet2019.stays(data)), list(physionet2012.stays(data)), plan, tell))


def _pixels(jpegs: list[bytes]) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    from models.imaging import SIDE

    def one(jpeg: bytes) -> NDArray[np.uint8]:
        grey = Image.open(io.BytesIO(jpeg)).convert("L")
        return np.asarray(grey if grey.size == (SIDE, SIDE) else grey.resize((SIDE, SIDE)))

    return np.stack([one(jpeg) for jpeg in jpegs])


def films(data: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Every film (N, 224, 224), its class number and whose it is."""
    import numpy as np

    from models.imaging import LABELS
    from workers.datasets import kermany

    films = list(kermany.images(data))
    label = np.array([LABELS.index(film.label) for film in films])
    return _pixels([film.jpeg for film in films]), label, [film.patient_id for film in films]


def _imaging(data: Path, out: Path, epochs: int | None, seed: int) -> None:
    from models.training.imaging import ImagingPlan, train_imaging
    from workers.datasets import kermany

    plan = ImagingPlan(seed=seed) if epochs is None else ImagingPlan(epochs=epochs, seed=seed)
    foreign = _pixels(list(kermany.adult_images(data))) if (data / kermany.NIH_FILE).is_file() else None
    with _progress() as tell:
        _write(out, train_imaging(*films(data), plan, foreign=foreign, progress=tell))


def _notes(data: Path, out: Path, epochs: int | None, seed: int) -> None:
    from models.tokens import FILE
    from models.training.notes import NotesPlan, train_notes
    from workers.datasets import mtsamples

    plan = NotesPlan(seed=seed) if epochs is None else NotesPlan(epochs=epochs, seed=seed)
    notes = list(mtsamples.notes(data))
    with _progress() as tell:
        trained, tokenizer = train_notes(
            [note.text for note in notes], [note.specialties for note in notes], [note.note_id for note in notes],
            plan, tell,
        )  # fmt: skip
    _write(out, trained)
    tokenizer.save(out / "notes" / FILE)


def _pools(data: Path, out: Path) -> tuple[dict[Part, Pool], dict[Part, Pool], dict[Part, Hours]]:
    """What fusion is trained on: results of the three networks just trained (or shipped)."""
    import numpy as np

    from models.bundle import load_bundle
    from models.training import imaging, notes
    from models.training.fusion import ACUTE_NOTES, Hours, Pool
    from models.training.split import rows_of
    from models.training.vitals import score_part
    from workers.datasets import mtsamples, physionet2019

    bundle = load_bundle(out)
    texts = list(mtsamples.notes(data))
    embedded = notes.encode(bundle.notes, bundle.tokenizer, [note.text for note in texts]).embedding.numpy()
    acute = np.array([not ACUTE_NOTES.isdisjoint(note.specialties) for note in texts])
    of_notes = {part: Pool(embedded[rows], acute[rows]) for part, rows in rows_of([n.note_id for n in texts]).items()}
    pixels, label, patient = films(data)
    seen = imaging.encode(bundle.imaging, pixels).embedding.numpy()
    of_images = {part: Pool(seen[rows], label[rows] > 0) for part, rows in rows_of(patient).items()}
    stays = list(physionet2019.stays(data))
    by = bundle.manifests["vitals"].calibration["sepsis_6h"]
    hours: dict[Part, Hours] = {}
    for part in of_images:
        scores = score_part(bundle.vitals, stays, "sepsis", part)
        hours[part] = Hours((scores.logit / by.temperature + by.bias).astype(np.float32), scores.label, scores.patient)
    return of_notes, of_images, hours


def _fusion(data: Path, out: Path, epochs: int | None, seed: int) -> None:
    from models.training.fusion import FusionPlan, train_fusion

    plan = FusionPlan(seed=seed) if epochs is None else replace(FusionPlan(seed=seed), steps=epochs)
    of_notes, of_images, hours = _pools(data, out)
    _write(out, train_fusion(hours, of_notes, of_images, plan))


def _ranker(data: Path, out: Path, epochs: int | None, seed: int) -> None:
    from models.training.ranker import RankerPlan, train_ranker
    from workers.datasets import physionet2019
    from workers.datasets.folder import DatasetError

    plan = RankerPlan(seed=seed) if epochs is None else RankerPlan(iterations=epochs, seed=seed)
    stays = list(physionet2019.stays(data))
    with _progress() as tell:
        try:
            trained = train_ranker(stays, plan, tell)
        except ValueError as error:
            raise DatasetError(f"{physionet2019.FILE}: {error}") from error
    _write(out, trained)


_TRAINERS = {
    Model.vitals: _vitals,
    Model.notes: _notes,
    Model.imaging: _imaging,
    Model.ranker: _ranker,  # before fusion, which loads everything in OUT
    Model.fusion: _fusion,
}


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
    from workers.datasets.folder import DatasetError, data_folder

    torch.set_num_threads(threads)
    try:
        folder = data_folder(data)
        for one in _TRAINERS if model is Model.all else (model,):
            _TRAINERS[one](folder, out, epochs, seed)
    except (DatasetError, WeightsError, OSError) as error:
        console.print(f"wardstream train: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
