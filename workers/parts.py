"""What a worker and `wardstream offline` share: models, judge, decider, encoders, built from settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from threadpoolctl import ThreadpoolController

from models.bundle import Bundle, load_bundle
from topics.catalogue import IMAGING, NOTES, RECOMMENDATIONS, full_name
from workers.breaker import Breaker
from workers.clock import now_ms
from workers.decide import Decider
from workers.encoders import Encoder, ImageEncoder, NoteEncoder
from workers.identity import Identity
from workers.images.pool import DecodePool
from workers.images.source import ImageSource
from workers.inference import Models, choose_device
from workers.settings import Settings
from workers.shelf import Shelf
from workers.stores import ContextStore
from workers.threads import Threads


@dataclass(slots=True)
class Parts:
    """The computing parts of one process."""

    decider: Decider
    models: Models
    identity: Identity
    threads: Threads
    encoders: dict[str, Encoder]
    pool: DecodePool
    source: ImageSource
    shelf: Shelf

    async def close(self) -> None:
        """End threads and processes."""
        self.threads.close()
        await self.source.close()
        await self.pool.close()


def build_parts(
    settings: Settings, store: ContextStore, count: Callable[[str, str, int], None], bundle: Bundle | None = None
) -> Parts:
    """Load the models and put the parts together.

    Args:
        settings: Device, folders, limits.
        store: For cached embeddings.
        count: Told cache hits and misses.
        bundle: Models to use instead of the configured ones.

    Raises:
        WeightsError: A model cannot be loaded.
        ValueError: The image allow-list is not well formed.
    """
    torch.set_num_threads(settings.torch_threads)
    # numpy's own BLAS keeps a thread a core spinning between the small products of a batch: two fifths of all CPU time.
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    device = choose_device(settings.device)
    bundle = bundle or load_bundle(settings.models_dir, device)
    shelf = Shelf(bundle, settings.models_dir, device)
    models = shelf.base.models
    decider = Decider(
        shelf.base.judge,
        models,
        run=settings.run,
        output_topic=full_name(settings.topic_prefix, RECOMMENDATIONS),
        expires_ms=int(settings.expires_after_h * 3_600_000),
        now_ms=now_ms,
        suites=shelf,
    )
    identity = Identity(settings.identity_key.get_secret_value())
    threads = Threads("decide", "notes", "imaging")
    source = ImageSource(settings)
    pool = DecodePool(
        settings.image_processes, timeout_s=settings.image_timeout_s, max_pixels=settings.image_max_pixels
    )
    encoders: dict[str, Encoder] = {}
    if "notes" in settings.only:
        encoders[NOTES] = NoteEncoder(shelf, threads, store, identity, count)
    if "imaging" in settings.only:
        encoders[IMAGING] = ImageEncoder(shelf, threads, store, identity, count, source, pool, Breaker())
    return Parts(decider, models, identity, threads, encoders, pool, source, shelf)
