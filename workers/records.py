"""A record on its way through the worker, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topics.events import Event
from topics.reasons import Reason
from workers.alert_policy import Tier
from workers.ledger import PartitionLedger
from workers.slow_start import Care

Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Source:
    """Where a record came from, and its bytes.

    Attributes:
        topic: Name without the system's prefix; `full_topic` with it.
        received_ms: Wall clock when it was fetched, epoch milliseconds.
        received: Monotonic seconds of the same moment.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    ledger: PartitionLedger
    received_ms: int
    received: float
    care: Care = Care.NORMAL
    full_topic: str = ""


@dataclass(slots=True)
class Encoded:
    """What the encoder made of an image or a note.

    Attributes:
        embedding: `(32,)` float32.
        probability: `(<= 8,)` float32 of the strongest labels, in manifest order for images.
        quality: Bits of `workers.context` (FOREIGN, UNREADABLE).
        reasons: Flags for the output.
        spans: Character spans of a note with their weights.
        heat_map: `(h, w)` float32 of an image in [0, 1], or None.
        labels: Names beside `probability`.
        possible: Beside `probability`: the label cannot be ruled out.
        certain: Beside `probability`: nothing else is left.
        model: Digest of the encoder's version; 0 where it is not known.
        version: Of the encoder; empty where there was none.
    """

    embedding: NDArray[np.float32]
    probability: NDArray[np.float32]
    labels: tuple[str, ...] = ()
    quality: int = 0
    reasons: tuple[Reason, ...] = ()
    spans: tuple[tuple[int, int, float], ...] = ()
    heat_map: NDArray[np.float32] | None = None
    possible: tuple[bool, ...] = ()
    certain: tuple[bool, ...] = ()
    model: int = 0
    version: str = ""


@dataclass(slots=True)
class Record:
    """A decoded record.

    Attributes:
        source: Where it came from.
        event: The validated event.
        event_ms: Its event time, epoch milliseconds.
        patient: HMAC that stands for the patient.
        id64: Digest of kind, source and event id.
        content64: Digest of its bytes.
        replaces64: Digest of the replaced event, 0 for none.
        encoded: What the encoder made of it, for images and notes.
        unknown_fields: Fields of a newer minor version that were ignored.
    """

    source: Source
    event: Event
    event_ms: int
    patient: bytes
    id64: int
    content64: int
    replaces64: int = 0
    encoded: Encoded | None = None
    unknown_fields: int = 0


@dataclass(slots=True)
class Publish:
    """A recommendation to publish.

    Attributes:
        value: The body as JSON.
        headers: Outgoing headers.
        status: As in the body.
        alert_state: As in the body.
        alert_tier: As in the body.
        reasons: As in the body.
        arm: How it was decided: live, canary or rules_only.
        policy: Unit whose alert policy was used, * for that of everywhere.
        covered_s: Event time by which the record prolonged what is known of the patient.
    """

    record: Record
    value: bytes
    headers: list[tuple[str, bytes]]
    status: str
    alert_state: str
    alert_tier: str | None
    reasons: Sequence[Reason] = ()
    arm: str = "live"
    policy: str = "*"
    covered_s: float = 0.0


@dataclass(slots=True)
class Applied:
    """A clinician's answer that was applied to the patient's state; nothing is published for it.

    Attributes:
        outcome: As in the event.
        effect: What it did, in a word.
        override_reason: Code, None where nothing was overridden.
        tier: Of the alert as it stood.
        waited_s: From telling to this answer; None where it answered no alert.
    """

    record: Record
    outcome: str
    effect: str
    override_reason: str | None
    tier: Tier
    waited_s: float | None


@dataclass(slots=True)
class Duplicate:
    """A record that has ended before."""

    record: Record


@dataclass(slots=True)
class Refused:
    """A record for the dead letters.

    Attributes:
        detail: What is wrong, without patient data.
    """

    source: Source
    reason: Reason
    detail: str


def conflicting(record: Record) -> Refused:
    """What becomes of a record whose event id was used before for something else."""
    detail = "an event with this event_id and other content was processed before"
    return Refused(record.source, Reason.EVENT_ID_CONFLICT, detail)


Decision = Publish | Applied | Duplicate | Refused
