"""Section `models`: each model's rate in the running worker, as a share of its own rate without one.

The offline rate is what the network itself reaches on ready input, with the worker's batch size and threads: the
ceiling that no pipeline around it can pass. For images, decoding belongs to it, overlapped as the worker does it.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
import torch

from bench.events import images, notes
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.throughput import Throughput
from models.bundle import load_bundle
from models.columns import COLUMNS
from workers.images.pool import DecodePool
from workers.inference import Models, choose_device
from workers.settings import Settings

_FIRST_MS: Final = 1_772_000_000_000  # any time: it decides nothing here
_VITALS_BATCHES: Final = 40


@dataclass(frozen=True, slots=True)
class Offline:
    """Records a second that the networks reach by themselves."""

    vitals: float
    notes: float
    imaging: float
    device: str


def measure_offline(plan: Plan, progress: Progress) -> Offline:
    """The best of some repeats of each."""
    settings = Settings()
    torch.set_num_threads(settings.torch_threads)
    device = choose_device(settings.device)
    models = Models.of(load_bundle(settings.models_dir, device), device)
    progress("vitals network alone")
    vitals = _best(plan.repeats, lambda: _vitals(models, settings.batch_max_records))
    progress("notes network alone")
    texts = [orjson.loads(value)["text"] for _, value in notes(min(plan.note_records, 1024), _FIRST_MS)]
    written = _best(plan.repeats, lambda: _notes(models, texts, settings.batch_max_notes))
    progress("decoding and imaging network alone")
    films = [
        base64.b64decode(orjson.loads(value)["image"]["data"])
        for _, value in images(min(plan.image_records, 96), _FIRST_MS)
    ]
    shown = asyncio.run(_images(models, films, settings, plan.repeats))
    return Offline(vitals, written, shown, str(device))


def section(plan: Plan, offline: Offline, served: dict[str, Throughput]) -> Section:
    """The section `models`."""
    settings = Settings()
    sizes = {
        "vitals": settings.batch_max_records, "notes": settings.batch_max_notes, "imaging": settings.batch_max_images,
    }  # fmt: skip
    rows, figures = [], {}
    for name, found in served.items():
        alone = float(getattr(offline, name))
        share = found.per_second / alone
        rows.append((name, str(sizes[name]), number(alone), number(found.per_second), f"{share:.0%}"))
        figures[name] = {
            "offline_per_s": alone,
            "worker_per_s": found.per_second,
            "share": share,
            "cpu_us": found.cpu_us,
        }
    return Section(
        "models",
        "Models in the worker, against themselves alone",
        ("model", "batch", "alone, records/s", "in the worker, records/s", "share"),
        rows,
        figures | {"device": offline.device},
        [
            (
                f"Alone: best of {plan.repeats}, same batch size, {settings.torch_threads} thread(s), device "
                f"{offline.device}. vitals: explained step and heads; notes: tokenizer and network; imaging: "
                "decoding of 1024 x 1024 JPEG in the decode pool, overlapped with the network."
            ),
            (
                "In the worker: fed with that modality only, until its topic is empty; no content occurs "
                "twice, so the embedding cache never helps."
            ),
        ],
    )


def _best(repeats: int, work: Callable[[], float]) -> float:
    """The best rate; one run before is not counted."""
    work()
    return max(work() for _ in range(repeats))


def _vitals(models: Models, size: int) -> float:
    rng = np.random.default_rng(1)
    columns = len(COLUMNS)
    values = rng.normal(80, 10, (size, columns)).astype(np.float32)
    values[:, 10:] = np.nan
    hidden = rng.normal(0, 0.3, (size, models.vitals.hidden)).astype(np.float32)
    gap = np.full((size, columns), 0.25, np.float32)
    static = np.full((size, 3), 60.0, np.float32)
    start = time.perf_counter()
    for _ in range(_VITALS_BATCHES):
        models.vitals.explain(hidden, values, values, gap, static)
        models.vitals.logits(hidden)
    return size * _VITALS_BATCHES / (time.perf_counter() - start)


def _notes(models: Models, texts: Sequence[str], size: int) -> float:
    start = time.perf_counter()
    for k in range(0, len(texts), size):
        models.notes.encode(texts[k : k + size])
    return len(texts) / (time.perf_counter() - start)


async def _images(models: Models, films: Sequence[bytes], settings: Settings, repeats: int) -> float:
    """Decoding of the next batch runs while the network works on this one."""
    size = settings.batch_max_images
    pool = DecodePool(settings.image_processes, timeout_s=60.0, max_pixels=settings.image_max_pixels)

    async def decoded(k: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        return await asyncio.gather(*(pool.decode(film, "image/jpeg") for film in films[k : k + size]))

    async def once() -> float:
        start = time.perf_counter()
        coming = asyncio.create_task(decoded(0))
        for k in range(0, len(films), size):
            batch = await coming
            if k + size < len(films):
                coming = asyncio.create_task(decoded(k + size))
            await asyncio.to_thread(models.imaging.encode, np.stack(batch))
        return len(films) / (time.perf_counter() - start)

    try:
        await pool.start()
        await once()
        return max([await once() for _ in range(repeats)])
    finally:
        await pool.close()
