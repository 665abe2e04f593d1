"""Chest films drawn by the program: shapes that stand for lungs, heart and opacities, marked as drawn.

Decides pixels alone. The picture says DRAWN in its corner, so that nobody takes it for a radiograph; a model's
finding on it means that the way of an image works, and nothing about medicine.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIDE: Final = 288
"""Pixels of each side. A film stays well below the 256 KiB that an event may carry inline."""

Grid = npt.NDArray[np.float32]


def draw(seed: int, opacity: float, side: str = "right") -> bytes:
    """Draw one film.

    Args:
        seed: Same seed, same film.
        opacity: 0 clear lungs .. 1 dense consolidation.
        side: `left`, `right` or `both`: where the opacities lie.

    Returns:
        A PNG, 8-bit grey, `SIDE` x `SIDE`.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    film = _chest(x, y, rng)
    for centre_x in {"right": (0.31,), "left": (0.69,), "both": (0.31, 0.69)}[side]:
        film += _opacities(x, y, centre_x, opacity, rng)
    film += rng.normal(0, 0.012, film.shape).astype(np.float32)
    grey = (np.clip(film, 0, 1) * 255).astype(np.uint8)
    return _labelled(Image.fromarray(grey))


def _chest(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Soft tissue, two dark lungs, ribs, spine, heart and diaphragm; brightness 0..1."""
    wobble = rng.uniform(-0.015, 0.015, 4)
    body = _ellipse(x, y, 0.5, 0.58, 0.46, 0.62)
    lungs = np.maximum(
        _ellipse(x, y, 0.31 + wobble[0], 0.5 + wobble[1], 0.15, 0.33),
        _ellipse(x, y, 0.69 + wobble[2], 0.5 + wobble[3], 0.145, 0.33),
    )
    ribs = 0.05 * (np.sin((y + 0.35 * (x - 0.5) ** 2) * 62) > 0.55).astype(np.float32)
    spine = np.exp(-(((x - 0.5) / 0.045) ** 2))
    heart = _ellipse(x, y, 0.56, 0.63, 0.14 + rng.uniform(0, 0.025), 0.17)
    diaphragm = 1 / (1 + np.exp(-(y - 0.79 - 0.04 * np.cos((x - 0.3) * 12)) * 60))
    film = 0.06 + 0.62 * body - 0.46 * lungs + ribs * lungs + 0.14 * spine * body
    return np.asarray(film + 0.4 * heart * lungs + 0.3 * diaphragm * lungs, dtype=np.float32)


def _opacities(x: Grid, y: Grid, centre_x: float, opacity: float, rng: np.random.Generator) -> Grid:
    """Soft bright patches in the lower lung."""
    total = np.zeros_like(x)
    for _ in range(round(5 * opacity)):
        at_x, at_y = centre_x + rng.uniform(-0.08, 0.08), 0.62 + rng.uniform(-0.16, 0.1)
        size = rng.uniform(0.04, 0.09)
        total += 0.3 * opacity * np.exp(-(((x - at_x) ** 2 + (y - at_y) ** 2) / size**2))
    return np.minimum(total, 0.5).astype(np.float32)


def _ellipse(x: Grid, y: Grid, cx: float, cy: float, rx: float, ry: float) -> Grid:
    """1 inside, 0 outside, with a soft edge."""
    radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return np.asarray(1 / (1 + np.exp(np.clip((radius - 1) * 28, -30, 30))), dtype=np.float32)


def _labelled(image: Image.Image) -> bytes:
    """Burn the label in and encode."""
    ImageDraw.Draw(image).text((6, 5), "DRAWN", fill=255, font=ImageFont.load_default())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
