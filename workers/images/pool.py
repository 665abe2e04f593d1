"""Decodes images in processes of their own, so that a hostile or broken image costs that image and nothing else.

Decoders are C code that reads bytes from outside: they may loop for ever, crash, or take all memory. Each child process
decodes one image at a time; what does not come back within `timeout_s` is killed with its process, and a process
that dies is replaced, so no other image is lost (the executor of the standard library would fail every image in
flight). Children are spawned, not forked: the parent has threads, and a CUDA context that does not survive a fork. They
import this package only, never torch.

A child bounds its own memory and its own time as well: should the parent be killed while a decoder hangs, nothing
stays.
"""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import os
import queue
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from workers.images.decode import DEFAULT_MAX_PIXELS, decode
from workers.images.errors import ImageError

Grey = npt.NDArray[np.float32]

_START_S: Final = 60.0
"""Longest wait for a child to import numpy, Pillow and pydicom, on a busy machine."""

_BASE_BYTES: Final = 512 * 2**20
_BYTES_PER_PIXEL: Final = 32
"""Memory a child may add: stored values, table look-up, float32 and resize copies, with room for libraries' own."""


class Decoder(Protocol):
    """What a child runs for an image; `workers.images.decode.decode` unless a test says otherwise."""

    def __call__(self, data: bytes, media_type: str, *, max_pixels: int) -> Grey:
        """Decodes, or raises `ImageError`."""


class DecodePool:
    """A fixed number of decoding processes, started when first needed.

    Args:
        processes: Images decoded at the same time, >= 1.
        timeout_s: Longest decoding of one image, > 0 s; starting a process is not counted.
        max_pixels: Limit on rows x columns.
        decoder: A function at the top level of a module (children import it by name).
    """

    def __init__(
        self,
        processes: int = 1,
        *,
        timeout_s: float = 10.0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        decoder: Decoder = decode,
    ) -> None:
        self._children: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._all = [_Child(timeout_s, max_pixels, decoder) for _ in range(processes)]
        for child in self._all:
            self._children.put(child)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")
        self._closed = False

    async def decode(self, data: bytes, media_type: str) -> Grey:
        """Decodes one image; waits for a free process first, which does not count as its time.

        Returns:
            (1, 224, 224) float32 in [0, 1].

        Raises:
            ImageError: As `workers.images.decode.decode`; a crash or a timeout is `image_unreadable`. Not this
                image's doing, so `image_source_down`: no process could be started, or the pool was closed meanwhile.
            RuntimeError: The pool is closed.
        """
        if self._closed:
            raise RuntimeError("the decode pool is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, data, media_type)

    async def start(self) -> None:
        """Starts all processes now, so that the first images do not wait for imports. Optional."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, child.start) for child in self._all))

    async def close(self) -> None:
        """Ends all processes; images still being decoded fail as `image_source_down`. May be called twice."""
        self._closed = True
        for child in self._all:
            child.interrupt()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for child in self._all:
            child.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _run(self, data: bytes, media_type: str) -> Grey:
        """One image on one child, in a thread of the pool's own."""
        child = self._children.get()
        try:
            return child.decode(data, media_type)
        finally:
            self._children.put(child)


class _Child:
    """One process and the pipe to it; used by one thread at a time, except `interrupt`."""

    def __init__(self, timeout_s: float, max_pixels: int, decoder: Decoder) -> None:
        self._timeout_s = timeout_s
        self._max_pixels = max_pixels
        self._decoder = decoder
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._interrupted = False

    def decode(self, data: bytes, media_type: str) -> Grey:
        """Sends the image and waits; a process that is late or dead is ended, and replaced by the next call."""
        pipe = self.start()
        try:
            pipe.send((data, media_type))
            if not pipe.poll(self._timeout_s):
                raise TimeoutError
            answer: Grey | ImageError = pipe.recv()
        except (OSError, EOFError):  # TimeoutError is an OSError; the others say that the process died
            self.end()
            raise ImageError("image_source_down" if self._interrupted else "image_unreadable") from None
        if isinstance(answer, ImageError):
            raise answer
        return answer

    def start(self) -> Connection:
        """The pipe to a process that listens; starts one where there is none.

        Raises:
            ImageError: `image_source_down`, the process did not come up.
        """
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self.end()
        try:
            return self._spawn()
        except (OSError, EOFError):
            self.end()
            raise ImageError("image_source_down") from None

    def _spawn(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe = ours
        with theirs:  # closed on our side afterwards, so that the end of the child is the end of the pipe
            process = context.Process(
                target=_serve,
                args=(theirs, self._timeout_s, self._max_pixels, self._decoder),
                name="decode",
                daemon=True,
            )
            process.start()
        self._process = process
        if self._interrupted or not ours.poll(_START_S):
            raise TimeoutError
        ours.recv()
        return ours

    def interrupt(self) -> None:
        """From any thread: ends the process and lets none be started; the thread that waits on the pipe wakes up."""
        self._interrupted = True
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """Ends the process at once, if there is one, reaps it and closes the pipe."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()


def _serve(pipe: Connection, timeout_s: float, max_pixels: int, decoder: Decoder) -> None:
    """A child's life: decode what comes until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides when we end
    _be_quiet()
    _limit_memory(_BASE_BYTES + _BYTES_PER_PIXEL * max_pixels)
    pipe.send("ready")
    while True:
        try:
            data, media_type = pipe.recv()
        except (EOFError, OSError):
            return
        _limit_time(timeout_s)
        answer: Grey | ImageError
        try:
            answer = decoder(data, media_type, max_pixels=max_pixels)
        except ImageError as error:
            answer = error
        _limit_time(None)
        pipe.send(answer)


def _be_quiet() -> None:
    """Nothing that a library prints about an image leaves this process: it may quote names in the header."""
    logging.disable(logging.CRITICAL)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)


def _limit_memory(more_bytes: int) -> None:
    """Allows this process `more_bytes` above what it has; past that, decoders get MemoryError (Linux only)."""
    if sys.platform == "linux":
        import resource

        size_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size_bytes + more_bytes,) * 2)


def _limit_time(timeout_s: float | None) -> None:
    """SIGALRM ends this process, even inside C code, well after the parent should have done so; None: no limit."""
    if hasattr(signal, "alarm"):
        signal.alarm(0 if timeout_s is None else math.ceil(2 * timeout_s) + 1)
