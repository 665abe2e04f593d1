"""Servers for tests: one Apache Kafka, one Tansu and one Valkey for the whole run, topics of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers import ApacheKafka, Broker, EmbeddedRedis, Tansu, delete_topics


@pytest.fixture(scope="session")
def kafka() -> Iterator[ApacheKafka]:
    """Apache Kafka; skips where Java or Maven is missing. Whoever kills it starts it again."""
    if reason := ApacheKafka.missing():
        pytest.skip(reason)
    with ApacheKafka() as server:
        yield server


@pytest.fixture(scope="session")
def tansu() -> Iterator[Tansu]:
    """The embedded broker."""
    with Tansu() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedRedis]:
    """The embedded Redis-protocol server, without persistence."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="session", params=["tansu", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    server: Broker = request.getfixturevalue(request.param)
    server.start()  # again, where a test before left it stopped
    return server


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: a group, or the prefix of topics."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
async def prefix(broker: Broker, unique: str) -> AsyncIterator[str]:
    """WARDSTREAM_TOPIC_PREFIX of this test; its topics are deleted afterwards."""
    yield f"{unique}."
    await delete_topics(broker.bootstrap_servers, f"{unique}.")
