"""Reading the control topic: all of it, by every worker, without a group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from topics.codec import Rejected, decode
from topics.control import ControlEvent
from workers.control import ControlBoard

log = structlog.get_logger(__name__)


class ControlReader:
    """Follows the control topic into a board.

    Args:
        consumer: Without a group, not yet started.
        topic: Full name.
        board: What is in force.
        on_offset: Told the newest offset applied.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, topic: str, board: ControlBoard, on_offset: Callable[[int], None]
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._board = board
        self._on_offset = on_offset
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Read from the beginning, then follow, until cancelled."""
        await self._consumer.start()
        try:
            partitions = [TopicPartition(self._topic, p) for p in await self._partitions()]
            self._consumer.assign(partitions)
            await self._consumer.seek_to_beginning(*partitions)
            while True:
                try:
                    batches = await self._consumer.getmany(timeout_ms=500)
                except KafkaError as error:
                    log.warning("control_read_failed", error=type(error).__name__)
                    await asyncio.sleep(0.5)
                    continue
                for records in batches.values():
                    for record in records:
                        self._apply(record.key, record.value, record.offset)
                if await self._at_end(partitions):
                    self.caught_up.set()
        finally:
            await self._consumer.stop()

    async def _partitions(self) -> set[int]:
        """The topic's partitions; waits for the topic to be created."""
        while not (found := self._consumer.partitions_for_topic(self._topic)):
            await self._consumer._client.force_metadata_update()  # noqa: SLF001 - no public call refreshes metadata
            self._consumer._client.add_topic(self._topic)  # noqa: SLF001
            log.warning("control_topic_missing", topic=self._topic, advice="wardstream topics apply")
            await asyncio.sleep(1.0)
        return set(found)

    async def _at_end(self, partitions: list[TopicPartition]) -> bool:
        for partition in partitions:
            end = self._consumer.highwater(partition)
            if end is None or await self._consumer.position(partition) < end:
                return False
        return True

    def _apply(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        subject = (key or b"").decode(errors="replace")
        if value is None:
            self._board.apply(subject, None, offset)
        else:
            (answer,) = decode(ControlEvent, [(key, value)], now_ms=time.time_ns() // 1_000_000)
            if isinstance(answer, Rejected):
                log.warning("control_refused", reason=answer.reason, detail=answer.detail, offset=offset)
                self._board.skip(offset)
                return
            self._board.apply(answer.event.subject, answer.event, offset)
            log.info("control_applied", kind=answer.event.kind, offset=offset)
        self._on_offset(offset)
