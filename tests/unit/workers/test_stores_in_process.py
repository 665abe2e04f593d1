"""The stores in this process keep the contract."""

from __future__ import annotations

import pytest

from tests.fakes import FakeStore
from tests.unit.workers.store_contract import BLANK, A, StoreContract, value
from workers.embedded import free_port
from workers.settings import Settings
from workers.stores import MemoryContexts, RedisContexts, StoreUnavailableError


class TestMemoryContexts(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryContexts()


class TestFakeStore(StoreContract):
    @pytest.fixture
    def store(self):
        return FakeStore()

    async def test_away_it_fails_every_call(self):
        store = FakeStore()
        store.away = True
        with pytest.raises(StoreUnavailableError):
            await store.read([A])
        with pytest.raises(StoreUnavailableError):
            await store.compare_and_set([A], [BLANK], [value(1)])

    async def test_a_lost_answer_is_a_write_all_the_same(self):
        store = FakeStore()
        store.lose_answers = 1
        with pytest.raises(StoreUnavailableError):
            await store.compare_and_set([A], [BLANK], [value(1)])
        assert await store.read([A]) == [value(1)]


async def test_nobody_listening_is_a_store_that_is_away():
    settings = Settings(redis_url=f"redis://user:secret-word@127.0.0.1:{free_port()}/0", redis_timeout_s=0.5)
    store = RedisContexts(settings)
    with pytest.raises(StoreUnavailableError) as raised:
        await store.read([A])
    assert "secret-word" not in str(raised.value)
    await store.close()
