"""Figures as tables: the same on the screen and in evaluation.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

_HEADLINE: Final = {
    "auroc": "AUROC (95 %)", "auprc": "AUPRC (95 %)", "brier": "Brier (95 %)", "ece": "ECE (95 %)",
    "event_1": "event 1 (95 %)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table.

    Attributes:
        title: Above it.
        columns: Their heads; the first names the row.
        rows: As many cells each as there are columns, the last ones may be left out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def on_screen(self) -> Group:
        """For a rich console."""
        table = Table()
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return Group(Text(self.title, style="bold"), table, "")

    def markdown(self) -> str:
        """As a pipe table under a heading."""
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] + ["---:"] * (len(self.columns) - 1))]
        return "\n".join([*lines, *(_line([*row, *[""] * (len(self.columns) - len(row))]) for row in self.rows), ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def cell(value: Any) -> str:
    """A figure: `0.8123 (0.7900 to 0.8300)` with its interval, `-` where it is not defined."""
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        parts = [cell(one) for one in value]
        return f"{parts[0]} ({parts[1]} to {parts[2]})" if len(parts) == 3 else ", ".join(parts)
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {cell(one)}" for key, one in value.items())
    return str(value)


def of_questions(found: Mapping[str, Mapping[str, Any]]) -> Iterator[Sheet]:
    """Tables of yes-or-no questions: those with a row a label, then what stands beside each.

    Args:
        found: Name to what `models.evaluation.figures.figures` gave.
    """
    if not found:
        return
    keys = ("rows", "patients", "positives", *_HEADLINE)
    columns = ("label", "rows", "patients", "positive", *_HEADLINE.values())
    yield Sheet("The model", columns, [[name, *(cell(one[key]) for key in keys)] for name, one in found.items()])
    yield from _bands(found)
    yield from _extras(found)
    for name, one in found.items():
        if one["baselines"]:
            columns = ("score", *(_HEADLINE[key] for key in ("auroc", "auprc")), "model ahead by (AUROC)")
            rows = [["model", cell(one["auroc"]), cell(one["auprc"]), ""]]
            keys = ("auroc", "auprc", "auroc_ahead")
            rows += [[who, *(cell(each[key]) for key in keys)] for who, each in one["baselines"].items()]
            yield Sheet(f"{name}: beside simple scores", columns, rows)
        for stratum, groups in one["subgroups"].items():
            if groups:
                yield from _nested(f"{name} by {stratum}", groups)
        yield from _mappings(name, {key: value for key, value in one["extra"].items() if isinstance(value, Mapping)})


def _bands(found: Mapping[str, Mapping[str, Any]]) -> Iterator[Sheet]:
    """What acting from each band on would mean."""
    rows = [(name, band, each) for name, one in found.items() for band, each in one["bands"].items()]
    if rows:
        columns = ("label", "band", *rows[0][2])
        yield Sheet(
            "Flagged from each band on", columns, [[name, band, *map(cell, one.values())] for name, band, one in rows]
        )


def _extras(found: Mapping[str, Mapping[str, Any]]) -> Iterator[Sheet]:
    """Further plain figures: one table for labels that have the same."""
    by: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, one in found.items():
        plain = {key: value for key, value in one["extra"].items() if not isinstance(value, Mapping)}
        by.setdefault(tuple(plain), {})[name] = plain
    for keys, rows in by.items():
        if keys:
            cells = [[name, *map(cell, plain.values())] for name, plain in rows.items()]
            yield Sheet("Further figures (95 %)", ("label", *keys), cells)


def of_summary(name: str, figures: Mapping[str, Any]) -> Iterator[Sheet]:
    """Tables of free figures.

    Args:
        name: Of the whole.
        figures: By name, each a number, [value, lower, upper], or a mapping of such or of mappings of such. Mappings
            with the same keys are rows of one table.
    """
    plain = [[key, cell(value)] for key, value in figures.items() if not isinstance(value, Mapping)]
    if plain:
        yield Sheet(name, ("figure", "value (95 %)"), plain)
    yield from _mappings(name, {key: value for key, value in figures.items() if isinstance(value, Mapping)})


def _mappings(name: str, figures: Mapping[str, Mapping[str, Any]]) -> Iterator[Sheet]:
    alike: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for key, value in figures.items():
        deep = any(isinstance(each, Mapping) for each in value.values())
        alike.setdefault((key,) if deep else tuple(value), {})[key] = value
    for group in alike.values():
        if len(group) > 1:
            yield from _nested(name, group)
        else:
            (key, value), *_ = group.items()
            yield from _nested(f"{name}: {key}", value) if value else ()


def _nested(title: str, rows: Mapping[str, Any]) -> Iterator[Sheet]:
    """A mapping of mappings has a column for each inner key."""
    if all(isinstance(row, Mapping) for row in rows.values()):
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        cells = [[name, *(cell(row[key]) if key in row else "" for key in columns)] for name, row in rows.items()]
        yield Sheet(title, ("", *columns), cells)
    else:
        yield Sheet(title, ("", "value (95 %)"), [[name, cell(value)] for name, value in rows.items()])
