"""The card of an artefact in its two forms: CARD.md for people, card.json for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from models.training.cards import fusion, imaging, notes, ranker, vitals
from models.training.cards.about import COMMON_ANSWERS, DISCLAIMER, About
from models.weights import Manifest

ABOUT: Final[Mapping[str, About]] = {
    "vitals": vitals.ABOUT,
    "notes": notes.ABOUT,
    "imaging": imaging.ABOUT,
    "fusion": fusion.ABOUT,
    "ranker": ranker.ABOUT,
}

_WIDEST: Final = 8
"""Columns of a table; a longer row of figures stands upright."""


@cache
def source_attributes() -> dict[str, Any]:
    """The 31 attributes that United States certification asks of decision support, with their citation."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("source_attributes.json").read_bytes())
    return found


def answers(manifest: Manifest) -> list[dict[str, Any]]:
    """Every source attribute with its answer, in order.

    Raises:
        KeyError: There is nothing to say about a model of this name, or an attribute has no answer.
    """
    about = ABOUT[manifest.name]
    made = {**COMMON_ANSWERS, **_from_figures(about, manifest), **about.answers}
    return [each | {"answer": made[each["n"]]} for each in source_attributes()["attributes"]]


def _from_figures(about: About, manifest: Manifest) -> dict[int, str]:
    headline = "; ".join(
        f"{name}: {', '.join(f'{key} {cell(value)}' for key, value in one.items() if _is_interval(value))}"
        for name, one in manifest.metrics.items()
        if isinstance(one, Mapping) and any(map(_is_interval, one.values()))
    )
    return {
        9: "Not for: " + " ".join(about.limits),
        10: "Results may be wrong, and are worse the less a patient resembles the training data. " + about.limits[0],
        21: f"{headline or 'no figure with an interval'}. All figures: `figures`.",
        22: "Not measured in training; `wardstream evaluate` gives figures by subgroup where age, sex or unit is told.",
    }


def facts(manifest: Manifest) -> dict[str, Any]:
    """card.json of an artefact: what its manifest says as saved, figures included, and what goes with it.

    Raises:
        KeyError: There is nothing to say about a model of this name.
    """
    about = ABOUT[manifest.name]
    plain = manifest.model_dump(mode="json")
    metrics = plain.pop("metrics")
    told = {key: value for key, value in plain.items() if value not in ({}, [], "")}
    return told | {
        "what": about.what,
        "disclaimer": DISCLAIMER,
        "made": about.made,
        "split": about.split,
        "how_to_read_the_figures": about.figures,
        "figures": metrics,
        "how_calibrated": about.calibration,
        "not_for": list(about.limits),
        "source_attributes": {"citation": source_attributes()["citation"], "answers": answers(manifest)},
    }


def markdown(manifest: Manifest) -> str:
    """CARD.md of an artefact, from its manifest as saved.

    Raises:
        KeyError: There is nothing to say about a model of this name.
    """
    about = ABOUT[manifest.name]
    made = [about.made, ""] if about.made else []
    return "\n".join(
        [
            f"# {manifest.name} {manifest.version}", "", about.what, "", DISCLAIMER, "",
            "## Data", "", *(f"- {line}." for line in manifest.data or about.data), "", *made,
            f"Weights: {manifest.licence}. SHA-256 `{manifest.sha256}`.", "",
            "## Split", "", about.split, "",
            "## Held-out figures", "", about.figures, *_tables(manifest.metrics), "",
            "## Calibration", "", about.calibration, "", *_calibration(manifest),
            "## Not for", "", *(f"- {line}" for line in about.limits), "",
            "## Source attributes", "", f"{source_attributes()['citation']}.", "",
            *(f"{each['n']}. **{each['text']}.** {each['answer']}" for each in answers(manifest)), "",
            "Made by `wardstream train`.", "",
        ]
    )  # fmt: skip


def cell(value: object) -> str:
    """A figure in one line: `0.8 (0.7 to 0.9)` for a value with its interval."""
    if _is_interval(value):
        return f"{value[0]} ({value[1]} to {value[2]})"  # type: ignore[index]
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {cell(one)}" for key, one in value.items())
    return ", ".join(map(cell, value)) if isinstance(value, list | tuple) else str(value)


def _is_interval(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(x, float | int | None) for x in value)


def _calibration(manifest: Manifest) -> list[str]:
    """One line for labels that share their numbers."""
    by: dict[str, list[str]] = {}
    for label, one in manifest.calibration.items():
        by.setdefault(f"temperature {one.temperature}, bias {one.bias}", []).append(label)
    lines = [f"- {'all labels' if len(by) == 1 < len(of) else ', '.join(of)}: {how}" for how, of in by.items()]
    return [*lines, ""] if lines else []


def _tables(metrics: Mapping[str, Any]) -> list[str]:
    """One table for neighbours with the same figures, a row each; what has no row of figures follows as a list."""
    rows = {name: one for name, one in metrics.items() if isinstance(one, Mapping)}
    lines = []
    for keys, group in groupby(rows.items(), lambda row: tuple(row[1])):
        columns, members = keys, dict(group)
        if len(members) == 1 and len(keys) > _WIDEST:
            columns, (one,) = tuple(members), members.values()
            members = {key: {"": value} for key, value in one.items()}
        lines += ["", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        lines += [f"| {name} | {' | '.join(map(cell, one.values()))} |" for name, one in members.items()]
    rest = [f"- `{name}`: {cell(value)}" for name, value in metrics.items() if name not in rows]
    return [*lines, "", *rest] if rest else lines
