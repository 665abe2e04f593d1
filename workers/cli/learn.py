"""`wardstream learn`: a new version of the ranker from clinicians' answers.

Which answers count and what they were about is decided in `workers.cli.learning`, how a ranker learns from them in
`models.training.answers`. Nothing that is printed or written names a patient.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, require_room, run

if TYPE_CHECKING:
    from models.training.learning import Lesson
    from models.weights import Manifest
    from workers.cli.learning.material import Material

_TOLD_EVERY: Final = 100_000
_MOVED_SHOWN: Final = 12


def learn(
    *,
    base: Annotated[
        str | None,
        typer.Option(
            help="Ranker to start from: a version or a folder. Left out: the one that workers use, which is what "
            "`wardstream control model` promoted, else the active one; or, where that learned from answers, the one "
            "it came from, so that no answer counts twice. Control is not read with --feedback: name here what it "
            "promoted."
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of artefacts; WARDSTREAM_MODELS_DIR, else the shipped ones.")
    ] = None,
    place: Annotated[
        Path | None, typer.Option("--out", help="New folder for the version; runs/ranker-TIME when left out.")
    ] = None,
    feedback: Annotated[Path | None, typer.Option(help="Feedback events as JSON lines, in place of the topic.")] = None,
    recommendations: Annotated[Path | None, typer.Option(help="Recommendations likewise; with --feedback.")] = None,
    vitals: Annotated[Path | None, typer.Option(help="Vitals events likewise, for the readings.")] = None,
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would give, write nothing.")] = False,
) -> None:
    """Make a new version of the ranker from what clinicians answered (patient.feedback), and measure it.

    Accepted actions, and overrides whose reason says whether the action was relevant, move the order within an urgency.
    No model of risk is touched. A fifth of the patients is held out to measure by. Workers go on with the version that
    they use until you activate or promote the new one; the last line, on standard output, is its folder.

    Example:  wardstream learn --out /srv/candidates/ranker-may
    """
    from models.bundle import build_ranker
    from models.training.learning import learn_ranker
    from models.training.split import TooFewError
    from models.weights import load
    from workers.cli.learning.start import promoted_ranker, start_from
    from workers.cli.training import run_folder

    if (feedback is None) != (recommendations is None) or (vitals is not None and feedback is None):
        raise UserError("files come together: --feedback F --recommendations R, and --vitals V if you have them")
    if place is not None:
        _require_new(place)
    elif not dry_run:
        require_room(Path("runs"), "--out runs")
    promoted = run(promoted_ranker(load_settings())) if base is None and feedback is None else None
    start = start_from(base, promoted, models or load_settings().models_dir)
    state, manifest = load(start)
    ranker = build_ranker(state, start)
    material = _material(feedback, recommendations, vitals)
    for line in material.lines():
        err.print(line, markup=False, soft_wrap=True)
    try:
        lesson = learn_ranker(ranker, manifest, material.answers, seed=seed)
    except TooFewError as error:
        raise UserError(str(error)) from None
    _show(lesson, manifest)
    if dry_run:
        err.print("dry run: nothing was written")
        return
    folder = place or run_folder.create(Path("runs"), "ranker", datetime.now(UTC))
    written = _write(folder, lesson, start, manifest)
    _next(written, folder)
    typer.echo(folder)


def _require_new(folder: Path) -> None:
    """Refuse to write over anything, the shipped artefacts above all."""
    from models.bundle import ARTEFACTS

    if folder.resolve().is_relative_to(ARTEFACTS.resolve()):
        raise UserError(f"--out {folder} lies among the shipped models, which nothing may change: name another folder")
    require_room(folder, "--out")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"--out {folder} is not empty: name a new folder")


def _material(feedback: Path | None, recommendations: Path | None, vitals: Path | None) -> Material:
    if feedback is not None and recommendations is not None:
        from workers.cli.learning.files import from_files

        return from_files(feedback, recommendations, vitals, _tell)
    from workers.cli.learning.read_topics import from_topics

    return run(from_topics(load_settings(), _tell))


def _tell(what: str, read: int) -> None:
    if read % _TOLD_EVERY == 0:
        err.print(f"{what}: {read} read", markup=False)


def _show(lesson: Lesson, before: Manifest) -> None:
    """How it did before and after, and what moved most."""
    from rich.table import Table

    from models.training.cards.card import cell
    from models.training.learning import AFTER, BEFORE, GAIN

    metrics: Any = lesson.trained.manifest.metrics
    table = Table("held-out patients", "relevant above not (AUROC)", "within a list and urgency", box=None)
    for title, name in ((before.version, BEFORE), ("new", AFTER), ("difference", GAIN)):
        table.add_row(title, cell(metrics[name]["auroc"]), cell(metrics[name]["above"]))
    err.print(table)
    counted = "answers_learned_from", "answers_held_out", "patients_held_out", "pairs_held_out"
    err.print(", ".join(f"{name.replace('_', ' ')}: {metrics[name]}" for name in counted), markup=False)
    moved = Table("moved", "answers", "relevant", "acceptance before", "after", box=None)
    for action, answers, relevant, old, new in lesson.moved[:_MOVED_SHOWN]:
        moved.add_row(action, str(answers), str(relevant), f"{old:+.3f}", f"{new:+.3f}")
    err.print(moved)
    if len(lesson.moved) > _MOVED_SHOWN:
        err.print(f"and {len(lesson.moved) - _MOVED_SHOWN} more")


def _write(folder: Path, lesson: Lesson, start: Path, before: Manifest) -> Manifest:
    from models.training.cards.card import ABOUT
    from models.weights import save
    from workers.cli.describe import describe

    beside = {name: (start / name).read_bytes() for name in before.files}
    source = "Clinicians' answers to recommendations, from the operator's patient.feedback; they stay with the operator"
    data = (*(line for line in before.data or ABOUT["ranker"].data if line != source), source)
    written = save(folder, lesson.trained.state, lesson.trained.manifest.model_copy(update={"data": data}), beside)
    describe(folder, written)
    metrics = {"version": written.version, "metrics": written.metrics}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return written


def _next(written: Manifest, folder: Path) -> None:
    out_of = f"ranker {written.version} in {folder}"
    err.print(f"{out_of}; it came from {written.config['learned']['from']}", markup=False, soft_wrap=True)
    lines = (
        "Look at its card. For workers from their next start, unless control names a version:",
        f"  wardstream models activate ranker {folder} --models DIR",
        f"For workers that run, once each has it as ranker/{written.version} in its models folder:",
        f'  wardstream control model ranker --version {written.version} --actor WHO --reason "WHY"',
        "(--shadow, or --canary with --share, in place of --version tries it first)",
    )
    for line in lines:
        err.print(line, markup=False, soft_wrap=True)
