"""A pager: sends alerts to a webhook, asks the next role until somebody answers, and takes them back.

    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 WEBHOOK_URL=https://pager.example/events python pager_webhook.py

The webhook gets one JSON object a message: `event` is trigger, escalate or resolve; `key`, the alert's id, is what it
upserts by; `role` is whom it asks. It may answer `{"outcome": "acknowledged", "actor_role": "nurse"}` (or another
outcome with `override_reason`, `snooze_minutes`): that is written to `patient.feedback`, and the asking stops. It also
stops when a later result says that somebody has answered; a snooze that comes while it asks, starts it again when over.
An answer that is taken back, or did nothing (`answered_at` is null again, or still a minute later), starts it again at
once, with everybody whose time has come.

It begins by reading what its partitions hold by then, and pages nobody for it: an alert may have been answered, cleared
or told anew further on. Then it pages what still stands, is not stale and is not answered, and goes on live. It does so
again when the group shares out the partitions anew.

A record counts as done when its message is delivered and its alert asks nobody any more; only then its offset is
committed. So after a crash the records of waiting alerts are read again, and their clocks run on: repeats are possible,
a forgotten alert is not. What it does not follow: an answer that no result shows yet at a restart; one that was given
before a restart, or before another member took the partition over, and taken back after it; and one given elsewhere
that was taken back before a result showed it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from topics.feedback import FeedbackEvent
from topics.projections.cds_hooks import summary
from topics.projections.reading import read_json
from topics.recommendation import RecommendationEvent

TOPIC, FEEDBACK = "patient.recommendations", "patient.feedback"
STATES = (b"raise", b"update", b"clear", b"suppress")
SAID = ("outcome", "actor_role", "override_reason", "snooze_minutes")
TIMEOUT = ClientTimeout(total=10)
GRACE = timedelta(minutes=1)
"""Results that were published so soon after an answer of the webhook may not know of it."""

Answer = Callable[[FeedbackEvent], Awaitable[None]]
"""Writes an answer to `patient.feedback`."""


class Waiting(NamedTuple):
    """An alert that nobody may have answered yet, the record that told of it, and whom to ask next, and when.

    Once it is answered: the record that showed it. `since`: a result from then on that shows no answer takes it back.
    `told`: false while nobody has been paged for it because later records may say otherwise.
    """

    partition: TopicPartition
    offset: int
    event: RecommendationEvent
    steps: list[tuple[datetime, str | None]]
    since: datetime | None = None
    told: bool = True


class Pager(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """What is to be sent, and when.

    Attributes:
        waiting: By alert id, those that have steps left.
        answered: By alert id, those that somebody has answered, for as long as they stand.
        behind: Partitions that are read without paging, up to this offset (None: not asked for yet).
    """

    def __init__(
        self, session: ClientSession, url: str, answer: Answer, *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC), pause_s: float = 2.0,
    ) -> None:  # fmt: skip
        self.waiting: dict[str, Waiting] = {}
        self.answered: dict[str, Waiting] = {}
        self.behind: dict[TopicPartition, int | None] = {}
        self._session, self._url, self._answer, self._now, self._pause_s = session, url, answer, now, pause_s

    async def take(self, record: ConsumerRecord) -> None:
        """Act on one record: page, take back, note an answer, or leave it."""
        event = recommendation(record)
        if event is None or event.alert.alert_id is None:
            return
        alert, alert_id = event.alert, event.alert.alert_id
        known = self.waiting.get(alert_id)
        if known is not None and known.event.alert.revision > alert.revision:
            return
        partition = TopicPartition(record.topic, record.partition)
        read = Waiting(partition, record.offset, event, steps(event), told=partition not in self.behind)
        if alert.state == "suppress":
            self._note(alert_id, known, read)
            return
        before = known or self.answered.get(alert_id)
        if before is not None and alert.state != "clear" and before.event.alert.revision >= alert.revision:
            return  # a repeat
        self.answered.pop(alert_id, None)
        if alert.state == "clear":
            self.waiting.pop(alert_id, None)
            await self._send("resolve", event, None)
        elif not read.told or self._pages(event):
            same = [key for key, each in self.waiting.items() if each.event.alert.dedupe_key == alert.dedupe_key]
            for key in same:  # it takes the place of an earlier alert of the same patient and action
                del self.waiting[key]
            self.waiting[alert_id] = read
            if read.told:
                await self._send("trigger", event, asked(read))

    async def catch_up(self, partition: TopicPartition) -> None:
        """What was to be read first, has been: page what still stands, in the order in which it was told."""
        self.behind.pop(partition, None)
        for alert_id, waits in sorted(self.waiting.items(), key=lambda item: item[1].offset):
            if waits.told or waits.partition != partition or alert_id in self.answered:
                continue
            if not self._pages(waits.event):
                self.waiting.pop(alert_id, None)
            elif self.waiting.get(alert_id) is waits:
                self.waiting[alert_id] = waits._replace(told=True)
                await self._send("trigger", waits.event, asked(waits))

    def _pages(self, event: RecommendationEvent) -> bool:
        """Whether anybody may be paged for it: it is neither stale nor has it expired."""
        return not event.alert.stale and (event.alert.expires_at is None or self._now() < event.alert.expires_at)

    def _note(self, alert_id: str, known: Waiting | None, read: Waiting) -> None:
        """No news but this: `expires_at` has moved, somebody has answered, or an answer no longer holds."""
        alert, answered = read.event.alert, self.answered.get(alert_id)
        if alert.answered_at is not None:
            self.answered[alert_id] = read
            if known is not None:
                until, role = alert.snoozed_until, asked(known)
                self.waiting[alert_id] = known._replace(
                    event=read.event, steps=[] if until is None else [(until, role)]
                )
        elif answered is not None and holds_no_more(answered, read.event):
            del self.answered[alert_id]
            # From the record of the answer on: read again after a crash, it is taken back again.
            now = [(step.at, step.role) for step in alert.escalation[:1] if read.told]
            self.waiting[alert_id] = read._replace(offset=answered.offset, steps=now + read.steps)
        elif known is not None:
            self.waiting[alert_id] = known._replace(event=read.event)

    async def tick(self) -> None:
        """Ask whoever is to be asked by now; never after the alert has expired."""
        for alert_id, waits in list(self.waiting.items()):
            if waits.partition in self.behind:
                continue
            end, now = waits.event.alert.expires_at, self._now()
            due = dict.fromkeys(role for at, role in waits.steps if at <= now and (end is None or now < end))
            left = [step for step in waits.steps if step[0] > now and (end is None or step[0] < end)]
            self.waiting[alert_id] = waits._replace(steps=left)
            for role in due:
                if alert_id in self.waiting:  # nobody has answered meanwhile
                    await self._send("escalate", waits.event, role)
            if not left:
                self.waiting.pop(alert_id, None)
        for alert_id, was in list(self.answered.items()):
            if was.event.alert.expires_at is not None and was.event.alert.expires_at <= self._now():
                del self.answered[alert_id]

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """The next call says what has come of it."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Forget what another member of the group watches now; of the rest, first read what there is."""
        self.behind = dict.fromkeys(assigned)
        self.waiting = {key: each for key, each in self.waiting.items() if each.partition in self.behind}
        self.answered = {key: each for key, each in self.answered.items() if each.partition in self.behind}

    def done(self, positions: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The offsets to commit: of a partition, that of the oldest record whose alert still waits."""
        oldest = dict(positions)
        for each in self.waiting.values():
            if each.partition in oldest:
                oldest[each.partition] = min(oldest[each.partition], each.offset)
        return oldest

    async def _send(self, what: str, event: RecommendationEvent, role: str | None) -> None:
        alert = event.alert
        message = {
            "event": what,
            "key": alert.alert_id,
            "revision": alert.revision,
            "tier": alert.tier,
            "role": role,
            "patient_id": event.patient_id,
            "unit": event.unit,
            "text": "Alert cleared" if what == "resolve" else summary(event),
            "ack_by": alert.ack_by and alert.ack_by.isoformat(),
            "expires_at": alert.expires_at and alert.expires_at.isoformat(),
        }
        said = await self._post(message)
        if said is not None and what != "resolve" and alert.alert_id is not None:
            try:
                answered = feedback(event, said, self._now())
            except ValueError:  # its text may repeat what the webhook said
                print("the webhook's answer is no answer to an alert, and is left out", file=sys.stderr)
                return
            await self._answer(answered)
            waits = self.waiting.pop(alert.alert_id, None)
            if waits is not None:
                self.answered[alert.alert_id] = waits._replace(since=answered.event_time + GRACE)

    async def _post(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Until it is delivered: what the webhook answered, if it is an object with an outcome.

        Raises where the webhook refuses it for good, and nothing is committed.
        """
        while True:
            try:
                async with self._session.post(
                    self._url, json=message, timeout=TIMEOUT, raise_for_status=True
                ) as response:
                    return outcome_of(await response.read())
            except ClientResponseError as error:
                if error.status < 500 and error.status != 429:
                    raise
            except (ClientError, TimeoutError):
                pass
            print("the webhook does not answer, trying again", file=sys.stderr)
            await asyncio.sleep(self._pause_s)


def recommendation(record: ConsumerRecord) -> RecommendationEvent | None:
    """What a record says of an alert, None where it says nothing or cannot be read."""
    if dict(record.headers).get("wardstream-alert-state") not in STATES or record.value is None:
        return None
    try:
        return read_json(record.value)
    except ValueError:  # its text may repeat the patient's data
        print(f"not a recommendation: partition {record.partition} offset {record.offset}", file=sys.stderr)
        return None


def steps(event: RecommendationEvent) -> list[tuple[datetime, str | None]]:
    """Whom to ask after the first, and when; where there is nobody else, the same again at `ack_by`."""
    roles = event.alert.escalation
    later: list[tuple[datetime, str | None]] = [(step.at, step.role) for step in roles[1:]]
    if later or event.alert.ack_by is None:
        return later
    return [(event.alert.ack_by, roles[0].role if roles else None)]


def asked(waits: Waiting) -> str | None:
    """The role that was asked first, also when it is to be asked again after a snooze."""
    roles = waits.event.alert.escalation
    if roles:
        return roles[0].role
    return waits.steps[0][1] if waits.steps else None


def holds_no_more(answered: Waiting, event: RecommendationEvent) -> bool:
    """Whether a result that shows no answer is late enough to know of this one."""
    if answered.since is None:
        return True
    return event.timing.published_at is not None and event.timing.published_at >= answered.since


def outcome_of(body: bytes) -> dict[str, Any] | None:
    """The answer in the body of a response, None where it has none."""
    try:
        said = json.loads(body)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "outcome" in said else None


def feedback(event: RecommendationEvent, said: dict[str, Any], now: datetime) -> FeedbackEvent:
    """The answer as an event. Raises ValueError where it is none."""
    return FeedbackEvent.model_validate({
        **{name: said[name] for name in SAID if name in said},
        "schema_version": "1.0", "event_id": str(uuid4()), "patient_id": event.patient_id, "unit": event.unit,
        "encounter_id": event.encounter_id, "event_time": now.isoformat(), "source": "pager",
        "recommendation_id": event.recommendation_id, "alert_id": event.alert.alert_id,
    })  # fmt: skip


def setting(name: str) -> str:
    """The environment variable; ends the program in words where it is missing."""
    return os.environ.get(name) or sys.exit(f"{name} is not set: see the first lines of the program")


async def main() -> None:
    """Read, send, run the clocks, commit."""
    servers, url = setting("KAFKA_BOOTSTRAP_SERVERS"), setting("WEBHOOK_URL")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, group_id="pager", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")

    async def answer(event: FeedbackEvent) -> None:
        value = event.model_dump_json(exclude_none=True).encode()
        await producer.send_and_wait(FEEDBACK, value, key=event.patient_id.encode())

    async with ClientSession() as session, AsyncExitStack() as clients:
        pager = Pager(session, url, answer)
        consumer.subscribe([TOPIC], listener=pager)
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a start that fails is told in one line, below
        for client in (consumer, producer):
            clients.push_async_callback(client.stop)  # also one whose start fails
        await producer.start()
        await consumer.start()
        logging.getLogger("aiokafka").setLevel(logging.ERROR)
        while True:
            await turn(consumer, pager)


async def turn(consumer: AIOKafkaConsumer, pager: Pager) -> None:
    """One turn of the loop."""
    fetched = await consumer.getmany(timeout_ms=1000)
    new = [partition for partition, end in pager.behind.items() if end is None]
    if new:
        pager.behind |= await consumer.end_offsets(new)
    for records in fetched.values():
        for record in records:
            await pager.take(record)
    with suppress(CommitFailedError, IllegalStateError):  # reassigned meanwhile: the other reads it again
        positions = {each: await consumer.position(each) for each in consumer.assignment()}
        for partition, position in positions.items():
            end = pager.behind.get(partition)
            if end is not None and position >= end:
                await pager.catch_up(partition)
        await pager.tick()
        await consumer.commit(pager.done(positions))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KafkaError as error:
        sys.exit(f"Kafka: {type(error).__name__}. Is KAFKA_BOOTSTRAP_SERVERS right, and are Kafka and {TOPIC} there?")
    except ClientResponseError as error:
        sys.exit(f"the webhook refuses a message (status {error.status}): nothing further was committed")
    except KeyboardInterrupt:
        sys.exit(130)
