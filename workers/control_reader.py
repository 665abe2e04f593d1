"""Reading the control topic: all of it, by every worker, without a group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer

from topics.audit import AuditEvent
from workers.audit import audit_event
from workers.clock import now_ms
from workers.control import ControlBoard
from workers.control_record import read_change
from workers.whole_topic import follow

log = structlog.get_logger(__name__)


class ControlReader:
    """Follows the control topic into a board.

    Args:
        consumer: Without a group, not yet started.
        topic: Full name.
        board: What is in force.
        on_offset: Told the newest offset applied.
        on_change: Told of each record, for the audit topic: also of those that were there before this worker.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, topic: str, board: ControlBoard, on_offset: Callable[[int], None],
        on_change: Callable[[AuditEvent], None],
    ) -> None:  # fmt: skip
        self._consumer = consumer
        self._topic = topic
        self._board = board
        self._on_offset = on_offset
        self._on_change = on_change
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Read from the beginning, then follow, until cancelled."""
        async with aclosing(follow(self._consumer, self._topic)) as polls:
            async for records, at_end in polls:
                for record in records:
                    self._apply(record)
                if at_end:
                    self.caught_up.set()

    def _apply(self, record: Any) -> None:
        change = read_change(record, now_ms())
        if change.refusal is not None:
            log.warning(
                "control_refused", reason=change.refusal.reason, detail=change.refusal.detail, offset=change.offset
            )
            self._board.skip(change.offset)
            self._on_change(audit_event(change, None))
            return
        before = self._board.apply(change.subject, change.event, change.offset)
        log.info("control_applied", kind=change.event.kind if change.event else "taken_back", offset=change.offset)
        self._on_offset(change.offset)
        self._on_change(audit_event(change, before))
