"""Threads that models run in: one a name, so that a modality's work keeps its order and never blocks another's.

Also the eyes of the watchdog: how long the oldest running call has been at it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


class Threads:
    """One worker thread a name.

    Args:
        names: Thread names, such as modalities.
    """

    def __init__(self, *names: str) -> None:
        self._pools = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in names}
        self._running: dict[str, float] = {}

    async def run(self, name: str, work: Callable[[], R]) -> R:
        """Run `work` in the thread `name`, after what was asked of it before."""
        return await asyncio.get_running_loop().run_in_executor(self._pools[name], self._timed, name, work)

    def longest(self) -> tuple[str, float]:
        """Name and seconds of the call that has been running longest."""
        running = list(self._running.items())
        if not running:
            return "", 0.0
        name, since = min(running, key=lambda item: item[1])
        return name, time.monotonic() - since

    def close(self) -> None:
        """Let the threads end; does not wait for a call that hangs."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, name: str, work: Callable[[], R]) -> R:
        self._running[name] = time.monotonic()
        try:
            return work()
        finally:
            del self._running[name]
