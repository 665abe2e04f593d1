"""Watches a running system from outside, by the broker alone: its outputs, and its committed offsets with marks.

Decides nothing; what it collects goes to the checker. Topic names in it are without the prefix.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.e2e.checker import DeadLetter, Input, Place, Recommendation, Sample
from tests.e2e.load import digest

RECOMMENDATIONS, DEAD_LETTERS = "patient.recommendations", "wardstream.dead-letters"
MARK = "x-test-mark"
SAMPLE_EVERY_S = 0.25


class Observer:
    """Reads outputs from offset 0 on and samples committed offsets, from `start` to `close`."""

    def __init__(self, bootstrap_servers: str, prefix: str, group: str, inputs: Sequence[str], partitions: int) -> None:
        self.recommendations: list[Recommendation] = []
        self.dead_letters: list[DeadLetter] = []
        self.bodies: list[dict[str, Any]] = []
        self.samples: list[Sample] = []
        self._prefix, self._group, self._bootstrap = prefix, group, bootstrap_servers
        outputs = [f"{prefix}{name}" for name in (RECOMMENDATIONS, DEAD_LETTERS)]
        self._outputs = [TopicPartition(topic, part) for topic in outputs for part in range(partitions)]
        self._inputs = [TopicPartition(f"{prefix}{name}", part) for name in inputs for part in range(partitions)]
        self._seen = dict.fromkeys(self._outputs, -1)
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def start(self) -> Self:
        """Connects, and begins to read and to sample."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, auto_offset_reset="none", fetch_max_wait_ms=20, check_crcs=False
        )
        # no acks of replicas: marks must get in while the worker's outputs are refused for want of them
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, enable_idempotence=False, acks=1)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        for client, end in ((self._consumer, "stop"), (self._producer, "stop"), (self._admin, "close")):
            self._stack.push_async_callback(getattr(client, end))
            await client.start()
        self._consumer.assign(self._outputs)
        for partition in self._outputs:
            self._consumer.seek(partition, 0)
        self._tasks = [asyncio.create_task(self._forever(step)) for step in (self._collect, self._sample)]
        return self

    async def close(self) -> None:
        """Ends reading and sampling and disconnects."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def committed(self) -> dict[TopicPartition, int]:
        """The group's committed offsets of all input partitions; -1 where it has none."""
        found = await self._admin.list_consumer_group_offsets(self._group, partitions=self._inputs)
        return {partition: found[partition].offset for partition in self._inputs if partition in found}

    async def catch_up(self, timeout_s: float = 15.0) -> None:
        """Takes a last sample and returns when everything written before it has been read."""
        await self._sample()
        marks = {TopicPartition(self._prefix + topic, part): at for (topic, part), at in self.samples[-1].marks.items()}
        assert set(marks) == set(self._outputs)
        async with asyncio.timeout(timeout_s):
            while any(self._seen[partition] < at for partition, at in marks.items()):
                self._raise_errors()
                await asyncio.sleep(0.02)

    async def all_committed(self, inputs: Sequence[Input], timeout_s: float = 10.0) -> dict[TopicPartition, int]:
        """Waits until the committed offsets reach the end of the inputs; returns what is missing, if anything."""
        ends: dict[TopicPartition, int] = {}
        for given in inputs:
            ends[TopicPartition(self._prefix + given.place.topic, given.place.partition)] = given.place.offset + 1
        missing = ends
        for _ in range(int(timeout_s / 0.2)):
            now = await self.committed()
            missing = {partition: end for partition, end in ends.items() if now.get(partition, -1) < end}
            if not missing:
                break
            await asyncio.sleep(0.2)
        return missing

    def _raise_errors(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                async with asyncio.timeout(5.0):
                    await step()
            except (KafkaError, TimeoutError):  # the broker is away; nothing is missed: reading goes on where it was
                await asyncio.sleep(0.2)
            await asyncio.sleep(SAMPLE_EVERY_S if step == self._sample else 0)

    async def _sample(self) -> None:
        committed = await self.committed()
        sends = [
            await self._producer.send(part.topic, b"", partition=part.partition, headers=[(MARK, b"")])
            for part in self._outputs
        ]
        marks = [await sent for sent in sends]
        self.samples.append(
            Sample(
                {(self._bare(part.topic), part.partition): at for part, at in committed.items() if at >= 0},
                {(self._bare(mark.topic), mark.partition): mark.offset for mark in marks},
            )
        )

    async def _collect(self) -> None:
        for partition, records in (await self._consumer.getmany(timeout_ms=200)).items():
            for record in records:
                assert record.offset > self._seen[partition], f"{partition} was read twice at {record.offset}"
                self._seen[partition] = record.offset
                self._keep(record)

    def _keep(self, record: ConsumerRecord[bytes, bytes]) -> None:
        place = Place(self._bare(record.topic), record.partition, record.offset)
        headers = {name: value for name, value in record.headers}  # noqa: C416 (the last one of a name counts)
        if MARK in headers:
            return
        if place.topic == RECOMMENDATIONS:
            assert record.value is not None
            self.bodies.append(body := json.loads(record.value))
            cause = body["caused_by"]
            at = Place(self._bare(cause["topic"]), cause["partition"], cause["offset"])
            patient = body["patient_id"]
            assert record.key == patient.encode(), f"{place} is not keyed by its patient"
            self.recommendations.append(
                Recommendation(place, at, patient, cause["event_id"], body["recommendation_id"])
            )
        else:
            at = Place(
                self._bare(headers["x-error-topic"].decode()),
                int(headers["x-error-partition"]),
                int(headers["x-error-offset"]),
            )
            shed = record.value is None and "x-error-value-omitted" in headers
            whole = None if shed else digest(record.key, record.value)
            self.dead_letters.append(DeadLetter(place, at, headers["x-error-reason"].decode(), whole))

    def _bare(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)
