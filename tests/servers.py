"""The real servers that tests run on: Apache Kafka (Java, KRaft, jars by Maven), Tansu, Valkey; and their topics.

Apache Kafka is the one that counts for guarantees. Tansu is what everybody can run.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from workers.embedded import EmbeddedBroker, EmbeddedError, EmbeddedRedis, ServerProcess, free_port, kafka_answers

ROOT = Path(__file__).resolve().parents[1]
POM = ROOT / "tests" / "e2e" / "kafka" / "pom.xml"

__all__ = [
    "ApacheKafka", "Broker", "EmbeddedRedis", "SecondKafka", "Tansu", "admin", "alter_topic", "coordinator_ready",
    "create_topics", "delete_topics", "free_port",
]  # fmt: skip


class Tansu(EmbeddedBroker):
    """The embedded broker with what tests must know of it."""

    kind = "tansu"

    def worker_environment(self) -> dict[str, str]:
        return {
            "WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "WARDSTREAM_KAFKA_SESSION_TIMEOUT_S": "2",
            "WARDSTREAM_KAFKA_IDEMPOTENT_PRODUCER": "false",
        }


class ApacheKafka(ServerProcess):
    """One node of Apache Kafka, broker and controller in one, data in a folder that survives `kill` and `start`."""

    name = "kafka"
    kind = "kafka"
    stop_timeout_s = 15.0

    def __init__(self) -> None:
        self.jars = kafka_jars()
        super().__init__(start_timeout_s=60.0)
        self.cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
        self._controller_port = free_port()
        self._properties = self.folder / "server.properties"

    @staticmethod
    def missing() -> str | None:
        """Why Apache Kafka cannot run here, or None."""
        absent = [program for program in ("java", "mvn") if shutil.which(program) is None]
        return f"Apache Kafka needs {' and '.join(absent)} on the PATH" if absent else None

    @property
    def bootstrap_servers(self) -> str:
        return self.address

    def worker_environment(self) -> dict[str, str]:
        return {
            "WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "WARDSTREAM_KAFKA_SESSION_TIMEOUT_S": "3",
            "WARDSTREAM_KAFKA_IDEMPOTENT_PRODUCER": "true",
        }

    def command(self) -> list[str]:
        if not self._properties.exists():
            self._format()
        return self._java("-Xms256m", "-Xmx512m", "kafka.Kafka", str(self._properties))

    def environment(self) -> Mapping[str, str]:
        java = {name: os.environ[name] for name in ("JAVA_HOME", "JAVA_TOOL_OPTIONS") if name in os.environ}
        return {**super().environment(), **java}

    def answers(self) -> bool:
        return kafka_answers(self.port)

    def _java(self, *arguments: str) -> list[str]:
        # C1 and the serial collector: quick to start, and the broker is not what is measured here
        quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN")
        return ["java", *quick, "-cp", f"{self.jars}/*", *arguments]

    def _settings(self) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 2,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # a killed broker may register again only when its old session has run out
            "broker.heartbeat.interval.ms": 300,
            "broker.session.timeout.ms": 1500,
        }

    def _format(self) -> None:
        draft = self.folder / "draft.properties"
        draft.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        command = self._java("kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(draft))
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise EmbeddedError(
                f"formatting the Kafka log folder failed: {(done.stderr or done.stdout).strip()[-500:]}"
            )
        draft.rename(self._properties)


class SecondKafka(ApacheKafka):
    """A second node that only holds replicas, so that there can be too few of them when it is gone."""

    def __init__(self, first: ApacheKafka) -> None:
        super().__init__()
        self.cluster, self._first = first.cluster, first

    def _settings(self) -> dict[str, object]:
        return {
            **self._first._settings(),
            "process.roles": "broker",
            "node.id": 2,
            "listeners": f"PLAINTEXT://{self.address}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": self.folder / "data",
        }

    def answers(self) -> bool:
        return kafka_answers(self.port, brokers=2)


Broker = Tansu | ApacheKafka


def kafka_jars() -> Path:
    """Folder of Apache Kafka's jars, fetched by Maven once for each version of the pom."""
    target = ROOT / ".cache" / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if target.is_dir():
        return target
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        said = (done.stdout + done.stderr).strip()[-500:]
        raise EmbeddedError(f"mvn could not fetch Apache Kafka (leave these tests out by -m 'not kafka'): {said}")
    try:
        draft.rename(target)
    except OSError:  # another test run was quicker
        shutil.rmtree(draft, ignore_errors=True)
    return target


@asynccontextmanager
async def admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client, closed after the block."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topics(
    bootstrap_servers: str,
    names: Sequence[str],
    *,
    partitions: int = 3,
    replicas: Sequence[int] | None = None,
    configs: Mapping[str, str] | None = None,
) -> None:
    """Creates topics and waits until every partition has a leader; an error of the broker is raised, not returned.

    `replicas` names the nodes that hold each partition; the broker chooses one where it is None.
    """
    if replicas is None:
        wanted = [NewTopic(name, partitions, 1, topic_configs=dict(configs or {})) for name in names]
    else:
        placed = {partition: list(replicas) for partition in range(partitions)}
        wanted = [
            NewTopic(name, -1, -1, replica_assignments=placed, topic_configs=dict(configs or {})) for name in names
        ]
    async with admin(bootstrap_servers) as client:
        for name, code, *_ in (await client.create_topics(wanted)).topic_errors:
            if code:
                raise for_code(code)(name)
        for _ in range(100):
            described = await client.describe_topics(list(names))
            if all(_led(topic, partitions) for topic in described):
                return
            await asyncio.sleep(0.05)
    raise EmbeddedError(f"topics {names} have no leader after 5 s")


async def coordinator_ready(bootstrap_servers: str) -> None:
    """Waits until the topic of committed offsets exists, so that it is not placed on a node that comes later."""
    async with admin(bootstrap_servers) as client, asyncio.timeout(15.0):
        while True:
            try:
                await client.find_coordinator("any")
            except KafkaError:
                await asyncio.sleep(0.1)
            else:
                return


def _led(topic: Mapping[str, object], partitions: int) -> bool:
    found = topic["partitions"]
    assert isinstance(found, list)
    return not topic["error_code"] and len(found) == partitions and all(part["leader"] >= 0 for part in found)


async def alter_topic(bootstrap_servers: str, name: str, configs: Mapping[str, str]) -> None:
    """Sets a topic's configuration; what is not named goes back to its default."""
    async with admin(bootstrap_servers) as client:
        responses = await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(configs))])
        for response in responses:
            for code, message, *_ in response.resources:
                if code:
                    raise for_code(code)(message)


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Deletes every topic whose name starts with `prefix`; the broker keeps what it wrote no longer than a test."""
    async with admin(bootstrap_servers) as client:
        names = [name for name in await client.list_topics() if name.startswith(prefix)]
        if names:
            try:
                await client.delete_topics(names)
            except KafkaError as error:  # tidying only: the next test has its own prefix
                print(f"topics of {prefix} were not deleted: {error!r}")
