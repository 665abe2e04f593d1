"""Gets the bytes of an image that a claim check names, from allowed places, within limits, proved by their hash.

file: is read directly, so that links can't be swapped under it; http(s): and s3: go through fsspec. Whatever goes wrong is an
`ImageError` with a reason and no text of the claim. Which of them is retryable (`image_source_down`) decides whether
the breaker around this source counts a failure; this module neither retries nor waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp
from fsspec.implementations.http import HTTPFileSystem

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
        """Length of the object."""


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
        self._http: HTTPFileSystem | None = None
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
            async with asyncio.timeout(self._timeout_s), aclosing(self._chunks(claim)) as chunks:
                data = await self._collect(chunks, claim.size_bytes)
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
        for filesystem in (self._http, self._s3):
            if filesystem is not None:
                await (await filesystem.set_session()).close()
        self._http = self._s3 = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _collect(self, chunks: AsyncIterator[bytes], size_bytes: int) -> bytes:
        """All chunks, as long as they are within the limit and the claim."""
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > self._max_bytes:
                raise ImageError("image_too_large")
            if len(data) > size_bytes:
                raise ImageError("image_hash_mismatch")
        return bytes(data)

    async def _chunks(self, claim: Claim) -> AsyncIterator[bytes]:
        """The object at its place, piece by piece."""
        scheme = scheme_of(claim.uri)
        if scheme == "file":
            run = asyncio.get_running_loop().run_in_executor
            path = await run(self._threads, self._allowed.file, claim.uri)
            yield await run(self._threads, _read_file, path, min(self._max_bytes, claim.size_bytes) + 1)
        elif scheme in {"http", "https"}:
            async for chunk in self._http_chunks(self._allowed.http(claim.uri), claim.size_bytes):
                yield chunk
        elif scheme == "s3":
            async for chunk in self._s3_chunks(self._allowed.s3(claim.uri), claim.size_bytes):
                yield chunk
        else:
            raise ImageError("image_forbidden")

    async def _http_chunks(self, url: str, size_bytes: int) -> AsyncIterator[bytes]:
        if self._http is None:
            self._http = HTTPFileSystem(
                asynchronous=True, encoded=True, get_client=_client, skip_instance_cache=True, use_listings_cache=False
            )
        # Given a size, fsspec spares the HEAD request. Redirects are answers here, not followed: see _check_status.
        stream = await self._http.open_async(url, size=size_bytes, allow_redirects=False)
        async for chunk in _stream(stream):
            yield chunk

    async def _s3_chunks(self, path: str, size_bytes: int) -> AsyncIterator[bytes]:
        import s3fs
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._s3 is None:
                self._s3 = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, use_listings_cache=False)
                await self._s3.set_session()
            stream = await self._s3.open_async(path, "rb", size=size_bytes)
            async for chunk in _stream(stream):
                yield chunk
        except (BotoCoreError, ClientError):  # what s3fs does not turn into FileNotFoundError or PermissionError
            raise ImageError("image_source_down") from None


async def _stream(stream: Any) -> AsyncIterator[bytes]:
    """An fsspec asynchronous file, piece by piece, closed afterwards."""
    try:
        while chunk := await stream.read(_CHUNK_BYTES):
            yield chunk
    finally:
        await stream.close()


async def _client(**_: Any) -> aiohttp.ClientSession:
    """The HTTP client: no proxy or password from the environment, no cookies, no unpacking of the answer."""
    return aiohttp.ClientSession(
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        raise_for_status=_check_status,
    )


async def _check_status(response: aiohttp.ClientResponse) -> None:
    """What an HTTP status means for the image."""
    status = response.status
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
