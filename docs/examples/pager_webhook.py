"""A pager: sends alerts to a webhook, asks again at `ack_by`, and takes them back.

    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 WEBHOOK_URL=https://pager.example/events python pager_webhook.py

The webhook gets one JSON object a message: `event` is trigger, escalate or resolve; `key`, the alert's id, is what it
upserts by. Whoever stands behind it knows who has acknowledged, and drops an escalation that comes after that.

A record counts as done when its message is delivered and its alert no longer waits for `ack_by`; only then its offset
is committed. So after a crash the records of waiting alerts are read again, and their clocks run on: repeats are
possible, a forgotten alert is not.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from topics.projections.cds_hooks import summary
from topics.projections.reading import read_json
from topics.recommendation import RecommendationEvent

TOPIC = "patient.recommendations"
STATES = (b"raise", b"update", b"clear")
TIMEOUT = ClientTimeout(total=10)


class Waiting(NamedTuple):
    """An alert that nobody may have acknowledged yet, and the record that told of it last."""

    partition: TopicPartition
    offset: int
    event: RecommendationEvent


class Pager:
    """What is to be sent, and when.

    Attributes:
        waiting: By alert id, those whose `ack_by` has not come.
    """

    def __init__(
        self, session: ClientSession, url: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause_s: float = 2.0,
    ) -> None:  # fmt: skip
        self.waiting: dict[str, Waiting] = {}
        self._session, self._url, self._now, self._pause_s = session, url, now, pause_s

    async def take(self, record: ConsumerRecord) -> None:
        """Act on one record: page, take back, or leave it."""
        if dict(record.headers).get("wardstream-alert-state") not in STATES or record.value is None:
            return
        try:
            event = read_json(record.value)
        except ValueError:  # its text may repeat the patient's data
            print(f"not a recommendation: partition {record.partition} offset {record.offset}", file=sys.stderr)
            return
        alert = event.alert
        known = self.waiting.get(alert.alert_id or "")
        if alert.alert_id is None or (known and known.event.alert.revision > alert.revision):
            return
        if alert.state == "clear":
            self.waiting.pop(alert.alert_id, None)
            await self._send("resolve", event)
        elif not alert.stale and (alert.expires_at is None or self._now() < alert.expires_at):
            await self._send("trigger", event)
            partition = TopicPartition(record.topic, record.partition)
            self.waiting[alert.alert_id] = Waiting(partition, record.offset, event)

    async def tick(self) -> None:
        """Ask again for every alert whose `ack_by` has come, once; never after it has expired."""
        for alert_id, (_, _, event) in list(self.waiting.items()):
            deadline, end = event.alert.ack_by, event.alert.expires_at
            if deadline is not None and self._now() < deadline:
                continue
            if deadline is not None and (end is None or self._now() < end):
                await self._send("escalate", event)
            del self.waiting[alert_id]

    def keep(self, assigned: Iterable[TopicPartition]) -> None:
        """Forget what another member of the group watches now."""
        mine = set(assigned)
        self.waiting = {key: each for key, each in self.waiting.items() if each.partition in mine}

    def done(self, positions: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The offsets to commit: of a partition, that of the oldest record whose alert still waits."""
        oldest = dict(positions)
        for partition, offset, _ in self.waiting.values():
            if partition in oldest:
                oldest[partition] = min(oldest[partition], offset)
        return oldest

    async def _send(self, what: str, event: RecommendationEvent) -> None:
        alert = event.alert
        message = {
            "event": what,
            "key": alert.alert_id,
            "revision": alert.revision,
            "tier": alert.tier,
            "patient_id": event.patient_id,
            "unit": event.unit,
            "text": "Alert cleared" if what == "resolve" else summary(event),
            "ack_by": alert.ack_by and alert.ack_by.isoformat(),
            "expires_at": alert.expires_at and alert.expires_at.isoformat(),
        }
        await self._post(message)

    async def _post(self, message: dict[str, Any]) -> None:
        """Until it is delivered; raises where the webhook refuses it for good, and nothing is committed."""
        while True:
            try:
                async with self._session.post(self._url, json=message, timeout=TIMEOUT, raise_for_status=True):
                    return
            except ClientResponseError as error:
                if error.status < 500 and error.status != 429:
                    raise
            except (ClientError, TimeoutError):
                pass
            print("the webhook does not answer, trying again", file=sys.stderr)
            await asyncio.sleep(self._pause_s)


async def main() -> None:
    """Read, send, run the clocks, commit."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], group_id="pager", enable_auto_commit=False,
        auto_offset_reset="earliest",  # what has expired meanwhile pages nobody
    )  # fmt: skip
    async with ClientSession() as session, consumer:
        pager = Pager(session, os.environ["WEBHOOK_URL"])
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            pager.keep(consumer.assignment())
            for records in fetched.values():
                for record in records:
                    await pager.take(record)
            await pager.tick()
            with suppress(CommitFailedError, IllegalStateError):  # reassigned meanwhile: the other reads it again
                positions = {each: await consumer.position(each) for each in consumer.assignment()}
                await consumer.commit(pager.done(positions))


if __name__ == "__main__":
    asyncio.run(main())
