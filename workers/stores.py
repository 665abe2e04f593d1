"""Where patient contexts and embeddings are kept: one Protocol, in memory or in Redis."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import redis.asyncio as redis
from redis.exceptions import RedisError

from workers.settings import Settings

VERSION_BYTES = 8

_COMPARE_AND_SET = """
local won = {}
for i, key in ipairs(KEYS) do
  local current = redis.call('GETRANGE', key, 0, 7)
  local value = ARGV[2 * i + 1]
  if current == '' or current == ARGV[2 * i] or current == string.sub(value, 1, 8) then
    redis.call('SET', key, value, 'PX', ARGV[1])
    won[i] = 1
  else
    won[i] = 0
  end
end
return won
"""
# A missing key is taken: what this worker holds is better than nothing. The third case is this very write, sent again
# by the client because its answer was lost: no other attempt has its version.

_READ = """
local found = {}
for i, key in ipairs(KEYS) do
  if ARGV[i] ~= '' and redis.call('GETRANGE', key, 0, 7) == ARGV[i] then
    found[i] = ''
  else
    found[i] = redis.call('GET', key)
  end
end
return found
"""
# An empty answer stands for "as you hold it": each attempt to write has a version of its own, so that equal versions
# mean equal values.

_NOTHING_HELD: Mapping[bytes, bytes] = {}


class StoreUnavailableError(Exception):
    """The store did not answer in time; the caller goes on with what it holds."""


class ContextStore(Protocol):
    """Packed contexts by key. Every call may raise StoreUnavailableError."""

    async def read(self, keys: Sequence[bytes], held: Mapping[bytes, bytes] = _NOTHING_HELD, /) -> list[bytes | None]:
        """The values as they are now, None where there is none.

        Args:
            keys: What is asked for.
            held: By key, values that the caller has: where the store's has the same version, it need not travel.
        """
        ...

    async def compare_and_set(
        self, keys: Sequence[bytes], expected: Sequence[bytes], values: Sequence[bytes]
    ) -> list[bool]:
        """Write each value whose key still has the expected version (first 8 bytes); True where it was written."""
        ...

    async def read_embeddings(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Cached encoder results."""
        ...

    async def write_embeddings(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Cache encoder results."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class MemoryContexts:
    """A store in this process, for `wardstream offline` and tests."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.embeddings: dict[bytes, bytes] = {}

    async def read(self, keys: Sequence[bytes], held: Mapping[bytes, bytes] = _NOTHING_HELD, /) -> list[bytes | None]:
        """See ContextStore."""
        found = []
        for key in keys:
            value, mine = self.values.get(key), held.get(key)
            same = value is not None and mine is not None and value[:VERSION_BYTES] == mine[:VERSION_BYTES]
            found.append(mine if same else value)
        return found

    async def compare_and_set(
        self, keys: Sequence[bytes], expected: Sequence[bytes], values: Sequence[bytes]
    ) -> list[bool]:
        """See ContextStore."""
        won = []
        for key, version, value in zip(keys, expected, values, strict=True):
            current = self.values.get(key)
            head = None if current is None else current[:VERSION_BYTES]
            won.append(head is None or head in (version, value[:VERSION_BYTES]))
            if won[-1]:
                self.values[key] = value
        return won

    async def read_embeddings(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See ContextStore."""
        return [self.embeddings.get(key) for key in keys]

    async def write_embeddings(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """See ContextStore."""
        self.embeddings.update(zip(keys, values, strict=True))

    async def close(self) -> None:
        """See ContextStore."""


class RedisContexts:
    """A store in Redis (or a server of its protocol): one round trip a batch each way.

    Args:
        settings: URL, timeouts, time to live, run.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.redis_timeout_s
        self._ttl_ms = int(settings.context_ttl_h * 3_600_000)
        self._embedding_ttl_ms = int(settings.embedding_ttl_h * 3_600_000)
        self._context_prefix = f"wardstream:{settings.topic_prefix}{settings.run}:context:".encode()
        self._embedding_prefix = b"wardstream:embedding:"
        self._client = connect(settings)
        self._script = self._client.register_script(_COMPARE_AND_SET)
        self._changed = self._client.register_script(_READ)

    async def read(self, keys: Sequence[bytes], held: Mapping[bytes, bytes] = _NOTHING_HELD, /) -> list[bytes | None]:
        """See ContextStore."""
        names = [self._context_prefix + key.hex().encode() for key in keys]
        mine = [held.get(key) for key in keys]
        if not any(mine):
            return await self._bounded(self._client.mget(names))
        known = [b"" if value is None else value[:VERSION_BYTES] for value in mine]
        found = await self._bounded(self._changed(keys=names, args=known))
        return [value if answer == b"" else answer for value, answer in zip(mine, found, strict=True)]

    async def compare_and_set(
        self, keys: Sequence[bytes], expected: Sequence[bytes], values: Sequence[bytes]
    ) -> list[bool]:
        """See ContextStore."""
        names = [self._context_prefix + key.hex().encode() for key in keys]
        arguments: list[bytes | int] = [self._ttl_ms]
        for version, value in zip(expected, values, strict=True):
            arguments += [version, value]
        return [bool(won) for won in await self._bounded(self._script(keys=names, args=arguments))]

    async def read_embeddings(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See ContextStore."""
        return await self._bounded(self._client.mget([self._embedding_prefix + key.hex().encode() for key in keys]))

    async def write_embeddings(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """See ContextStore."""
        pipe = self._client.pipeline(transaction=False)
        for key, value in zip(keys, values, strict=True):
            pipe.set(self._embedding_prefix + key.hex().encode(), value, px=self._embedding_ttl_ms)
        await self._bounded(pipe.execute())

    async def scan(self) -> list[tuple[bytes, bytes]]:
        """Every stored context of this run as (patient HMAC, value), for `wardstream contexts dump`."""
        found = []
        async for name in self._client.scan_iter(match=self._context_prefix + b"*", count=500):
            (value,) = await self._bounded(self._client.mget([name]))
            if value is not None:
                found.append((bytes.fromhex(name[len(self._context_prefix) :].decode()), value))
        return found

    async def close(self) -> None:
        """See ContextStore."""
        await self._client.aclose()

    async def _bounded(self, call: object) -> list:  # type: ignore[type-arg]
        """The answer, within the hard bound on one call."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call  # type: ignore[misc,no-any-return]
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailableError(type(error).__name__) from error


def connect(settings: Settings) -> redis.Redis:
    """A client of the configured server; opens nothing yet.

    Raises:
        ValueError: The URL is not one of Redis.
    """
    url = settings.redis_url.get_secret_value()
    extra: dict[str, Any] = {}
    if url.startswith("rediss://") and settings.redis_ssl_cafile is not None:
        extra = {"ssl_ca_certs": str(settings.redis_ssl_cafile), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        health_check_interval=0,
        **extra,
    )
