"""`wardstream project`: recommendations as CDS Hooks cards and FHIR R4 resources.

Decides how recommendations are read from a file or pipe, and that each projection is one line. What a projection holds
is decided in `topics.projections`. What it prints is patient data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import orjson
import typer

from workers.cli import shared
from workers.cli.errors import UserError

if TYPE_CHECKING:
    from topics.projections.fhir import Systems
    from topics.recommendation import RecommendationEvent

    Projection = Callable[[RecommendationEvent], list[dict[str, Any]]]

DEAD_LETTER: Final = "dead_letter"
"""The member that `wardstream offline` prints instead of a recommendation."""


class Kind(StrEnum):
    """What a recommendation can become."""

    cds_hooks = "cds-hooks"
    risk_assessment = "risk-assessment"
    detected_issue = "detected-issue"
    communication_request = "communication-request"


def project(
    kind: Annotated[Kind, typer.Argument(help="What each recommendation becomes.", metavar="KIND")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE|-", help="Recommendations as JSON or JSON lines; - is standard input.")
    ] = Path("-"),
    *,
    patient_system: Annotated[
        str | None, typer.Option(help="FHIR: URI of the system that patient_id is an identifier of.")
    ] = None,
    encounter_system: Annotated[
        str | None, typer.Option(help="FHIR: URI of the system that encounter_id is an identifier of.")
    ] = None,
) -> None:
    """Print recommendations as KIND: cds-hooks, risk-assessment, detected-issue or communication-request.

    One JSON object a line; nothing for a recommendation that gives none, as an alert that should page nobody.
    risk-assessment also prints what becomes of the results that a correction supersedes.

    Example:  wardstream tail --json | wardstream project cds-hooks

    A file:   wardstream project risk-assessment topics/examples/recommendation.json
    """
    from topics.projections.fhir import Systems

    projection = _projection(kind, Systems(patient_system, encounter_system))
    read = printed = 0
    for event in recommendations(file):
        read += 1
        for made in projection(event):
            typer.echo(orjson.dumps(made))
            printed += 1
    if not printed:
        shared.err.print(f"{read} recommendations read: none gives {kind.value}", markup=False, soft_wrap=True)


def _projection(kind: Kind, systems: Systems) -> Projection:
    """Every line that a recommendation gives, in the order in which they are to be written."""
    from topics.projections.cds_hooks import card
    from topics.projections.communication_request import communication_request
    from topics.projections.detected_issue import detected_issue
    from topics.projections.risk_assessment import risk_assessment, superseded

    every: dict[Kind, Callable[[RecommendationEvent], list[dict[str, Any] | None]]] = {
        Kind.cds_hooks: lambda event: [card(event)],
        Kind.risk_assessment: lambda event: [*superseded(event, systems), risk_assessment(event, systems)],
        Kind.detected_issue: lambda event: [detected_issue(event, systems)],
        Kind.communication_request: lambda event: [communication_request(event, systems)],
    }
    return lambda event: [made for made in every[kind](event) if made is not None]


def recommendations(file: Path) -> Iterator[RecommendationEvent]:
    """The recommendations of a file, or of standard input as they come; dead letters of `offline` are left out.

    Raises:
        UserError: It cannot be read, or holds something else. Values are not repeated.
    """
    name = "standard input" if str(file) == "-" else str(file)
    try:
        stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    with stream:
        for number, value in _values(stream, name):
            if not (isinstance(value, dict) and DEAD_LETTER in value):
                yield _recommendation(value, f"{name}, line {number}")


def _values(stream: BinaryIO, name: str) -> Iterator[tuple[int, Any]]:
    """Each line's JSON with its number; or, where the first line is no JSON by itself, that of the whole."""
    first = True
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if not first:
                raise UserError(f"{name}, line {number}: not JSON") from None
            try:
                value = orjson.loads(line + stream.read())
            except orjson.JSONDecodeError:
                raise UserError(f"{name}: neither JSON nor JSON lines") from None
        first = False
        yield number, value


def _recommendation(value: Any, where: str) -> RecommendationEvent:
    from pydantic import ValidationError

    from topics.projections.reading import read_json

    try:
        return read_json(orjson.dumps(value))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        named = [f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['type']}" for each in problems[:3]]
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{where}: not a recommendation ({'; '.join(named)}{more})") from None
    except ValueError as error:
        raise UserError(f"{where}: not a recommendation of this version ({error})") from None
