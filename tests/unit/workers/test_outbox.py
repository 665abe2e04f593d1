"""What leaves: keys, partitions, and dead letters that say why and nothing about whom."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from tests.fakes import FakeProducer
from tests.unit.workers.made import Ward, encoded, image, record, source, vitals
from topics import headers as names
from topics.reasons import Reason
from workers.outbox import Outbox, dead_letter_headers
from workers.publisher import Publisher
from workers.records import Refused


async def outbox(producer: FakeProducer) -> Outbox:
    publisher = Publisher(lambda: producer, lambda _: None)
    await publisher.start()
    return Outbox(publisher, "hospital.")


class TestResults:
    async def test_go_to_the_partition_of_their_input(self):
        producer = FakeProducer(limit=10**6)
        decided = Ward().decide(*(record(vitals(f"p{k}"), partition=k, offset=k) for k in range(3)))
        assert await (await outbox(producer)).publish(decided) == []
        assert sorted((topic, partition) for topic, partition, _ in producer.log) == [
            ("hospital.patient.recommendations", k) for k in range(3)
        ]

    async def test_too_large_goes_without_its_heat_map(self):
        producer = FakeProducer(limit=20_000)
        (decided,) = Ward().decide(record(image(), encoded=encoded(1, heat_map=np.full((90, 90), 0.123, np.float32))))
        assert await (await outbox(producer)).publish([decided]) == []
        body = json.loads(producer.log[0][2])
        assert body["explanation"]["heat_map"] is None
        assert Reason.OUTPUT_TRIMMED in body["reasons"]

    async def test_what_no_setting_admits_is_refused(self):
        producer = FakeProducer(limit=100)
        (decided,) = Ward().decide(record(vitals()))
        (refused,) = await (await outbox(producer)).publish([decided])
        assert refused.reason is Reason.OUTPUT_REFUSED
        assert refused.source is decided.record.source


class TestDeadLetters:
    def test_name_the_record_and_the_reason(self):
        made = source(vitals(), offset=9, partition=2)
        said = dict(dead_letter_headers(Refused(made, Reason.SCHEMA, "observations: missing")))
        assert said[names.ERROR_REASON] == b"schema"
        assert said[names.ERROR_DETAIL] == b"observations: missing"
        assert said[names.ERROR_TOPIC] == b"hospital.patient.vitals"
        assert (said[names.ERROR_PARTITION], said[names.ERROR_OFFSET]) == (b"2", b"9")
        assert said[names.ERROR_VALUE_SHA256] == hashlib.sha256(made.value).hexdigest().encode()
        assert said[names.ERROR_VALUE_BYTES] == str(len(made.value)).encode()
        assert set(said) <= set(names.DEAD_LETTER)

    async def test_carry_the_original_bytes_key_and_headers(self):
        batches = []

        class Keeping(FakeProducer):
            async def send_batch(self, batch, topic, *, partition):
                batches.append((topic, partition, batch.records))
                return await super().send_batch(batch, topic, partition=partition)

        made = source(vitals(), headers=(("x-mine", b"1"),), partition=1)
        await (await outbox(Keeping(limit=10**6))).bury([Refused(made, Reason.SCHEMA, "d")])
        ((topic, partition, ((key, value, headers),)),) = batches
        assert (topic, partition) == ("hospital.wardstream.dead-letters", 1)
        assert (key, value) == (made.key, made.value)
        assert headers[0] == ("x-mine", b"1")

    async def test_too_large_goes_without_its_value_but_with_its_hash(self):
        batches = []

        class Keeping(FakeProducer):
            async def send_batch(self, batch, topic, *, partition):
                batches.extend(batch.records)
                return await super().send_batch(batch, topic, partition=partition)

        made = source(vitals() | {"observations": "x" * 5000})
        await (await outbox(Keeping(limit=2000))).bury([Refused(made, Reason.SCHEMA, "d")])
        ((key, value, headers),) = batches
        assert value is None
        assert key == made.key
        said = dict(headers)
        assert said[names.ERROR_VALUE_OMITTED] == b"true"
        assert said[names.ERROR_VALUE_SHA256] == hashlib.sha256(made.value).hexdigest().encode()

    async def test_a_tombstone_has_no_hash(self):
        made = source(vitals())
        made.value = None
        assert names.ERROR_VALUE_SHA256 not in dict(dead_letter_headers(Refused(made, Reason.NULL_VALUE, "d")))
