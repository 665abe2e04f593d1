"""`wardstream evaluate`: judge a model on a folder of data sets.

Prints tables, and writes them as JSON with a picture of each label's reliability. What is read for each model is in
`workers.cli.evaluating`; how a figure is made is decided in `models.evaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from workers.cli import shared
from workers.cli.errors import UserError
from workers.cli.evaluating.case import Case, Part

if TYPE_CHECKING:
    from models.evaluation.figures import Question, Summary


class Judged(StrEnum):
    """What can be evaluated."""

    vitals = "vitals"
    imaging = "imaging"
    notes = "notes"


def _judges() -> dict[Judged, Callable[[Case], Iterator[Question | Summary]]]:
    from workers.cli.evaluating.imaging import imaging
    from workers.cli.evaluating.notes import notes
    from workers.cli.evaluating.vitals import vitals

    return {Judged.vitals: vitals, Judged.imaging: imaging, Judged.notes: notes}


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
    from models.evaluation.figures import Summary, figures
    from workers.datasets.folder import data_folder

    torch.set_num_threads(threads)
    bundle = load_bundle(models)
    results: dict[str, Any] = {}
    for one in _judges()[model](Case(bundle, data_folder(data), part)):
        if isinstance(one, Summary):
            results[one.name] = dict(one.figures)
            shared.out.print(one.name, markup=False)
            shared.out.print_json(data=results[one.name])
            continue
        results[one.name] = figures(one)
        _show(one.name, results[one.name])
    if not results:
        raise UserError(f"the folder holds no labelled records for {model.value}: see --help")
    if out is not None:
        _save(out, bundle.versions[model.value], part, results)


def _save(out: Path, version: str, part: Part, results: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    written = {"version": version, "part": part.value, "labels": results}
    (out / "evaluation.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    for name, found in results.items():
        if "reliability" not in found:
            continue
        _draw(out / f"{name.replace('/', '-').replace(' ', '-')}.png", name, found)
    shared.err.print(f"written to {out}", markup=False)
