"""Reliability as a picture: what was predicted against what came about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def draw(file: Path, name: str, points: Sequence[dict[str, Any]]) -> None:
    """Write a PNG.

    Args:
        file: Where.
        name: Of the label.
        points: As `models.evaluation.figures.reliability` gives them; a bar is the interval of the observed share.
    """
    from matplotlib.figure import Figure

    predicted, observed, low, high = (
        np.array([point[key] for point in points]) for key in ("predicted", "observed", "low", "high")
    )
    bars = np.maximum([observed - low, high - observed], 0)
    top = max(predicted.max(), high.max()) * 1.05 or 1.0
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    axes.errorbar(predicted, observed, yerr=bars, marker="o", linewidth=1, capsize=2)
    axes.set(title=f"{name}: reliability, bins of equal size", xlabel="predicted", ylabel="observed")
    figure.savefig(file, dpi=120)
