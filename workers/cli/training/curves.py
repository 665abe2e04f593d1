"""Curves of a training run as a picture: losses on the left, validation figures on the right, by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(file: Path, title: str, history: Sequence[Mapping[str, float]]) -> None:
    """Write a picture.

    Args:
        file: A PNG.
        title: Above it.
        history: As `Trained.history`; a figure may be missing from some epochs.
    """
    from matplotlib.figure import Figure

    names = dict.fromkeys(name for epoch in history for name in epoch if name != "epoch")
    panels = {
        "loss": [name for name in names if "loss" in name],
        "validation": [name for name in names if "loss" not in name],
    }
    shown = {what: curves for what, curves in panels.items() if curves}
    if not shown:
        return
    figure = Figure(figsize=(5 * len(shown), 4), layout="constrained")
    for axes, (what, curves) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        for name in curves:
            points = [(epoch.get("epoch", at), epoch[name]) for at, epoch in enumerate(history, 1) if name in epoch]
            axes.plot(*zip(*points, strict=True), marker=".", label=name.removeprefix("validation_"))
        axes.set(xlabel="epoch", title=f"{title}: {what}")
        axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)
