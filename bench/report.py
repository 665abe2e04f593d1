"""What a run found, for people (Markdown) and for programs (JSON), with the machine and the versions beside it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import orjson

import workers

RESULTS: Final = Path("bench") / "results"
_VERSIONS: Final = ("torch", "numpy", "aiokafka", "faust-streaming", "redis", "pydantic", "orjson")
BUSY: Final = 0.5  # load average of the machine before the start, above which figures are called noisy


@dataclass(slots=True)
class Section:
    """What one section found.

    Attributes:
        name: As in `--only`.
        title: For people.
        header: Of the table.
        rows: Of the table, as text.
        figures: The same as numbers, and more.
        notes: What a reader must know to read the table rightly.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where, when and with what a run was made."""

    command: str
    broker: str
    began: str
    load_before: float
    machine: dict[str, Any]
    versions: dict[str, str]


def circumstances(command: str, broker: str, load_before: float) -> Circumstances:
    """The circumstances of a run that begins now."""
    versions = {name: metadata.version(name) for name in _VERSIONS}
    versions |= {"wardstream": workers.__version__, "python": platform.python_version(), "commit": _commit()}
    machine = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }
    began = datetime.now(UTC).isoformat(timespec="seconds")
    return Circumstances(command, broker, began, load_before, machine, versions)


def markdown(where: Circumstances, sections: list[Section], seconds: float) -> str:
    """The report as Markdown."""
    machine = where.machine
    lines = [
        "# wardstream bench",
        "",
        f"`{where.command}` on {where.began}, {seconds:.0f} s in all.",
        (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
            f"broker: {where.broker}; Redis: embedded (Valkey)."
        ),
        ", ".join(f"{name} {version}" for name, version in where.versions.items()) + ".",
    ]
    if where.load_before > BUSY:
        lines += [
            "",
            (
                f"**Noisy: the machine had a load of {where.load_before:.1f} before the start. "
                "Figures of a busy machine are not to be quoted.**"
            ),
        ]
    for section in sections:
        lines += ["", f"## {section.title}", "", *table(section)]
        lines += ["", *(f"- {note}" for note in section.notes)] if section.notes else []
    return "\n".join(lines) + "\n"


def table(section: Section) -> list[str]:
    """The table of a section as Markdown; every column but the first is aligned right."""
    widths = [max(len(row[k]) for row in [section.header, *section.rows]) for k in range(len(section.header))]

    def line(cells: tuple[str, ...]) -> str:
        padded = [
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(widths)) + "|"
    return [line(section.header), rule, *(line(row) for row in section.rows)]


def write(folder: Path, where: Circumstances, sections: list[Section], text: str) -> None:
    """Leave `latest.md` and `latest.json` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(text)
    data = {"circumstances": where, "sections": sections}
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    (folder / "latest.json").write_bytes(orjson.dumps(data, option=options))


def number(value: float, digits: int = 3) -> str:
    """A figure with as many digits as it deserves: 12345 -> 12 300, 0.01234 -> 0.0123."""
    if value != value or value in (float("inf"), float("-inf")):
        return "-" if value != value else "never"
    if value == 0:
        return "0"
    places = digits - 1 - int(f"{value:e}".split("e")[1])
    rounded = round(value, places)
    return f"{rounded:,.0f}".replace(",", " ") if places <= 0 else f"{rounded:.{places}f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run([git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
