"""Gets the bytes of an image that a claim check names, from allowed places, within limits, proved by their hash.

file: and http(s): are read directly, because no link and no redirect may be followed once the allow-list has answered
(fsspec 2026.9 drops `allow_redirects` on the way to its asynchronous file); s3: goes through fsspec. Whatever goes
wrong is an `ImageError` with a reason and no text of the claim. A retryable one (`image_source_down`) is for the
breaker around this source to count; this module neither retries nor waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp
from yarl import URL

from workers.images.allow import AllowList, scheme_of
from workers.images.errors import ImageError
from workers.settings import Settings

_CHUNK_BYTES: Final = 256 * 1024
_FILE_THREADS: Final = 4
"""A hanging network share blocks these threads, not those of the rest of the worker."""


class Claim(Protocol):
    """The claim check of an imaging event (`topics.imaging`)."""

    @property
    def uri(self) -> str:
        """file:, http:, https: or s3:."""

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""

    @property
    def size_bytes(self) -> int:
        """Length of the object, >= 0."""


class _Readable(Protocol):
    async def read(self, n: int, /) -> bytes: ...


class ImageSource:
    """Fetches images; one for a worker, used on one event loop.

    Args:
        settings: Its `image_*` fields.

    Raises:
        ValueError: The allow-list is not well formed, or names a bucket while s3fs is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self._allowed = AllowList(settings.image_roots, settings.image_hosts)
        if self._allowed.buckets and importlib.util.find_spec("s3fs") is None:
            raise ValueError(
                "image_hosts names an s3:// bucket, which needs the s3 extra: pip install 'wardstream[s3]'"
            )
        self._max_bytes = settings.image_max_bytes
        self._timeout_s = settings.image_timeout_s
        self._threads = ThreadPoolExecutor(_FILE_THREADS, thread_name_prefix="image-file")
        self._http: aiohttp.ClientSession | None = None
        self._s3: Any = None

    async def fetch(self, claim: Claim) -> bytes:
        """The image object, whole and as claimed.

        Raises:
            ImageError: `image_forbidden`, `image_not_found`, `image_too_large` (over `image_max_bytes`),
                `image_hash_mismatch` (size or hash differ from the claim) or `image_source_down` (retry later).
        """
        if claim.size_bytes > self._max_bytes:
            raise ImageError("image_too_large")
        try:
            async with asyncio.timeout(self._timeout_s):
                data = await self._read(claim)
        except ImageError:
            raise
        except FileNotFoundError:
            raise ImageError("image_not_found") from None
        except PermissionError:
            raise ImageError("image_forbidden") from None
        except (OSError, aiohttp.ClientError):  # TimeoutError is an OSError
            raise ImageError("image_source_down") from None
        if len(data) != claim.size_bytes or hashlib.sha256(data).hexdigest() != claim.sha256.lower():
            raise ImageError("image_hash_mismatch")
        return data

    async def close(self) -> None:
        """Closes connections."""
        if self._http is not None:
            await self._http.close()
        if self._s3 is not None:
            await (await self._s3.set_session()).close()
        self._http = self._s3 = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _read(self, claim: Claim) -> bytes:
        """The object at its place, at most one byte more than it may be."""
        scheme = scheme_of(claim.uri)
        if scheme == "file":
            run = asyncio.get_running_loop().run_in_executor
            path = await run(self._threads, self._allowed.file, claim.uri)
            return await run(self._threads, _read_file, path, claim.size_bytes + 1)
        if scheme in {"http", "https"}:
            return await self._read_http(self._allowed.http(claim.uri), claim)
        if scheme == "s3":
            return await self._read_s3(self._allowed.s3(claim.uri), claim)
        raise ImageError("image_forbidden")

    async def _read_http(self, url: URL, claim: Claim) -> bytes:
        if self._http is None:
            self._http = _client()
        async with self._http.get(url, allow_redirects=False) as response:
            _check_status(response.status)
            return await _collect(response.content, claim.size_bytes)

    async def _read_s3(self, path: str, claim: Claim) -> bytes:
        s3fs, errors = importlib.import_module("s3fs"), importlib.import_module("botocore.exceptions")
        try:
            if self._s3 is None:
                self._s3 = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, use_listings_cache=False)
                await self._s3.set_session()
            stream = await self._s3.open_async(path, "rb")
            try:
                return await _collect(stream, claim.size_bytes)
            finally:
                await stream.close()
        except (errors.BotoCoreError, errors.ClientError):  # what s3fs does not turn into an OSError
            raise ImageError("image_source_down") from None


async def _collect(stream: _Readable, size_bytes: int) -> bytes:
    """All of a stream; reading stops where it gets longer than claimed."""
    data = bytearray()
    while len(data) <= size_bytes and (chunk := await stream.read(_CHUNK_BYTES)):
        data += chunk
    return bytes(data)


def _client() -> aiohttp.ClientSession:
    """The HTTP client: no proxy or password from the environment, no cookies, no unpacking of the answer."""
    return aiohttp.ClientSession(
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
    )


def _check_status(status: int) -> None:
    """What an HTTP status means for the image."""
    if status == 200:
        return
    if status in {408, 425, 429} or status >= 500:
        raise ImageError("image_source_down")
    if status in {401, 403, 407} or 300 <= status < 400:  # a redirect leads where no list was asked
        raise ImageError("image_forbidden")
    raise ImageError("image_not_found")


def _read_file(path: Path, limit_bytes: int) -> bytes:
    """At most `limit_bytes` of a regular file whose path has been resolved and allowed."""
    # NOFOLLOW: the file was no link when it was allowed; NONBLOCK: opening a FIFO must not wait for its writer
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:  # noqa: PTH123  # a descriptor
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ImageError("image_forbidden")
        return file.read(limit_bytes)
