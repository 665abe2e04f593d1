"""`wardstream evaluate`: judge a model on a folder of data sets.

Prints tables, and writes them as JSON with a picture of each label's reliability. How a figure is made is decided in
`models.training.evaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from workers.cli import shared
from workers.cli.errors import UserError

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.training.evaluation import Question


class Judged(StrEnum):
    """What can be evaluated."""

    vitals = "vitals"
    imaging = "imaging"
    notes = "notes"


class Part(StrEnum):
    """Which records."""

    all = "all"
    test = "test"


def _keep(part: Part, identifier: str) -> bool:
    from models.training.split import part_of

    return part is Part.all or part_of(identifier) == "test"


def _vitals(bundle: Bundle, data: Path, part: Part) -> Iterable[Question]:
    from models.training.evaluation import vitals_question
    from workers.datasets import physionet2012, physionet2019

    sets = (("sepsis_6h", "sepsis", physionet2019, False), ("mortality", "mortality", physionet2012, True))
    for label, name, source, last_only in sets:
        if (data / (source.FILE if source is physionet2019 else source.EVENTS)).is_file():
            stays = [stay for stay in source.stays(data) if _keep(part, f"{name}/{stay.patient_id}")]
            yield vitals_question(bundle, stays, label, last_only=last_only)


def _imaging(bundle: Bundle, data: Path, part: Part) -> Iterable[Question]:
    import numpy as np

    from models.training.evaluation import imaging_questions
    from workers.cli.train import films

    pixels, label, patient = films(data)
    rows = np.array([i for i, name in enumerate(patient) if _keep(part, name)])
    return imaging_questions(bundle, pixels[rows], label[rows], [patient[i] for i in rows])


def _notes(bundle: Bundle, data: Path, part: Part) -> Iterable[Question]:
    from models.training.evaluation import notes_questions
    from workers.datasets import mtsamples

    kept = [note for note in mtsamples.notes(data) if _keep(part, note.note_id)]
    return notes_questions(bundle, [n.text for n in kept], [n.specialties for n in kept], [n.note_id for n in kept])


_QUESTIONS: dict[Judged, Callable[[Bundle, Path, Part], Iterable[Question]]] = {
    Judged.vitals: _vitals,
    Judged.imaging: _imaging,
    Judged.notes: _notes,
}


def _text(value: Any) -> str:
    if isinstance(value, list):
        middle, low, high = ("-" if one is None else f"{one:.4f}" for one in value)
        return f"{middle} ({low} to {high})"
    return "-" if value is None else str(value)


def _show(name: str, found: dict[str, Any]) -> None:
    """The figures of one label as tables."""
    table = Table(title=f"{name}: {found['rows']} rows, {found['patients']} patients, {found['positives']} positive")
    for column in ("score", "AUROC (95 %)", "AUPRC (95 %)", "Brier", "ECE", "event 1"):
        table.add_column(column)
    table.add_row("model", *(_text(found[key]) for key in ("auroc", "auprc", "brier", "ece", "event_1")))
    for baseline, figures in found["baselines"].items():
        table.add_row(baseline, _text(figures["auroc"]), _text(figures["auprc"]))
    shared.out.print(table)
    for stratum, groups in found["subgroups"].items():
        inner = Table(title=f"{name} by {stratum}")
        for column in (stratum, "rows", "AUROC (95 %)", "observed", "predicted"):
            inner.add_column(column)
        for group, figures in groups.items():
            inner.add_row(group, *(_text(figures[key]) for key in ("rows", "auroc", "observed", "predicted")))
        shared.out.print(inner)


def _draw(file: Path, name: str, found: dict[str, Any]) -> None:
    """Reliability: what was predicted against what came about."""
    from matplotlib.figure import Figure

    points = found["reliability"]
    top = max([p["predicted"] for p in points] + [p["observed"] for p in points]) * 1.05
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    axes.plot([p["predicted"] for p in points], [p["observed"] for p in points], marker="o")
    axes.set(title=f"{name}: reliability, bins of equal size", xlabel="predicted", ylabel="observed")
    figure.savefig(file, dpi=120)


def evaluate(
    model: Annotated[Judged, typer.Argument(help="What to judge.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets; WARDSTREAM_DATA, else ../shared/data, when left out.")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of artefacts; the shipped ones when left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Gets evaluation.json and a picture a label.")] = None,
    part: Annotated[
        Part,
        typer.Option(help="all: every record. test: those that `wardstream train` holds back of this folder."),
    ] = Part.all,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Judge MODEL on labelled records: figures with 95 % intervals, baselines, subgroups, reliability.

    The figures of records that the model was trained on say nothing: give it a folder that training never saw, or
    --part test on the folder that it was trained on.
    """
    import torch

    from models.bundle import load_bundle
    from models.training.evaluation import figures
    from workers.datasets.folder import data_folder

    torch.set_num_threads(threads)
    bundle = load_bundle(models)
    results: dict[str, Any] = {}
    for question in _QUESTIONS[model](bundle, data_folder(data), part):
        results[question.name] = figures(question)
        _show(question.name, results[question.name])
    if not results:
        raise UserError(f"the folder holds no labelled records for {model.value}: see --help")
    if out is not None:
        _save(out, bundle.versions[model.value], part, results)


def _save(out: Path, version: str, part: Part, results: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    written = {"version": version, "part": part.value, "labels": results}
    (out / "evaluation.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    for name, found in results.items():
        _draw(out / f"{name.replace('/', '-').replace(' ', '-')}.png", name, found)
    shared.err.print(f"written to {out}", markup=False)
