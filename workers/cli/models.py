"""`wardstream models`: which models a worker would use, what is known of them, and whether their files are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import load_settings, out

app = typer.Typer(no_args_is_help=True, help="The models that a worker uses.")

_Folder = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of artefacts; WARDSTREAM_MODELS_DIR, else the shipped ones, when left out."),
]


def _place(name: str, folder: Path | None) -> Path:
    from models.bundle import NAMES, artefact

    if name not in NAMES:
        raise UserError(f"there is no model {name!r}: choose one of {', '.join(NAMES)}")
    return artefact(folder or load_settings().models_dir, name)


@app.command("list")
def list_models(folder: _Folder = None) -> None:
    """One line a model: version, labels, licence, where its files lie.

    Example:  wardstream models list
    """
    from models.bundle import NAMES
    from models.weights import load

    table = Table()
    for column in ("model", "version", "trained", "labels", "KiB", "licence", "folder"):
        table.add_column(column)
    for name in NAMES:
        place = _place(name, folder)
        _, manifest = load(place)
        size = sum(file.stat().st_size for file in place.iterdir())
        more = f" and {len(manifest.labels) - 3} more" if manifest.labels[3:] else ""
        labels = ", ".join(manifest.labels[:3]) + more
        trained = "yes" if manifest.trained else "NO"
        table.add_row(name, manifest.version, trained, labels or "-", str(size // 1024), manifest.licence, str(place))
    out.print(table)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="vitals, notes, imaging, fusion or ranker.")],
    folder: _Folder = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON, for programs.")] = False,
) -> None:
    """The card of a model: data, split, held-out figures with intervals, calibration, what it is not for.

    Example:  wardstream models show vitals
    """
    from workers.cli.describe import CARD, CARD_JSON

    card = _place(name, folder) / (CARD_JSON if as_json else CARD)
    if not card.is_file():
        raise UserError(f"{card.parent} has no {card.name}: ask whoever trained it, and do not use it until then")
    typer.echo(card.read_text(encoding="utf-8"), nl=False)


@app.command("describe")
def describe_again(
    folder: Annotated[Path, typer.Argument(help="Folder of one artefact, as `wardstream train` wrote it.")],
) -> None:
    """Write the card of an artefact anew, after a change of its texts: CARD.md and card.json, from its manifest.

    Example:  wardstream models describe runs/vitals-20261125T101500Z
    """
    from models.weights import load
    from workers.cli.describe import CARD, CARD_JSON, describe

    _, manifest = load(folder)
    describe(folder, manifest)
    out.print(f"written: {folder / CARD}, {folder / CARD_JSON}", markup=False)


@app.command("verify")
def verify(folder: _Folder = None) -> None:
    """Load every model as a worker would: hashes, shapes, tokenizer, catalogue. Ends with status 1 if one is unfit.

    Example:  wardstream models verify --models /srv/models
    """
    from models.bundle import load_bundle

    bundle = load_bundle(folder or load_settings().models_dir)
    for name, manifest in bundle.manifests.items():
        out.print(f"ok  {name} {manifest.version}  sha256 {manifest.sha256}", markup=False)
        if not manifest.trained:
            raise UserError(f"{name} was never trained: its results mean nothing")
