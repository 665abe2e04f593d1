"""Reliability as a picture: what was predicted against what came about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw(file: Path, name: str, points: Sequence[dict[str, Any]]) -> None:
    """Write a PNG.

    Args:
        file: Where.
        name: Of the label.
        points: As `models.evaluation.figures.reliability` gives them; the spot grows with the rows of its bin.
    """
    from matplotlib.figure import Figure

    predicted, observed = ([point[key] for point in points] for key in ("predicted", "observed"))
    top = max([*predicted, *observed]) * 1.05 or 1.0
    rows = sum(point["rows"] for point in points)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    axes.plot(predicted, observed, color="C0", linewidth=1)
    axes.scatter(predicted, observed, color="C0", s=[20 + 200 * point["rows"] / rows for point in points])
    axes.set(title=f"{name}: reliability, bins of equal size", xlabel="predicted", ylabel="observed")
    figure.savefig(file, dpi=120)
