"""The alert policy as a picture: what must be heard for what is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

Curves = dict[str, list[tuple[str, float, float, float]]]
"""By voice: the threshold as text, alerts told per 100 patient-days, sensitivity, median lead time in hours."""

_MARKERS: Final = "osD^"
_LABELS: Final = ((4, -9), (4, 4), (4, 4), None)
"""Where thresholds stand beside the points of each voice; those of `both` lie too close to one another."""


def draw(file: Path, *, curves: Mapping[str, Curves]) -> None:
    """Write a PNG with a panel for each way of clearing.

    Args:
        file: Where.
        curves: By name of the way.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5 * len(curves), 5), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axes, (name, voices) in zip(panels, curves.items(), strict=True):
        for marker, place, (voice, points) in zip(_MARKERS, _LABELS, voices.items(), strict=True):
            told, found = [point[1] for point in points], [point[2] for point in points]
            axes.plot(told, found, marker=marker, markersize=4, linewidth=1, label=voice)
            for least, x, y, _ in points if place else ():
                axes.annotate(least, (x, y), textcoords="offset points", xytext=place, fontsize=7)
        axes.set(title=name, xlabel="alerts told per 100 patient-days", ylim=(0, 1))
        axes.grid(color="0.9")
        axes.legend(loc="lower right")
    panels[0].set_ylabel("septic stays found at most 48 h before onset")
    figure.savefig(file, dpi=120)
