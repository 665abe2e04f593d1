"""An evaluation as it is written: which model, which records, every figure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.evaluation.coverage import coverage_figures
from models.evaluation.figures import Question, Summary, figures
from models.weights import Manifest
from workers.cli.evaluating.case import Case, Drawing
from workers.cli.evaluating.reliability import draw
from workers.cli.evaluating.sheets import Sheet, of_questions, of_summary


@dataclass(slots=True)
class Judged:
    """What came of an evaluation.

    Attributes:
        manifest: Of the model.
        part: Of the records: all, or test.
        files: SHA-256 of each file that was read, by name below the data folder.
        labels: Figures of each yes-or-no question, by name.
        summaries: Figures of each summary, by name.
        drawings: Pictures beside those of labels.
        subject: What is judged, where it is more than the model.
    """

    manifest: Manifest
    part: str
    files: Mapping[str, str]
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    drawings: list[Drawing] = field(default_factory=list)
    subject: str = ""

    @property
    def trained_on(self) -> list[str]:
        """Files read that the model was trained on, by content."""
        known = set(self.manifest.data_files.values())
        return [name for name, digest in self.files.items() if digest in known]

    def sheets(self) -> Iterator[Sheet]:
        """Every figure as tables."""
        yield from of_questions(self.labels)
        for name, found in self.summaries.items():
            yield from of_summary(name, found)

    def about(self) -> list[str]:
        """What was judged on which records, a line each."""
        files = (f"{name} (SHA-256 {digest[:12]})" for name, digest in self.files.items())
        lines = [f"model {self.manifest.name} {self.manifest.version}", f"records: {self.part} of {', '.join(files)}"]
        if self.trained_on and self.part == "all":
            lines.append(
                f"WARNING: {self.manifest.name} was trained on {', '.join(self.trained_on)}: figures of records that a "
                "model has seen say nothing; judge the held-out ones with --part test"
            )
        return lines

    def write(self, out: Path) -> None:
        """Write evaluation.json, evaluation.md, a picture of each label's reliability, and what else is drawn."""
        out.mkdir(parents=True, exist_ok=True)
        pictures = {name: f"{slug(name)}.png" for name in self.labels}
        content = {
            "subject": self.subject or self.manifest.name,
            "model": self.manifest.name,
            "version": self.manifest.version,
            "sha256": self.manifest.sha256,
            "part": self.part,
            "files": dict(self.files),
            "trained_on": self.trained_on,
            "labels": self.labels,
            "summaries": self.summaries,
        }
        (out / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (out / "evaluation.md").write_text(self._markdown(pictures), encoding="utf-8")
        for name, file in pictures.items():
            draw(out / file, name, self.labels[name]["reliability"])
        for drawing in self.drawings:
            drawing.draw(out / drawing.file)

    def _markdown(self, pictures: Mapping[str, str]) -> str:
        model = f"{self.manifest.name} {self.manifest.version}"
        lines = [f"# Evaluation of {self.subject or model}", ""]
        lines += [f"- {line}" for line in self.about()]
        lines += ["- value (95 % interval from a bootstrap over patients)", ""]
        lines += [sheet.markdown() for sheet in self.sheets()]
        if pictures:
            lines += [
                "### Reliability",
                "",
                "Predicted against observed share (bar: 95 % interval), in bins of equal size.",
                "",
            ]
            lines += [f"![{name}]({file})" for name, file in pictures.items()]
        for drawing in self.drawings:
            lines += [f"### {drawing.title}", "", f"![{drawing.title}]({drawing.file})", ""]
        return "\n".join([*lines, ""])


def slug(name: str) -> str:
    """A name as a file can have it."""
    return re.sub(r"\W+", "-", name).strip("-") or "label"


def digests(data: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of the files that are there."""
    found = {}
    for name in names:
        if (data / name).is_file():
            with (data / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def judge(questions: Iterable[Question | Summary | Drawing], case: Case, into: Judged) -> None:
    """Put every question and keep its figures. One without records is left out."""
    for one in questions:
        if isinstance(one, Summary):
            into.summaries[one.name] = dict(one.figures)
        elif isinstance(one, Drawing):
            into.drawings.append(one)
        elif len(one.label):
            case.say(f"{one.name}: {len(one.label)} rows, intervals")
            sets = into.manifest.conformal.get(one.name)
            coverage = coverage_figures(sets, one.label, one.probability, one.patient)
            asked = replace(one, extra={**one.extra, **coverage})
            into.labels[one.name] = figures(asked, thresholds=_thresholds(into.manifest, one.name))


def _thresholds(manifest: Manifest, label: str) -> dict[str, float]:
    """Where the bands of a label begin; whatever is asked of a model with one label is about that."""
    only = next(iter(manifest.thresholds.values())) if len(manifest.thresholds) == 1 else None
    found = manifest.thresholds.get(label, only)
    return {"medium": found.medium, "high": found.high} if found else {}
