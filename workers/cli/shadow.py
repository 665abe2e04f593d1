"""`wardstream shadow`: what candidates that score along would change, worker by worker and together."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, out

_COUNTED = (
    ("batches", "batches compared"),
    ("skipped_batches", "batches skipped"),
    ("failed_batches", "batches failed"),
    ("patients", "patients"),
    ("risks_of_both", "risks of both"),
    ("risks_of_one_only", "risks of one only"),
    ("band_differs", "band differs"),
    ("model_alert_differs", "model alert differs"),
    ("lists", "lists of actions"),
    ("same_first_action", "same first action"),
)

_MEANS = (
    ("mean_difference", "mean difference of the risk"),
    ("largest_difference", "largest"),
    ("overlap_of_first_five", "overlap of the first five actions"),
)
_ENCODED = (
    ("batches", "batches compared"),
    ("skipped_batches", "batches skipped"),
    ("failed_batches", "batches failed"),
    ("records", "records"),
    ("same_first_label", "same first label"),
    ("foreign_differs", "foreign or not differs"),
)


def shadow(
    url: Annotated[
        list[str] | None, typer.Option(help="A worker's web address; once for each worker. Default: this machine's.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a worker, for programs.")] = False,
) -> None:
    """Show what candidates in shadow have said beside what is live. They change no result.

    Begin with `wardstream control model NAME --shadow VERSION`; counts are since the candidate began on each worker.

    Example:  wardstream shadow --url http://worker-1:6066 --url http://worker-2:6066
    """
    settings = load_settings()
    places = url or [f"http://{settings.web_host}:{settings.web_port}"]
    found = {place: fetch(place) for place in places}
    if as_json:
        for place, report in found.items():
            typer.echo(orjson.dumps({"url": place, **report}).decode())
        return
    running = {place: report for place, report in found.items() if report["candidates"]}
    for place in found.keys() - running.keys():
        err.print(f"{place}: no candidate in shadow", markup=False)
    if running:
        out.print(table(running))


def fetch(place: str) -> dict[str, Any]:
    """The report of one worker.

    Raises:
        UserError: It does not answer, or is no worker.
    """
    if not place.startswith(("http://", "https://")):
        raise UserError(f"--url is a worker's web address, as in http://worker-1:6066, not {place}")
    try:
        with urllib.request.urlopen(f"{place.rstrip('/')}/shadow", timeout=5) as answer:  # noqa: S310 - checked above
            report: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise UserError(f"{place}/shadow does not answer as a worker does: {type(error).__name__}") from None
    if "candidates" not in report:
        raise UserError(f"{place} is no worker of wardstream")
    return report


def table(found: dict[str, dict[str, Any]]) -> Table:
    """A column a worker."""
    made = Table("since the candidate began", *found, box=None, pad_edge=False)
    names = [", ".join(f"{name} {version}" for name, version in one["candidates"].items()) for one in found.values()]
    made.add_row("candidate", *names)
    if any(one["batches"] or not one["encoders"] for one in found.values()):
        _rows(made, list(found.values()), _COUNTED, _MEANS)
    for name in ("notes", "imaging"):
        some = [one["encoders"].get(name, {}) for one in found.values()]
        if any(some):
            made.add_row(name)
            _rows(made, some, _ENCODED, (("mean_difference", "mean difference of the first label"),))
    return made


def _rows(
    made: Table, reports: list[dict[str, Any]], counted: Iterable[tuple[str, str]], means: Iterable[tuple[str, str]]
) -> None:  # fmt: skip
    for field, words in counted:
        made.add_row(words, *(str(one.get(field, "-")) for one in reports))
    for field, words in means:
        made.add_row(words, *("-" if one.get(field) is None else f"{one[field]:.4f}" for one in reports))
