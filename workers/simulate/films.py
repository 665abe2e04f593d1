"""Chest films drawn by the program: shapes that stand for lungs, heart, bones and opacities, marked as drawn.

Decides pixels alone. Layout, greys and fineness are about those of a child's film seen from the front, so that the
imaging network has something ordinary to look at: sizes and greys were adjusted until it took most of them for films
like those of training, and dense ones for pneumonia. Nothing is copied from a film. The picture says DRAWN in its
corner, so that nobody takes it for a radiograph; a model's finding on it means that the way of an image works, and
nothing about medicine.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIDE: Final = 288
"""Pixels of each side. A film stays well below the 256 KiB that an event may carry inline."""

Grid = npt.NDArray[np.floating[Any]]


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
    chest = _chest(rng)
    film = _bones_and_tissue(chest, rng)
    for mirrored in {"right": (1,), "left": (-1,), "both": (1, -1)}[side]:
        film += _opacities(chest, mirrored, opacity, rng)
    film += _cloud(rng, 1.12) * (0.1 + chest.body) * (0.022 + 0.006 * chest.lungs) + rng.normal(0, 0.0018, film.shape)
    grey = (np.clip(film, 0, 1) * 255).astype(np.uint8)
    return _labelled(Image.fromarray(grey))


@dataclass(frozen=True, slots=True)
class _Chest:
    """Where things are; every grid is (SIDE, SIDE).

    Attributes:
        out: Distance from the midline, of the side, > 0 on the picture's left: the patient's right.
        y: From the top, of the side.
        wall: Distance from the midline at which the lungs end.
        body: 1 in the body .. 0 beside it.
        thorax: 1 within the ribs .. 0.
        lungs: 1 in a lung .. 0.
        belly: 1 below the diaphragm .. 0.
    """

    out: Grid
    y: Grid
    wall: Grid
    body: Grid
    thorax: Grid
    lungs: Grid
    belly: Grid


def _chest(rng: np.random.Generator) -> _Chest:
    """Lay a chest out, a little askew and of its own size."""
    across, down, lean, size = rng.uniform(-1, 1, 4)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    bend = 0.006 * _cloud(rng, 2.5)
    out = (0.5 + 0.02 * across - x + 0.04 * lean * (y - 0.5)) / (1 + 0.06 * size) + bend
    y = (y - 0.5 - 0.02 * down) / (1 + 0.06 * size) + 0.5 + bend.T
    far = np.abs(out)
    wall = 0.39 * np.clip((y - 0.17) / 0.63, 1e-3, 1.2) ** 0.45
    heart = np.where(out > 0, 0.02, 0.11 + 0.03 * size) * np.exp(-(((y - 0.64) / 0.15) ** 2))
    dome = np.where(out > 0, 0.715, 0.745) + 1.6 * (far - 0.19) ** 2
    belly = _step(y - dome, 0.012)
    lungs = _step(wall - far, 0.0023) * _step(far - 0.06 - heart, 0.0023) * (1 - belly)
    shoulder = 0.03 + 0.25 * np.clip(far - 0.14, 0, None) + 0.5 * np.clip(0.16 - far, 0, 0.03)
    neck = _step(0.12 - far, 0.012)
    body = _step(0.46 - far, 0.012) * np.maximum(_step(y - shoulder, 0.012), neck)
    thorax = _step(wall + 0.022 - far, 0.01)
    return _Chest(*(np.asarray(one, dtype=np.float32) for one in (out, y, wall, body, thorax, lungs, belly)))


def _bones_and_tissue(chest: _Chest, rng: np.random.Generator) -> Grid:
    """Brightness 0 .. 1 of a chest with clear lungs."""
    far = np.abs(chest.out)
    spine = np.exp(-((far / 0.05) ** 4)) * (1 + 0.25 * np.sin(chest.y * 2 * np.pi / 0.052))
    middle = np.exp(-((far / 0.11) ** 2))
    tissue = 0.185 + 0.127 * chest.thorax + 0.089 * middle + 0.014 * spine + 0.109 * chest.belly * chest.thorax
    lungs = chest.lungs * (0.247 - 0.151 * np.exp(-(((far - 0.1) / 0.06) ** 2)))
    ribs = _ribs(chest, rng) * chest.thorax * (1 - 0.7 * middle) * (1 - 0.8 * chest.belly)
    collar = np.exp(-(((chest.y - 0.2 + 0.3 * (far - 0.04) - 0.25 * far**2) / 0.013) ** 4)) * _step(0.3 - far, 0.02)
    film = 0.02 + chest.body * (tissue - lungs + ribs + 0.1 * collar * _step(far - 0.04, 0.01))
    return np.asarray(film * rng.uniform(1.15, 1.25), dtype=np.float32)


def _ribs(chest: _Chest, rng: np.random.Generator) -> Grid:
    """Bands with bright rims: behind, nearly level and falling outwards; in front, fainter and falling inwards."""
    gap, start, far = rng.uniform(0.096, 0.11), rng.uniform(0, 0.07), np.abs(chest.out)
    behind = _bands(chest.y - start + 0.065 * far - 2.17 * far**2, gap, 0.153)
    front = _bands(chest.y - start + 0.18 * far + 0.2 * far**2, 0.66 * gap, 0.33)
    edge = (far / (chest.wall + 0.02)) ** 6
    return np.asarray((0.016 + 0.318 * edge) * behind + 0.072 * front, dtype=np.float32)


def _bands(height: Grid, gap: float, share: float) -> Grid:
    """1 at the rims of bands that are `share` of every `gap` wide, a little less between them, else 0."""
    place = np.abs((height / gap) % 1 - 0.5) / share
    return np.asarray(_step(1 - place, 0.165) * (0.85 + 0.15 * place**2), dtype=np.float32)


def _opacities(chest: _Chest, mirrored: int, opacity: float, rng: np.random.Generator) -> Grid:
    """Haze over both lungs, and soft bright patches in the lower part of one."""
    total = np.zeros_like(chest.y)
    for _ in range(round(5 * opacity)):
        at_out, at_y = mirrored * (0.2 + rng.uniform(-0.08, 0.08)), 0.6 + rng.uniform(-0.14, 0.1)
        size = rng.uniform(0.035, 0.065)
        total += 0.135 * opacity * np.exp(-(((chest.out - at_out) ** 2 + (chest.y - at_y) ** 2) / size**2))
    return np.asarray((np.minimum(total, 0.2) + 0.064 * opacity) * chest.lungs, dtype=np.float32)


def _cloud(rng: np.random.Generator, steepness: float) -> Grid:
    """(SIDE, SIDE) noise of mean 0 and spread 1 whose amplitude falls with frequency to the power of `steepness`."""
    across, down = np.fft.rfftfreq(SIDE, 1 / SIDE), np.fft.fftfreq(SIDE, 1 / SIDE)[:, None]
    fall = np.maximum(np.hypot(across, down), 1) ** -steepness
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * fall, (SIDE, SIDE))
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _step(distance: Grid, soft: float) -> Grid:
    """0 .. 1 as `distance` goes from well below 0 to well above; `soft` is how far that takes."""
    return np.asarray(0.5 + 0.5 * np.tanh(distance / (2 * soft)), dtype=np.float32)


def _labelled(image: Image.Image) -> bytes:
    """Burn the label in and encode."""
    ImageDraw.Draw(image).text((6, 5), "DRAWN", fill=255, font=ImageFont.load_default())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
