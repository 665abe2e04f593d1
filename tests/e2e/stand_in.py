"""A small correct worker: proves that harness and checker accept what is right, before they judge the real one.

At least once by the plainest means: one poll at a time, publish and await the broker, remember in Redis, then commit.
It reads the same environment, answers the same health request and writes the same topics and headers as the real
worker; it infers nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
)
from aiokafka.partitioner import DefaultPartitioner
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.e2e.load import NOTES, VITALS, digest
from tests.e2e.observer import DEAD_LETTERS, RECOMMENDATIONS

Out = tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]], Any]
"""Topic, key, value, headers, and the input record."""


def refusal(key: bytes | None, value: bytes | None) -> tuple[str | None, dict[str, Any]]:
    """Reason why a record cannot be used, or None and the event."""
    if value is None:
        return "null_value", {}
    try:
        event = json.loads(value)
    except UnicodeDecodeError:
        return "not_utf8", {}
    except ValueError:
        return "not_json", {}
    checks: list[tuple[str, Callable[[], bool]]] = [
        ("schema", lambda: not isinstance(event, dict) or "blood_presure" in event),
        ("schema_version", lambda: not event["schema_version"].startswith("1.")),
        ("event_time_naive", lambda: "+" not in event["event_time"]),
        ("event_time_future", lambda: event["event_time"] > "2190"),
        ("key_mismatch", lambda: key is not None and key.decode() != event["patient_id"]),
        ("replaces_missing", lambda: event["status"] != "final" and "replaces" not in event),
    ]
    return next((reason for reason, is_so in checks if is_so()), None), event


class StandIn(ConsumerRebalanceListener):
    """The worker. `commit_first` makes it wrong: offsets are committed before their records have ended."""

    def __init__(self, environment: Mapping[str, str], *, commit_first: bool = False) -> None:
        self._env = {name.removeprefix("WARDSTREAM_").lower(): value for name, value in environment.items()}
        self._commit_first = commit_first
        self._prefix = self._env["topic_prefix"]
        self._chaos = self._env.get("chaos", "").partition(":")
        self._done: dict[TopicPartition, int] = {}
        self._working, self._replacing = asyncio.Lock(), asyncio.Lock()
        self._assigned = asyncio.Event()
        self._stopping = asyncio.Event()
        self._generation = 0
        self._partitioner = DefaultPartitioner()

    async def run(self) -> None:
        """Works until SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopping.set)
        session_ms = int(float(self._env["kafka_session_timeout_s"]) * 1000)
        servers = self._env["kafka_bootstrap_servers"]
        self._redis = Redis.from_url(self._env["redis_url"], socket_timeout=0.5, socket_connect_timeout=0.5)
        self._producer = self._make_producer()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, group_id=self._env["kafka_group"], enable_auto_commit=False,
            auto_offset_reset="earliest", session_timeout_ms=session_ms, heartbeat_interval_ms=session_ms // 4,
            fetch_max_wait_ms=20, max_poll_records=200, partition_assignment_strategy=[RangePartitionAssignor],
        )  # fmt: skip
        await self._producer.start()
        await self._consumer.start()
        self._consumer.subscribe([self._prefix + VITALS, self._prefix + NOTES], listener=self)
        web = await asyncio.start_server(self._health, "127.0.0.1", int(self._env["web_port"]))
        async with web:
            while not self._stopping.is_set():
                generation = self._generation
                polled = await self._consumer.getmany(timeout_ms=100)  # outside the lock: it may wait for a rebalance
                async with self._working:
                    if generation == self._generation:
                        await self._turn(polled)
                        continue
                    for partition in self._consumer.assignment() & set(polled):
                        # of which assignment they are nobody knows: read them again. Not by seek_to_committed, which
                        # leaves a partition where it is when nothing has been committed yet
                        self._consumer.seek(partition, polled[partition][0].offset)
        await self._commit()
        await self._consumer.stop()
        await self._producer.stop()
        await self._redis.aclose()

    def _make_producer(self) -> AIOKafkaProducer:
        idempotent = self._env["kafka_idempotent_producer"] == "true"
        return AIOKafkaProducer(
            bootstrap_servers=self._env["kafka_bootstrap_servers"], acks="all", enable_idempotence=idempotent
        )

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        async with self._working:
            await self._commit()
            self._done.clear()
            self._generation += 1

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        print(f"assigned {sorted(part for topic, part in assigned if topic.endswith(VITALS))}", flush=True)
        self._assigned.set()

    async def _turn(self, polled: Mapping[TopicPartition, list[Any]]) -> None:
        ends = {partition: records[-1].offset + 1 for partition, records in polled.items() if records}
        if self._commit_first:
            self._done.update(ends)
            await self._commit()
            await asyncio.sleep(0.5)  # time for a kill to come in between
        for records in polled.values():
            outs, fresh = await self._answer(records)
            await self._publish(outs)
            await self._remember(fresh)
        self._done.update(ends)
        await self._commit()

    async def _answer(self, records: list[Any]) -> tuple[list[Out], dict[str, str]]:
        judged = [refusal(record.key, record.value) for record in records]
        names = [f"{self._env['run']}:{event['event_id']}" for reason, event in judged if reason is None]
        known = await self._known(names)
        outs: list[Out] = []
        fresh: dict[str, str] = {}
        for record, (refused, event) in zip(records, judged, strict=True):
            if refused is None:
                name, content = f"{self._env['run']}:{event['event_id']}", digest(record.key, record.value)
                before = fresh.get(name) or known.get(name)
                if before == content:
                    continue
                if before is None:
                    fresh[name] = content
                    outs.append(await self._recommend(record, event))
                    continue
            outs.append(self._dead_letter(record, refused or "event_id_conflict"))
        return outs, fresh

    async def _known(self, names: list[str]) -> dict[str, str]:
        try:
            found = await self._redis.mget(names) if names else []
        except RedisError:
            return {}
        return {name: value.decode() for name, value in zip(names, found, strict=True) if value}

    async def _remember(self, fresh: dict[str, str]) -> None:
        try:
            if fresh:
                await self._redis.mset(fresh)
        except RedisError as error:
            print(f"redis is away: {error!r}", flush=True)

    async def _recommend(self, record: Any, event: dict[str, Any]) -> Out:
        kind, _, who = self._chaos
        failed = kind == "raise" and event["patient_id"] == who
        if kind == "hang" and event["event_id"] == who:
            if int(await self._redis.incr(f"{self._env['run']}:attempts")) <= 3:
                os._exit(70)
            failed = True
        body = {
            "recommendation_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record.topic}/{event['event_id']}")),
            "patient_id": event["patient_id"],
            "status": "indeterminate" if failed else "ok",
            "reasons": ["model_failed"] if failed else [],
            "caused_by": {
                "event_id": event["event_id"], "topic": record.topic, "partition": record.partition,
                "offset": record.offset,
            },
            "padding": "." * 1000,
        }  # fmt: skip
        return self._prefix + RECOMMENDATIONS, event["patient_id"].encode(), json.dumps(body).encode(), [], record

    def _dead_letter(self, record: Any, reason: str) -> Out:
        added = {"reason": reason, "topic": record.topic, "partition": record.partition, "offset": record.offset,
                 "detail": "", "run": self._env["run"]}  # fmt: skip
        headers = [*record.headers, *((f"x-error-{name}", str(value).encode()) for name, value in added.items())]
        return self._prefix + DEAD_LETTERS, record.key, record.value, headers, record

    async def _publish(self, outs: list[Out]) -> None:
        """One unresolved batch an output partition, so that a retry cannot overtake."""
        lanes: dict[tuple[str, int], list[Out]] = {}
        for out in outs:
            parts = sorted(await self._producer.partitions_for(out[0]))
            lanes.setdefault((out[0], self._partitioner(out[1], parts, parts)), []).append(out)
        await asyncio.gather(*(self._deliver(topic, part, lane) for (topic, part), lane in lanes.items()))

    async def _deliver(self, topic: str, partition: int, outs: list[Out]) -> None:
        while outs:
            batch = self._producer.create_batch()
            taken = 0
            for _, key, value, headers, _ in outs:
                if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                    break
                taken += 1
            producer = self._producer
            try:
                await (await producer.send_batch(batch, topic, partition=partition))
            except MessageSizeTooLargeError:
                if taken == 1 or topic.endswith(DEAD_LETTERS):
                    await self._publish([self._dead_letter(out[4], "output_refused") for out in outs[:taken]])
                else:
                    for out in outs[:taken]:
                        await self._deliver(topic, partition, [out])
            except OutOfOrderSequenceNumber:  # what a refused batch leaves behind in an idempotent producer
                await self._replace(producer)
                continue
            except KafkaError as error:
                print(f"publish refused, trying again: {error!r}", flush=True)
                await asyncio.sleep(0.2)
                continue
            outs = outs[taken:]

    async def _replace(self, broken: AIOKafkaProducer) -> None:
        async with self._replacing:
            if self._producer is broken:
                fresh = self._make_producer()
                await fresh.start()
                self._producer = fresh
                await broken.stop()  # waits for what other partitions have in flight

    async def _commit(self) -> None:
        held = self._consumer.assignment()
        offsets = {partition: offset for partition, offset in self._done.items() if partition in held}
        try:
            if offsets:
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            print(f"commit refused: {error!r}", flush=True)
            return
        self._done.clear()

    async def _health(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = b"200 OK" if self._assigned.is_set() else b"503 Not Ready"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


def main(*, commit_first: bool = False) -> None:
    """Runs the stand-in on the environment of this process."""

    async def run() -> None:
        await StandIn(os.environ, commit_first=commit_first).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
