"""`wardstream models`: which versions there are, which a worker uses, what is known of them, whether they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, out

app = typer.Typer(no_args_is_help=True, help="The models that a worker uses.")

_Folder = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of artefacts; WARDSTREAM_MODELS_DIR, else the shipped ones, when left out."),
]


def _known(name: str) -> None:
    from models.bundle import NAMES

    if name not in NAMES:
        raise UserError(f"there is no model {name!r}: choose one of {', '.join(NAMES)}")


def _folder(option: Path | None) -> Path | None:
    """Where to look; None for the shipped models alone."""
    folder = option or load_settings().models_dir
    if folder is not None and not folder.is_dir():
        raise UserError(f"there is no folder {folder}: name one with --models, or leave it out for the shipped models")
    return folder


def _place(name: str, folder: Path | None) -> Path:
    from models.bundle import artefact

    _known(name)
    return artefact(_folder(folder), name)


@app.command("list")
def list_models(folder: _Folder = None) -> None:
    """One line a version: whether it is in use (*), labels, licence, where its files lie.

    Example:  wardstream models list --models /srv/models
    """
    from models.bundle import ARTEFACTS, NAMES, versions

    folder = _folder(folder)
    table = Table()
    for column in ("use", "model", "version", "trained", "labels", "KiB", "licence", "folder"):
        table.add_column(column)
    for name in NAMES:
        used = _used(folder, name)
        own = versions(folder, name) if folder else []
        for place in dict.fromkeys((*own, ARTEFACTS / name, *([used] if used else []))):
            table.add_row("*" if place == used else "", name, *_line(place))
    out.print(table)


def _used(folder: Path | None, name: str) -> Path | None:
    """The artefact in use; None, and a line that says so, where ACTIVE names none. The versions are still shown."""
    from models.bundle import artefact
    from models.weights import WeightsError

    try:
        return artefact(folder, name)
    except WeightsError as error:
        err.print(f"{name}: {error}", markup=False, soft_wrap=True)
        return None


def _line(place: Path) -> tuple[str, ...]:
    from models.weights import WeightsError, load

    try:
        _, manifest = load(place)
    except WeightsError as error:
        return (place.name, "DAMAGED", str(error))
    size = sum(file.stat().st_size for file in place.iterdir() if file.is_file())
    more = f" and {len(manifest.labels) - 3} more" if manifest.labels[3:] else ""
    labels = ", ".join(manifest.labels[:3]) + more
    trained = "yes" if manifest.trained else "NO"
    return (manifest.version, trained, labels or "-", str(size // 1024), manifest.licence, str(place))


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
    """Load every model in use as a worker would: hashes of all files, shapes, tokenizer, catalogue, cards.

    Ends with status 1 if one is unfit.

    Example:  wardstream models verify --models /srv/models
    """
    from models.bundle import NAMES, artefact, load_bundle, strangers
    from workers.cli.registry import check_about

    folder = folder or load_settings().models_dir
    bundle = load_bundle(folder)
    for name in NAMES:
        check_about(artefact(folder, name), name)
        manifest = bundle.manifests[name]
        out.print(f"ok  {name} {manifest.version}  sha256 {manifest.sha256}", markup=False)
    for line in strangers(bundle.manifests):
        out.print(f"note  {line}", markup=False)


@app.command("activate")
def activate(
    name: Annotated[str, typer.Argument(help="vitals, notes, imaging, fusion or ranker.")],
    which: Annotated[
        str, typer.Argument(metavar="VERSION|PATH", help="A version of `models list`, or an artefact's folder.")
    ],
    folder: _Folder = None,
) -> None:
    """Choose the version of a model that workers use, after checking it; it is copied into the folder of artefacts.

    Workers read it when they start. To go back, activate the version before.

    Example:  wardstream models activate vitals runs/vitals-20261125T101500Z --models /srv/models
    """
    from models.bundle import load_bundle, strangers
    from workers.cli import registry

    _known(name)
    folder = folder or load_settings().models_dir
    if folder is None:
        raise UserError("name the folder that your workers use with --models DIR or WARDSTREAM_MODELS_DIR")
    before = registry.in_use(folder, name)
    place = registry.find(folder, name, which)
    manifest = registry.check(place, name)
    registry.activate(folder, place, name)
    out.print(f"{name} {manifest.version} is in use in {folder}; before: {before or 'none that works'}", markup=False)
    out.print("Workers use it from their next start: restart them one at a time.")
    if before not in (None, manifest.version):
        out.print(f"To go back:  wardstream models activate {name} {before} --models {folder}", markup=False)
    for line in strangers(load_bundle(folder).manifests):
        out.print(f"note  {line}", markup=False)
