"""The topics: name, what their values are, and how the broker keeps them.

Decides the table that `wardstream topics apply` creates and that the docs print. Knows no broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from topics.audit import AuditEvent
from topics.control import ControlEvent
from topics.events import Contract
from topics.feedback import FeedbackEvent
from topics.imaging import ImagingEvent
from topics.notes import NoteEvent
from topics.recommendation import RecommendationEvent
from topics.vitals import VitalsEvent

VITALS: Final = "patient.vitals"
NOTES: Final = "patient.notes"
IMAGING: Final = "patient.imaging"
RECOMMENDATIONS: Final = "patient.recommendations"
FEEDBACK: Final = "patient.feedback"
CONTROL: Final = "wardstream.control"
AUDIT: Final = "wardstream.audit"
DEAD_LETTERS: Final = "wardstream.dead-letters"

_AUDIT_RETENTION_H: Final = 10 * 365 * 24.0  # policy: longer than most record-keeping duties, short of for ever
_UNAUDITED_H: Final = 7 * 24.0  # policy: no change is lost to the audit unless all workers are away for a week


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: Without the operator's prefix.
        kind: Contract of the values; None where they are not ours (dead letters hold what was sent).
        partitions: None leaves it to the operator's setting.
        cleanup: Kafka's `cleanup.policy`.
        retention_h: Hours; None leaves it to the operator's setting (and means nothing where compacted).
        keep_h: Hours for which compaction leaves every record, also one that a newer has replaced.
        key: What the record's key is.
        writer: Who writes.
    """

    name: str
    kind: type[Contract] | None
    partitions: int | None = None
    cleanup: Literal["delete", "compact"] = "delete"
    retention_h: float | None = None
    keep_h: float | None = None
    key: str = "patient_id"
    writer: str = "wardstream"


TOPICS: Final[tuple[Topic, ...]] = (
    Topic(VITALS, VitalsEvent, writer="event producers"),
    Topic(NOTES, NoteEvent, writer="event producers"),
    Topic(IMAGING, ImagingEvent, writer="event producers"),
    Topic(RECOMMENDATIONS, RecommendationEvent),
    Topic(FEEDBACK, FeedbackEvent, writer="alerting consumers"),
    Topic(
        CONTROL, ControlEvent, partitions=1, cleanup="compact", keep_h=_UNAUDITED_H, key="subject", writer="operators"
    ),
    Topic(AUDIT, AuditEvent, partitions=1, retention_h=_AUDIT_RETENTION_H, key="subject"),
    Topic(DEAD_LETTERS, None, key="the original key"),
)


def full_name(prefix: str, name: str) -> str:
    """A topic's name in the cluster: `prefix` is put before it as it is."""
    return prefix + name
