"""One record of the control topic, read: a setting, a setting taken back, or a refusal.

Decides what a control record says; the worker's reader and the command line share it, so that `wardstream control show`
shows what workers hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from topics import headers as names
from topics.codec import Rejected, decode
from topics.control import ControlEvent


class Change(NamedTuple):
    """What one record does.

    Attributes:
        partition: Where it lies.
        offset: Where it lies.
        timestamp_ms: Its timestamp in Kafka, epoch milliseconds.
        subject: Its key as text.
        event: The setting; None where one is taken back, or the record refused.
        refusal: Why it cannot be used, if so.
        actor: Who took the setting back, where the record says so; events say it themselves.
        reason: Why it was taken back, likewise.
    """

    partition: int
    offset: int
    timestamp_ms: int
    subject: str
    event: ControlEvent | None = None
    refusal: Rejected | None = None
    actor: str | None = None
    reason: str | None = None


def read_change(record: Any, now_ms: int) -> Change:
    """Read a record.

    Args:
        record: As aiokafka's consumer gives it.
        now_ms: The clock, epoch milliseconds; an event from the future is refused.
    """
    key, value = record.key, record.value
    change = Change(record.partition, record.offset, record.timestamp, (key or b"").decode(errors="replace"))
    if value is None:
        said = {name: text.decode(errors="replace") for name, text in record.headers if text is not None}
        return change._replace(actor=said.get(names.CONTROL_ACTOR), reason=said.get(names.CONTROL_REASON))
    (answer,) = decode(ControlEvent, [(key, value)], now_ms=now_ms)
    if isinstance(answer, Rejected):
        return change._replace(refusal=answer)
    return change._replace(subject=answer.event.subject, event=answer.event)
