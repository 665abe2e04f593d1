"""Publishing: in order per partition, through retries; too large is shed, then refused; the rest ends the process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeProducer
from workers.publisher import Publisher


@dataclass
class Item:
    """Sheds `parts` one after the other."""

    value: bytes | None
    parts: list[bytes] = field(default_factory=list)
    key: bytes | None = b"k"
    headers: tuple[tuple[str, bytes], ...] = ()

    def shed(self) -> bool:
        if not self.parts:
            return False
        self.value = self.parts.pop(0)
        return True


def items(*values: bytes) -> list[Item]:
    return [Item(value) for value in values]


async def publisher(producer: FakeProducer) -> tuple[Publisher, list[str]]:
    retries: list[str] = []
    made = Publisher(lambda: producer, retries.append)
    await made.start()
    return made, retries


class Unreachable(FakeProducer):
    async def start(self) -> None:
        raise KafkaConnectionError("nobody there")


class TestStart:
    async def test_a_producer_that_cannot_be_started_is_stopped_and_another_tried(self):
        producers = [Unreachable(), FakeProducer()]
        left = list(producers)
        made = Publisher(lambda: left.pop(0), lambda _: None)
        with pytest.raises(KafkaConnectionError):
            await made.start()
        assert producers[0].stopped
        assert not made.working
        await made.start()
        assert made.working
        assert not producers[1].stopped


class TestOrder:
    async def test_items_go_out_in_order_to_the_partition_of_their_input(self):
        producer = FakeProducer(partitions=4)
        made, _ = await publisher(producer)
        assert await made.publish("out", 6, items(b"1", b"2", b"3")) == []
        assert producer.log == [("out", 2, b"1"), ("out", 2, b"2"), ("out", 2, b"3")]

    async def test_what_does_not_fit_one_batch_goes_in_several_in_order(self):
        producer = FakeProducer(limit=10)
        made, _ = await publisher(producer)
        values = [bytes([65 + k]) * 4 for k in range(7)]
        await made.publish("out", 0, items(*values))
        assert producer.values() == values
        assert producer.attempts == 4

    async def test_a_retry_is_not_overtaken_by_the_next_publish(self):
        producer = FakeProducer([NotEnoughReplicasError(), None])
        made, retries = await publisher(producer)
        await asyncio.gather(made.publish("out", 0, items(b"1")), made.publish("out", 0, items(b"2")))
        assert producer.values() == [b"1", b"2"]
        assert retries == ["NotEnoughReplicasError"]

    async def test_a_failed_batch_is_not_overtaken_by_the_next_batch_of_its_publish(self):
        producer = FakeProducer([NotEnoughReplicasError(), None], limit=6)
        made, _ = await publisher(producer)
        await made.publish("out", 0, items(b"11111", b"22222"))
        assert producer.values() == [b"11111", b"22222"]

    async def test_what_was_acknowledged_is_not_sent_again_by_a_retry(self):
        producer = FakeProducer([None, KafkaTimeoutError()], limit=6)
        made, _ = await publisher(producer)
        await made.publish("out", 0, items(b"11111", b"22222"))
        assert producer.values() == [b"11111", b"22222"]

    async def test_another_partition_does_not_wait_for_a_retry(self):
        producer = FakeProducer([NotEnoughReplicasError(), None, None])
        made, _ = await publisher(producer)
        await asyncio.gather(made.publish("out", 0, items(b"1")), made.publish("out", 1, items(b"2")))
        assert [value for _, partition, value in producer.log if partition == 1] == [b"2"]
        assert producer.log[0][2] == b"2"

    @settings(max_examples=30, deadline=None)
    @given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12), limit=st.integers(8, 20))
    def test_any_sizes_come_out_in_order_and_once(self, sizes, limit):
        async def run() -> None:
            producer = FakeProducer(limit=limit)
            made, _ = await publisher(producer)
            given_ = [Item(bytes([97 + i]) * size) for i, size in enumerate(sizes)]
            refused = await made.publish("out", 0, given_)
            assert refused == [item for item in given_ if len(item.value) + 1 > limit]
            assert producer.values() == [item.value for item in given_ if item not in refused]

        asyncio.run(run())


class TestTooLarge:
    async def test_sheds_until_it_fits(self):
        producer = FakeProducer(limit=10)
        made, _ = await publisher(producer)
        large = Item(b"x" * 50, parts=[b"y" * 20, b"z" * 5])
        assert await made.publish("out", 0, [Item(b"1"), large, Item(b"2")]) == []
        assert producer.values() == [b"1", b"zzzzz", b"2"]

    async def test_is_refused_when_nothing_is_left_to_shed_and_costs_its_neighbours_nothing(self):
        producer = FakeProducer(limit=10)
        made, _ = await publisher(producer)
        large = Item(b"x" * 50, parts=[b"y" * 20])
        assert await made.publish("out", 0, [Item(b"1"), large, Item(b"2")]) == [large]
        assert producer.values() == [b"1", b"2"]

    async def test_as_the_broker_finds_it_is_found_one_by_one(self):
        producer = FakeProducer(broker_limit=12, too_large=MessageSizeTooLargeError)
        made, _ = await publisher(producer)
        lean, fat = Item(b"x" * 50, parts=[b"y" * 9]), Item(b"z" * 50)
        assert await made.publish("out", 0, [Item(b"1" * 8), lean, fat, Item(b"2" * 8)]) == [fat]
        assert producer.values() == [b"1" * 8, b"y" * 9, b"2" * 8]

    async def test_all_refused_sends_nothing(self):
        producer = FakeProducer(limit=3)
        made, _ = await publisher(producer)
        large = items(b"x" * 9, b"y" * 9)
        assert await made.publish("out", 0, large) == large
        assert producer.log == []


class TestErrors:
    @pytest.mark.parametrize("error", [KafkaConnectionError(), KafkaTimeoutError(), UnknownTopicOrPartitionError()])
    async def test_what_waiting_mends_is_waited_for(self, error):
        producer = FakeProducer([error])
        made, retries = await publisher(producer)
        await made.publish("out", 0, items(b"1"))
        assert producer.values() == [b"1"]
        assert retries == [type(error).__name__]
        assert made.working

    async def test_what_waiting_does_not_mend_is_raised_unacknowledged(self):
        producer = FakeProducer([TopicAuthorizationFailedError()])
        made, _ = await publisher(producer)
        with pytest.raises(TopicAuthorizationFailedError):
            await made.publish("out", 0, items(b"1"))
        assert producer.log == []
        assert not made.working

    async def test_it_is_not_working_before_it_is_started(self):
        assert not Publisher(FakeProducer, lambda _: None).working

    async def test_stopping_stops_the_producer(self):
        producer = FakeProducer()
        made, _ = await publisher(producer)
        await made.stop()
        assert producer.stopped
