"""Identifiers as keyed HMACs, and the names that results get.

A patient id leaves the process in clear only inside the output topics' values and keys, where consumers need it. In
Redis keys, logs and traces it is an HMAC with the operator's key, so that a dump of those names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from functools import lru_cache

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "recommendations.wardstream").bytes
_ALERTS = uuid.uuid5(uuid.NAMESPACE_DNS, "alerts.wardstream").bytes


class Identity:
    """Keyed pseudonyms.

    Args:
        key: The operator's secret, shared by all workers of one system.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self.patient = lru_cache(maxsize=65_536)(self._patient)

    def _patient(self, patient_id: str) -> bytes:
        """16 bytes that stand for a patient."""
        return hmac.digest(self._key, b"patient\0" + patient_id.encode(), "sha256")[:16]

    def content(self, kind: str, data: bytes) -> bytes:
        """16 bytes that stand for the content of an image or a note."""
        return hmac.digest(self._key, kind.encode() + b"\0" + hashlib.sha256(data).digest(), "sha256")[:16]


def recommendation_id(topic: str, source: str, event_id: str, run: str) -> str:
    """The id of the result of one event: UUIDv5 of source topic, source, event id and run.

    Models are content, not identity: a repeat under newer models has the same id.
    """
    return uuid_text(recommendation_bytes(topic, source, event_id, run))


def recommendation_bytes(topic: str, source: str, event_id: str, run: str) -> bytes:
    """The 16 bytes of `recommendation_id`."""
    return _uuid5(_NAMESPACE, f"{topic}\x1f{source}\x1f{event_id}\x1f{run}")


def alert_id(dedupe: bytes, raising_event: str) -> bytes:
    """16 bytes of the UUIDv5 of what the alert is about and the recommendation that raises it."""
    return _uuid5(_ALERTS, dedupe.hex() + "\x1f" + raising_event)


def dedupe_digest(patient: bytes, encounter_id: str | None, action_id: str) -> bytes:
    """What makes two alerts the same, in 16 bytes: patient (an HMAC), encounter, action; never time, tier or policy."""
    parts = (patient, (encounter_id or "").encode(), action_id.encode())
    return hashlib.blake2b(b"\x1f".join(parts), digest_size=16).digest()


def encounter_digest(encounter_id: str | None) -> int:
    """64 bits that stand for an encounter beside its patient's HMAC, 0 for none."""
    if encounter_id is None:
        return 0
    return int.from_bytes(hashlib.blake2b(encounter_id.encode(), digest_size=8).digest(), "little") or 1


def uuid_text(raw: bytes) -> str:
    """The canonical text of a UUID's 16 bytes."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _uuid5(namespace: bytes, name: str) -> bytes:
    """The bytes of `uuid.uuid5` (RFC 9562, 5.5), at a quarter of its cost: every result has one."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # version 5
    digest[8] = digest[8] & 0x3F | 0x80  # variant
    return bytes(digest)
