"""What aiokafka and the brokers really do, where the design works around it; the part that takes a broker to show.

Each test names the rule of ours that it supports. An upgrade that changes one reports itself here. What needs no
broker is in tests/unit/test_upstream.py.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber

from tests.servers import ApacheKafka, Broker, Tansu, admin, alter_topic, coordinator_ready, create_topics

pytestmark = pytest.mark.integration


async def write(bootstrap: str, topic: str, values: list[bytes], partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=partition)


class TestAiokafka:
    async def test_seek_to_committed_stays_where_nothing_was_committed(self, broker: Broker, prefix: str) -> None:
        # rule: take up a partition at an offset of our own; records that were fetched and dropped are sought by number
        lane = TopicPartition(f"{prefix}in", 0)
        await create_topics(broker.bootstrap_servers, [lane.topic], partitions=1)
        await write(broker.bootstrap_servers, lane.topic, [b"0", b"1"])
        async with AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap_servers, group_id=prefix, auto_offset_reset="earliest",
            enable_auto_commit=False, fetch_max_wait_ms=20,
        ) as consumer:  # fmt: skip
            consumer.assign([lane])
            assert (await consumer.getone()).value == b"0"
            await consumer.seek_to_committed(lane)
            assert (await consumer.getone()).value == b"1"

    @pytest.mark.kafka
    async def test_a_long_poll_of_an_idle_partition_delays_a_busy_one(self, kafka: ApacheKafka, unique: str) -> None:
        # rule: kafka_fetch_wait_ms is 20, not Faust's 1500: one fetch is in flight a node
        kafka.start()
        took_s = {}
        for wait_ms in (20, 1500):
            topic = f"{unique}.in{wait_ms}"
            await create_topics(kafka.bootstrap_servers, [topic], partitions=2)
            await write(kafka.bootstrap_servers, topic, [b"first"])
            async with (
                AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer,
                AIOKafkaConsumer(
                    bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", fetch_max_wait_ms=wait_ms
                ) as consumer,
            ):
                busy, idle = TopicPartition(topic, 0), TopicPartition(topic, 1)
                consumer.assign([busy, idle])
                await consumer.getone(idle, busy)
                await asyncio.sleep(0.1)  # by now a fetch for the idle partition alone is under way
                await producer.send_and_wait(topic, b"next", partition=0)
                start = time.monotonic()
                await consumer.getone(busy)
                took_s[wait_ms] = time.monotonic() - start
        assert took_s[20] < 0.5 * took_s[1500], took_s

    @pytest.mark.kafka
    async def test_an_idempotent_producer_never_recovers_from_a_refused_batch(
        self, kafka: ApacheKafka, unique: str
    ) -> None:
        # rule: the publisher makes a new producer when the broker has refused a batch for good
        kafka.start()
        topic = f"{unique}.out"
        await create_topics(kafka.bootstrap_servers, [topic], partitions=2, configs={"max.message.bytes": "500"})
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True) as producer:
            await producer.send_and_wait(topic, b"x", partition=0)
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(topic, b"x" * 1000, partition=0)
            for _ in range(2):
                with pytest.raises(OutOfOrderSequenceNumber):
                    await producer.send_and_wait(topic, b"x", partition=0)
            await producer.send_and_wait(topic, b"x", partition=1)  # the other partition goes on
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True) as producer:
            await producer.send_and_wait(topic, b"x", partition=0)


@pytest.mark.kafka
class TestApacheKafka:
    async def test_one_replica_is_never_too_few(self, kafka: ApacheKafka, unique: str) -> None:
        # rule: the fault test needs a second node, min.insync.replicas=2 on one replica refuses nothing
        kafka.start()
        await create_topics(
            kafka.bootstrap_servers, [f"{unique}.out"], partitions=1, configs={"min.insync.replicas": "2"}
        )
        await write(kafka.bootstrap_servers, f"{unique}.out", [b"x"])

    async def test_a_topics_limit_can_be_changed_while_it_is_written(self, kafka: ApacheKafka, unique: str) -> None:
        kafka.start()
        topic = f"{unique}.out"
        await create_topics(kafka.bootstrap_servers, [topic], partitions=1)
        await alter_topic(kafka.bootstrap_servers, topic, {"max.message.bytes": "500"})
        with pytest.raises(MessageSizeTooLargeError):
            await write(kafka.bootstrap_servers, topic, [b"x" * 1000])
        await alter_topic(kafka.bootstrap_servers, topic, {"max.message.bytes": "1048588"})
        await write(kafka.bootstrap_servers, topic, [b"x" * 1000])


class TestTansu:
    """Rule: on the embedded broker kafka_idempotent_producer is off, the session short, the fetch wait 20 ms."""

    async def test_has_no_idempotent_producer_for_aiokafka(self, tansu: Tansu, unique: str) -> None:
        await create_topics(tansu.bootstrap_servers, [f"{unique}.out"], partitions=1)
        producer = AIOKafkaProducer(bootstrap_servers=tansu.bootstrap_servers, enable_idempotence=True)
        try:
            with pytest.raises((KafkaError, TimeoutError)):
                async with asyncio.timeout(3):
                    await producer.start()
                    await producer.send_and_wait(f"{unique}.out", b"x", partition=0)
        finally:
            await producer.stop()

    async def test_a_long_poll_does_not_wake_when_a_record_comes(self, tansu: Tansu, unique: str) -> None:
        lane = TopicPartition(f"{unique}.in", 0)
        await create_topics(tansu.bootstrap_servers, [lane.topic], partitions=1)
        async with AIOKafkaConsumer(
            bootstrap_servers=tansu.bootstrap_servers, auto_offset_reset="earliest", fetch_max_wait_ms=3000
        ) as consumer:
            consumer.assign([lane])
            poll = asyncio.create_task(consumer.getone())
            await asyncio.sleep(0.3)
            await write(tansu.bootstrap_servers, lane.topic, [b"x"])
            start = time.monotonic()
            await poll
            assert time.monotonic() - start > 0.5

    async def test_a_join_takes_half_the_session_timeout(self, tansu: Tansu, unique: str) -> None:
        await create_topics(tansu.bootstrap_servers, [f"{unique}.in"], partitions=1)
        await coordinator_ready(tansu.bootstrap_servers)
        async with AIOKafkaConsumer(
            f"{unique}.in", bootstrap_servers=tansu.bootstrap_servers, group_id=unique, session_timeout_ms=2000,
            heartbeat_interval_ms=500, fetch_max_wait_ms=20,
        ) as consumer:  # fmt: skip
            start = time.monotonic()
            while not consumer.assignment():
                await asyncio.sleep(0.02)
            joined_s = time.monotonic() - start
        assert joined_s < 2.0

    async def test_the_metadata_of_a_commit_is_forgotten(self, tansu: Tansu, unique: str) -> None:
        # rule: attempts are counted on Apache Kafka only; the hanging model is tested there
        lane = TopicPartition(f"{unique}.in", 0)
        await create_topics(tansu.bootstrap_servers, [lane.topic], partitions=1)
        await coordinator_ready(tansu.bootstrap_servers)
        async with AIOKafkaConsumer(
            lane.topic, bootstrap_servers=tansu.bootstrap_servers, group_id=unique, session_timeout_ms=2000,
            heartbeat_interval_ms=500, fetch_max_wait_ms=20, enable_auto_commit=False,
        ) as consumer:  # fmt: skip
            while not consumer.assignment():
                await asyncio.sleep(0.02)
            await consumer.commit({lane: (0, "attempts")})
        async with admin(tansu.bootstrap_servers) as client:
            found = await client.list_consumer_group_offsets(unique, partitions=[lane])
        assert (found[lane].offset, found[lane].metadata) == (0, "")

    async def test_committed_offsets_are_told_for_named_partitions_only(self, tansu: Tansu, unique: str) -> None:
        # rule: always name the partitions
        lane = TopicPartition(f"{unique}.in", 0)
        await create_topics(tansu.bootstrap_servers, [lane.topic], partitions=1)
        async with admin(tansu.bootstrap_servers) as client:
            found = await client.list_consumer_group_offsets(unique, partitions=[lane])
            assert found[lane].offset == -1
        async with admin(tansu.bootstrap_servers) as client:
            with pytest.raises((KafkaError, ValueError)):
                await client.list_consumer_group_offsets(unique)
