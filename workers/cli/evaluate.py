"""`wardstream evaluate`: judge a model on a folder of data sets.

What is read for each model, and how figures become tables, is in `workers.cli.evaluating`; how a figure is made is
decided in `models.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli import shared
from workers.cli.errors import UserError
from workers.cli.evaluating.case import Case, Part

if TYPE_CHECKING:
    from models.evaluation.figures import Question, Summary
    from workers.cli.evaluating.case import Drawing

    Judge = Callable[[Case], Iterator[Question | Summary | Drawing]]


class Model(StrEnum):
    """What can be evaluated."""

    vitals = "vitals"
    imaging = "imaging"
    notes = "notes"
    fusion = "fusion"
    ranker = "ranker"
    policy = "policy"


def _judges() -> dict[Model, tuple[Judge, tuple[str, ...]]]:
    """How each model is judged, and the files that are read for it; it can do with some of them."""
    from workers.cli.evaluating import fusion, imaging, notes, policy, ranker, vitals

    return {
        Model.vitals: (vitals.vitals, vitals.FILES),
        Model.imaging: (imaging.imaging, imaging.FILES),
        Model.notes: (notes.notes, notes.FILES),
        Model.fusion: (fusion.fusion, fusion.FILES),
        Model.ranker: (ranker.ranker, ranker.FILES),
        Model.policy: (policy.policy, policy.FILES),
    }


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line that changes on a terminal; elsewhere a line a step."""
    if not shared.err.is_terminal:
        yield lambda what: shared.err.print(what, markup=False, soft_wrap=True)
        return
    with shared.err.status("reading") as status:
        yield status.update


def evaluate(
    model: Annotated[Model, typer.Argument(help="What to judge.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets; WARDSTREAM_DATA, else ../shared/data, when left out.")
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of artefacts, or of one; WARDSTREAM_MODELS_DIR, else the shipped ones, without it."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Gets evaluation.json, evaluation.md and a picture a label.")] = None,
    part: Annotated[
        Part,
        typer.Option(help="all: every record. test: those that `wardstream train` holds back of this folder."),
    ] = Part.all,
    trees: Annotated[
        Path | None,
        typer.Option(help="vitals: grow boosted trees on the training part of this folder of data sets, as baseline."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="For notes: folder of data sets whose training part TF-IDF with regression is fitted to."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Judge MODEL on labelled records: figures with 95 % intervals, baselines, subgroups, reliability.

    MODEL `policy` replays stays of PhysioNet 2019 through the alert policy: NEWS2 alone, the model alone, both.

    The figures of records that the model was trained on say nothing: give it a folder that training never saw, or
    --part test on the folder that it was trained on.

    Example:  wardstream evaluate vitals --data /srv/labelled --out /tmp/vitals
    """
    import torch

    from models.bundle import artefact, load_bundle
    from workers.cli.evaluating.judged import Judged, digests, judge
    from workers.datasets.folder import data_folder

    torch.set_num_threads(threads)
    folder = data_folder(data)
    if out is not None:
        shared.require_room(out, "--out")
    ask, names = _judges()[model]
    files = digests(folder, names)
    if not files:
        raise UserError(f"{folder} holds no labelled records for {model.value}: it needs one of {', '.join(names)}")
    place = models or shared.load_settings().models_dir
    bundle = load_bundle(place)
    # The policy hears the vitals model, through fusion that adds nothing to vitals alone.
    whole = model is Model.policy
    name = "vitals" if whole else model.value
    if models is not None and not artefact(models, name).is_relative_to(models):
        shared.err.print(f"{models} holds no {name}: the shipped one is judged", markup=False, soft_wrap=True)
    found = Judged(bundle.manifests[name], part.value, files, subject="the alert policy" if whole else "")
    for line in found.about():
        shared.err.print(line, markup=False, soft_wrap=True)
    with _progress() as say:
        beside = [None if one is None else data_folder(one) for one in (trees, baseline)]
        case = Case(bundle, folder, part, say, place, *beside)
        judge(ask(case), case, found)
    if not (found.labels or found.summaries):
        raise UserError(f"{folder} holds no records of the part {part.value} for {model.value}")
    for sheet in found.sheets():
        shared.out.print(sheet.on_screen())
    if out is not None:
        found.write(out)
        shared.err.print(f"written to {out}", markup=False)
