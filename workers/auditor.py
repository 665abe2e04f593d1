"""Writing the audit topic: each control record once, by whichever worker is first.

The ward does not wait for the audit: what cannot be written now is tried again, and again by the next worker that
starts, as long as the control topic holds the record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from topics import headers as names
from topics.audit import AuditEvent
from workers.audit import AuditTrail
from workers.whole_topic import follow

log = structlog.get_logger(__name__)

SPREAD_S: Final = 3.0
"""Workers hold a change back for up to this long, each for a time of its own."""

_PAUSE_S: Final = 5.0
_CE_TYPE: Final = (names.TYPE_PREFIX + "audit").encode()


class Auditor:
    """Follows the audit topic, and adds what is missing there.

    Args:
        make_consumer: Builds a consumer without a group; called again when one breaks.
        make_producer: Builds a producer. One is opened for each writing: control changes are rare.
        topic: Full name of the audit topic.
        delay_s: See AuditTrail; 0 to SPREAD_S, drawn by chance.
        on_waiting: Told how many changes are not written yet.
    """

    def __init__(
        self, make_consumer: Callable[[], AIOKafkaConsumer], make_producer: Callable[[], AIOKafkaProducer], topic: str,
        delay_s: float, on_waiting: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._make_consumer = make_consumer
        self._make_producer = make_producer
        self._topic = topic
        self._trail = AuditTrail(delay_s)
        self._on_waiting = on_waiting

    def note(self, event: AuditEvent) -> None:
        """A control record has been read; it is written unless it has been already."""
        self._trail.note(event, time.monotonic())
        self._on_waiting(len(self._trail))

    async def run(self) -> None:
        """Follow and write until cancelled. Kafka's errors end nothing: the worker's own work does not rest on this."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                log.warning("audit_failed", error=type(error).__name__, waiting=len(self._trail), retry_s=_PAUSE_S)
                await asyncio.sleep(_PAUSE_S)

    async def _follow(self) -> None:
        async with aclosing(follow(self._make_consumer(), self._topic)) as polls:
            async for records, at_end in polls:
                for record in records:
                    self._trail.seen((dict(record.headers).get(names.CE_ID) or b"").decode(errors="replace"))
                due = self._trail.due(time.monotonic()) if at_end else ()
                if due:
                    await self._write(due)
                self._on_waiting(len(self._trail))

    async def _write(self, events: Sequence[AuditEvent]) -> None:
        producer = self._make_producer()
        try:
            await producer.start()
            for event in events:
                await producer.send_and_wait(
                    self._topic, event.model_dump_json().encode(), key=(event.subject or "").encode() or None,
                    headers=_headers(event, self._topic),
                )  # fmt: skip
                self._trail.seen(event.audit_id)
                log.info("audit_written", control_offset=event.control_offset)
        finally:
            await producer.stop()


def _headers(event: AuditEvent, topic: str) -> list[tuple[str, bytes]]:
    """CloudEvents, binary mode. `ce_id` is what workers recognise a written record by."""
    return [
        (names.CONTENT_TYPE, names.JSON.encode()),
        (names.CE_SPECVERSION, names.SPECVERSION.encode()),
        (names.CE_ID, event.audit_id.encode()),
        (names.CE_TYPE, _CE_TYPE),
        (names.CE_SOURCE, topic.encode()),
        (names.CE_TIME, event.written_at.isoformat().encode()),
    ]
