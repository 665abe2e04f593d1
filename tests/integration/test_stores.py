"""The Redis store keeps the contract on a real server, and survives what servers do."""

from __future__ import annotations

import os
import signal

import pytest
import redis.asyncio as redis

from tests.servers import EmbeddedRedis
from tests.unit.workers.store_contract import BLANK, A, B, StoreContract, value
from workers.settings import Settings
from workers.stores import RedisContexts, StoreUnavailableError

pytestmark = pytest.mark.integration


def settings(server: EmbeddedRedis, **more) -> Settings:
    return Settings(redis_url=server.url, **more)


@pytest.fixture
async def client(valkey):
    made = redis.Redis.from_url(valkey.url)
    await made.flushall()
    yield made
    await made.aclose()


@pytest.fixture
async def store(valkey, client):
    made = RedisContexts(settings(valkey))
    yield made
    await made.close()


class TestRedisContexts(StoreContract):
    pass


async def test_every_key_has_a_time_to_live(store, client):
    await store.compare_and_set([A], [BLANK], [value(1)])
    await store.write_embeddings([A], [b"e"])
    ttl = {name: await client.pttl(name) for name in await client.keys("*")}
    assert len(ttl) == 2
    assert all(0 < t <= 30 * 24 * 3_600_000 for t in ttl.values())
    assert min(ttl.values()) <= 24 * 3_600_000


async def test_what_the_caller_holds_does_not_travel(store, client):
    await store.compare_and_set([A, B], [BLANK, BLANK], [value(1, b"a" * 50_000), value(1, b"b" * 50_000)])
    held = {A: value(1, b"a" * 50_000), B: value(1, b"b" * 50_000)}
    before = (await client.info("stats"))["total_net_output_bytes"]
    assert await store.read([A, B], held) == [held[A], held[B]]
    assert (await client.info("stats"))["total_net_output_bytes"] - before < 20_000


async def test_another_run_or_prefix_has_contexts_of_its_own(valkey, store):
    other = RedisContexts(settings(valkey, run="again"))
    third = RedisContexts(settings(valkey, topic_prefix="b."))
    await store.compare_and_set([A], [BLANK], [value(1)])
    assert await other.read([A]) == [None]
    assert await third.read([A]) == [None]
    await other.close()
    await third.close()


async def test_scan_finds_every_context_of_the_run(store):
    await store.compare_and_set([A, B], [BLANK, BLANK], [value(1), value(2)])
    await store.write_embeddings([A], [b"e"])
    assert sorted(await store.scan()) == [(A, value(1)), (B, value(2))]


async def test_the_script_survives_a_server_that_forgot_it(store, client):
    await store.compare_and_set([A], [BLANK], [value(1)])
    await client.script_flush()
    assert await store.compare_and_set([A], [value(1)], [value(2)]) == [True]


async def test_a_server_that_was_flushed_takes_what_this_worker_holds(store, client):
    await store.compare_and_set([A], [BLANK], [value(1)])
    await client.flushall()
    assert await store.compare_and_set([A], [value(1)], [value(2)]) == [True]


async def test_a_killed_server_is_away_and_comes_back():
    with EmbeddedRedis() as server:
        store = RedisContexts(settings(server))
        await store.compare_and_set([A], [BLANK], [value(1)])
        server.kill()
        with pytest.raises(StoreUnavailableError):
            await store.read([A])
        server.start()
        assert await store.read([A]) == [None]  # it kept nothing
        assert await store.compare_and_set([A], [value(1)], [value(2)]) == [True]
        await store.close()


async def test_a_server_that_hangs_is_away_within_the_bound():
    with EmbeddedRedis() as server:
        store = RedisContexts(settings(server, redis_timeout_s=0.2))
        await store.read([A])
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailableError, match="Timeout"):
                await store.read([A])
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await store.close()


async def test_a_full_server_is_away_rather_than_forgetful():
    with EmbeddedRedis(max_memory="4mb") as server:
        store = RedisContexts(settings(server))
        big = bytes(200_000)
        with pytest.raises(StoreUnavailableError):
            for n in range(40):
                await store.compare_and_set([n.to_bytes(16, "big")], [BLANK], [value(1) + big])
        assert (await store.read([(0).to_bytes(16, "big")]))[0] is not None
        await store.close()
