"""Names of the headers of outgoing records, and of control records.

Decides names only. Headers can be read by whoever routes records, so none of them ever carries a patient's data:
`ce_subject` is the encounter's or patient's keyed HMAC, never an identifier.
"""

from __future__ import annotations

from typing import Final

CONTENT_TYPE: Final = "content-type"
JSON: Final = "application/json"

# CloudEvents 1.0, Kafka protocol binding, binary mode
CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
CE_SOURCE: Final = "ce_source"
CE_TIME: Final = "ce_time"
CE_SPECVERSION: Final = "ce_specversion"
CE_SUBJECT: Final = "ce_subject"
SPECVERSION: Final = "1.0"
TYPE_PREFIX: Final = "io.wardstream."

# W3C Trace Context
TRACEPARENT: Final = "traceparent"

# So that an alerting consumer can skip a record without parsing its value
ALERT_STATE: Final = "wardstream-alert-state"
ALERT_TIER: Final = "wardstream-alert-tier"
STATUS: Final = "wardstream-status"

# A control record without a value, which takes a setting back: who did it and why
CONTROL_ACTOR: Final = "wardstream-actor"
CONTROL_REASON: Final = "wardstream-reason"

# Dead letters: the original value, key and headers, and these beside them
ERROR_REASON: Final = "x-error-reason"
ERROR_DETAIL: Final = "x-error-detail"
ERROR_TOPIC: Final = "x-error-topic"
ERROR_PARTITION: Final = "x-error-partition"
ERROR_OFFSET: Final = "x-error-offset"
ERROR_TIMESTAMP: Final = "x-error-timestamp"
ERROR_TIME: Final = "x-error-time"
ERROR_ATTEMPTS: Final = "x-error-attempts"
ERROR_VERSION: Final = "x-error-version"
ERROR_VALUE_SHA256: Final = "x-error-value-sha256"
ERROR_VALUE_BYTES: Final = "x-error-value-bytes"
ERROR_VALUE_OMITTED: Final = "x-error-value-omitted"
ERROR_PREFIX: Final = "x-error-"

OUTGOING: Final = (
    CONTENT_TYPE, CE_ID, CE_TYPE, CE_SOURCE, CE_TIME, CE_SPECVERSION, CE_SUBJECT, TRACEPARENT, ALERT_STATE, ALERT_TIER,
    STATUS,
)  # fmt: skip
CONTROL: Final = (CONTROL_ACTOR, CONTROL_REASON)
AUDIT: Final = (CONTENT_TYPE, CE_ID, CE_TYPE, CE_SOURCE, CE_TIME, CE_SPECVERSION)
DEAD_LETTER: Final = (
    ERROR_REASON, ERROR_DETAIL, ERROR_TOPIC, ERROR_PARTITION, ERROR_OFFSET, ERROR_TIMESTAMP, ERROR_TIME, ERROR_ATTEMPTS,
    ERROR_VERSION, ERROR_VALUE_SHA256, ERROR_VALUE_BYTES, ERROR_VALUE_OMITTED,
)  # fmt: skip
