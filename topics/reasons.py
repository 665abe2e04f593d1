"""Why a record was refused or a result is qualified: one code each, explained to the person who must act.

Decides the vocabulary alone. What becomes of a record with a given reason is the worker's business.

Two families share one enumeration, because both travel in recommendations, headers and metrics:

* dead letters: the record's bytes, identity or time cannot be used, or its output could not be published;
* flags: the record was processed, and this is what the reader of the result must know.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Reason(StrEnum):
    """Codes are stable: they are added to, never renamed."""

    # Dead letters
    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    SCHEMA = "schema"
    SCHEMA_VERSION = "schema_version"
    IDENTITY = "identity"
    KEY_MISMATCH = "key_mismatch"
    EVENT_TIME_MISSING = "event_time_missing"
    EVENT_TIME_INVALID = "event_time_invalid"
    EVENT_TIME_NAIVE = "event_time_naive"
    EVENT_TIME_FUTURE = "event_time_future"
    REPLACES_MISSING = "replaces_missing"
    EVENT_ID_CONFLICT = "event_id_conflict"
    ACTION_UNKNOWN = "action_unknown"
    SNOOZE_UNREASONED = "snooze_unreasoned"
    OUTPUT_REFUSED = "output_refused"
    DECODE_CRASH = "decode_crash"

    # Flags: about the values of the event
    SUSPECT_VALUE = "suspect_value"
    UNIT_UNKNOWN = "unit_unknown"
    CODE_UNKNOWN = "code_unknown"
    CONFLICTING_VALUES = "conflicting_values"
    UNKNOWN_FIELDS = "unknown_fields"
    KEY_MISSING = "key_missing"

    # Flags: about time and context
    TOO_LATE = "too_late"
    SUPERSEDED = "superseded"
    STALE = "stale"
    VITALS_STALE = "vitals_stale"
    CATCHING_UP = "catching_up"
    COLD_CONTEXT = "cold_context"
    REDIS_UNAVAILABLE = "redis_unavailable"

    # Flags: about models and scores
    MODEL_FAILED = "model_failed"
    MODEL_SKIPPED = "model_skipped"
    MODEL_OFF = "model_off"
    KILL_SWITCH = "kill_switch"
    RULES_ONLY = "rules_only"
    MODEL_VERSION_UNAVAILABLE = "model_version_unavailable"
    FUSION_MISFIT = "fusion_misfit"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    AMBIGUOUS = "ambiguous"
    NOT_APPLICABLE = "not_applicable"
    AGE_UNKNOWN = "age_unknown"
    INCOMPLETE = "incomplete"
    MISSING_MODALITY = "missing_modality"
    NOTE_TRUNCATED = "note_truncated"
    OUTPUT_TRIMMED = "output_trimmed"

    # Flags: about the image of the event
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_FORBIDDEN = "image_forbidden"
    IMAGE_HASH_MISMATCH = "image_hash_mismatch"

    @property
    def explanation(self) -> str:
        """One line that says what was found."""
        return GUIDE[self].explanation

    @property
    def advice(self) -> str:
        """One line that says what the producer (or, for flags of the system, the operator) can do."""
        return GUIDE[self].advice


class Guidance(NamedTuple):
    """What a reason means and what to do about it."""

    explanation: str
    advice: str


_NOTHING: Final = "Nothing: read the result with it in mind."

_GUIDE: Final[dict[Reason, Guidance]] = {
    Reason.NULL_VALUE: Guidance(
        "The record has no value; a tombstone means nothing on an event topic.",
        "Send a retraction instead: status entered-in-error, with replaces.",
    ),
    Reason.TOO_LARGE: Guidance(
        "The value is larger than 1 MiB.",
        "Send images by claim check, and split large observation sets.",
    ),
    Reason.NOT_UTF8: Guidance("The value is not UTF-8.", "Encode the JSON text as UTF-8, and do not compress values."),
    Reason.NOT_JSON: Guidance(
        "The value is not one JSON document, or is nested deeper than any event.",
        "Send one JSON object a record, without a byte order mark, comments or trailing text.",
    ),
    Reason.SCHEMA: Guidance(
        "A field is missing, has the wrong type or is not in the contract; the detail names the fields.",
        "Validate against the JSON Schema of the topic (`wardstream schemas export`).",
    ),
    Reason.SCHEMA_VERSION: Guidance(
        "schema_version is missing, malformed or of another major version.",
        "Send the major version that this system speaks; a higher minor version is accepted.",
    ),
    Reason.IDENTITY: Guidance(
        "event_id or patient_id is missing, not a string, empty, longer than 128 characters or has control characters.",
        "Send both as strings; event_id must be unique and stay the same when the event is sent again.",
    ),
    Reason.KEY_MISMATCH: Guidance(
        "The record's key names somebody else than the value.",
        "Use patient_id (on the control topic: subject), as UTF-8, as the key. Treat it as a safety incident: "
        "one of the two is wrong.",
    ),
    Reason.EVENT_TIME_MISSING: Guidance(
        "event_time is missing.", "Send when it was observed, as RFC 3339 with offset."
    ),
    Reason.EVENT_TIME_INVALID: Guidance(
        "event_time is not an RFC 3339 date and time.",
        "Send text such as 2026-03-01T08:15:00+01:00, never an epoch number.",
    ),
    Reason.EVENT_TIME_NAIVE: Guidance(
        "event_time has no UTC offset.", "Add the offset (Z or +hh:mm); it is never guessed."
    ),
    Reason.EVENT_TIME_FUTURE: Guidance(
        "event_time is more than five minutes ahead of the system's clock.",
        "Synchronise the sender's clock; do not send planned times.",
    ),
    Reason.REPLACES_MISSING: Guidance(
        "A corrected or entered-in-error event does not say which other event it replaces.",
        "Put the event_id of the event that is being replaced into replaces.",
    ),
    Reason.EVENT_ID_CONFLICT: Guidance(
        "An event with this event_id and other content was processed before.",
        "Give every event its own event_id; send changes as status corrected with replaces.",
    ),
    Reason.ACTION_UNKNOWN: Guidance(
        "The feedback names an action that is not in the catalogue.",
        "Send the action_id of a recommendation as it came, or leave it out.",
    ),
    Reason.SNOOZE_UNREASONED: Guidance(
        "The feedback puts a critical alert off and does not say why.",
        "Send override_reason with the snooze: one of the coded reasons.",
    ),
    Reason.OUTPUT_REFUSED: Guidance(
        "The broker refused the result for good, even after it shed its optional parts.",
        "Operator: compare max.message.bytes of the output topic, then replay the dead letter: it was not remembered.",
    ),
    Reason.DECODE_CRASH: Guidance(
        "Reading this record ended the process repeatedly.",
        "Operator: keep the record and report it; it is a defect of this system.",
    ),
    Reason.SUSPECT_VALUE: Guidance(
        "A value is implausible, not a number or of the wrong type, and was treated as missing.",
        "Check probe, cuff, lead or typing; send a correction where the value is known.",
    ),
    Reason.UNIT_UNKNOWN: Guidance(
        "A value's unit is unknown or had to be given, and the value was treated as missing.",
        "Send the UCUM unit; it is mandatory where a laboratory value is reported in several units.",
    ),
    Reason.CODE_UNKNOWN: Guidance(
        "An observation, flag or note kind has a code that is not in the contract, and was left out.",
        "Use the parameter names or LOINC codes of the contract.",
    ),
    Reason.CONFLICTING_VALUES: Guidance(
        "One event gives a parameter two different values; the last one was used.",
        "Send one value a parameter and event.",
    ),
    Reason.UNKNOWN_FIELDS: Guidance("Fields of a newer minor version were ignored.", "Upgrade this system."),
    Reason.KEY_MISSING: Guidance(
        "The record has no key, so the order of this patient's records is not assured.", "Use patient_id as the key."
    ),
    Reason.TOO_LATE: Guidance(
        "The event is older than the window that is kept to be recomputed; the patient's state was left as it is.",
        "Send events within hours of their observation.",
    ),
    Reason.SUPERSEDED: Guidance(
        "A correction or retraction has replaced this event.", "Use the result that supersedes it."
    ),
    Reason.STALE: Guidance(
        "Vital signs, a note or an image is older than it counts as fresh; single values beyond their maximum age "
        "are treated as missing.",
        "Repeat the observation.",
    ),
    Reason.VITALS_STALE: Guidance(
        "The newest vital signs are older than four hours, so the models abstain.", "Repeat the observations."
    ),
    Reason.CATCHING_UP: Guidance("The result was published after its expiry, so it does not page anybody.", _NOTHING),
    Reason.COLD_CONTEXT: Guidance(
        "The patient's earlier context was lost or never known; the result starts anew.", _NOTHING
    ),
    Reason.REDIS_UNAVAILABLE: Guidance(
        "The context store could not be reached; the result rests on what this worker holds.",
        "Operator: restore Redis; the worker goes on by itself.",
    ),
    Reason.MODEL_FAILED: Guidance(
        "A model failed on this record; the clinical scores stand.",
        "Operator: see the worker's log for the model's error.",
    ),
    Reason.MODEL_SKIPPED: Guidance(
        "The models were skipped because this record ended the process before; the clinical scores stand.",
        "Operator: keep the record and report it.",
    ),
    Reason.MODEL_OFF: Guidance("A model was switched off by control.", _NOTHING),
    Reason.KILL_SWITCH: Guidance("All models were switched off by control; rules go on.", _NOTHING),
    Reason.RULES_ONLY: Guidance(
        "The ward is set to rules only: clinical scores and rules hold, no model was asked.",
        _NOTHING,
    ),
    Reason.MODEL_VERSION_UNAVAILABLE: Guidance(
        "A version of a model that control asks for is not loaded here, or not yet; the one before it was used.",
        "Operators: where it stays, put the version into the models folder of every worker, or take the setting back.",
    ),
    Reason.FUSION_MISFIT: Guidance(
        "The fusion in use was trained with other versions of the models beside it: the vitals model's risk was used.",
        "Operators: use the fusion that was trained with them.",
    ),
    Reason.OUT_OF_DISTRIBUTION: Guidance(
        "An input is unlike what the model was made from, so the model abstains.",
        "Check that the input is what it says.",
    ),
    Reason.AMBIGUOUS: Guidance(
        "The model cannot tell which answer holds for this event; the prediction sets say which are left open.",
        "Judge without the model; a later event may settle it.",
    ),
    Reason.NOT_APPLICABLE: Guidance(
        "NEWS2 does not apply (under 16 years or pregnant), nothing is derived from it, and the models abstain.",
        "Use the chart that applies to this patient.",
    ),
    Reason.AGE_UNKNOWN: Guidance(
        "No vitals event states the patient's age: NEWS2 is scored as for an adult, and the models abstain.",
        "Send subject.age_years with vital signs; it is carried on.",
    ),
    Reason.INCOMPLETE: Guidance(
        "The score's parameters are not all known; its possible range is given.", "Complete the set of observations."
    ),
    Reason.MISSING_MODALITY: Guidance(
        "Vital signs, notes or images are absent and were left out of the fusion.", _NOTHING
    ),
    Reason.NOTE_TRUNCATED: Guidance("The note is longer than the model reads; the rest was left out.", _NOTHING),
    Reason.OUTPUT_TRIMMED: Guidance("The result shed its heat map or note spans to fit into a record.", _NOTHING),
    Reason.IMAGE_UNREADABLE: Guidance(
        "The image could not be decoded.", "Send PNG, JPEG or DICOM and the right media_type."
    ),
    Reason.IMAGE_TOO_LARGE: Guidance("The image has too many bytes or pixels.", "Send a smaller rendering."),
    Reason.IMAGE_NOT_FOUND: Guidance(
        "The claim check's object does not exist.", "Store the object before the event is sent."
    ),
    Reason.IMAGE_FORBIDDEN: Guidance(
        "The claim check names a root or host that is not allowed, or access was denied.",
        "Operator: extend WARDSTREAM_IMAGE_ROOTS or WARDSTREAM_IMAGE_HOSTS, or grant access.",
    ),
    Reason.IMAGE_HASH_MISMATCH: Guidance(
        "The object's SHA-256 or size differs from the claim check.",
        "Never overwrite a stored image; send a new event.",
    ),
}
GUIDE: Final = MappingProxyType(_GUIDE)

DEAD_LETTER: Final = frozenset({
    Reason.NULL_VALUE, Reason.TOO_LARGE, Reason.NOT_UTF8, Reason.NOT_JSON, Reason.SCHEMA, Reason.SCHEMA_VERSION,
    Reason.IDENTITY, Reason.KEY_MISMATCH, Reason.EVENT_TIME_MISSING, Reason.EVENT_TIME_INVALID,
    Reason.EVENT_TIME_NAIVE, Reason.EVENT_TIME_FUTURE, Reason.REPLACES_MISSING, Reason.EVENT_ID_CONFLICT,
    Reason.OUTPUT_REFUSED, Reason.DECODE_CRASH, Reason.ACTION_UNKNOWN, Reason.SNOOZE_UNREASONED,
})  # fmt: skip
"""Reasons that end a record as a dead letter; all others qualify a result."""


def markdown(reasons: Iterable[Reason] = Reason) -> str:
    """The producers' table: code, what becomes of the record, what it means, what to do."""
    rows = ["| code | outcome | meaning | what to do |", "|---|---|---|---|"]
    for reason in reasons:
        outcome = "dead letter" if reason in DEAD_LETTER else "flag"
        rows.append(f"| `{reason}` | {outcome} | {reason.explanation} | {reason.advice} |")
    return "\n".join(rows) + "\n"
