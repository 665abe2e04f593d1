"""What is kept of a patient, as one packed value.

The value is a numpy record of fixed size, so that a whole batch is read by one `frombuffer`, folded as arrays, and
written by one `tobytes` a row. It holds no identifier in clear: event ids are 64-bit digests, the key is an HMAC.

A context is a fold of the patient's events: a checkpoint (the state before the window), a window of raw vitals events
in the order (event time, id digest), the head (the state after the window), the newest images and notes, the digests of
events seen, the alert, and what clinicians answered about single actions. The raw window and the alert are not
versioned by model: another vitals model refolds.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.columns import COLUMNS, FLAGS

LAYOUT: Final = 3
WINDOW: Final = 12  # raw vitals events; half a day of hourly observations
ENTRIES: Final = 4  # newest images, newest notes
SEEN: Final = 48  # digests of the newest events of any kind, to recognise a repeat
HIDDEN: Final = 128  # floats of recurrent state; a smaller model uses the first ones
EMBEDDING: Final = 32
PROBABILITIES: Final = 8
HOLDS: Final = 6  # newest answers of clinicians about single actions
EVIDENCE: Final = 5  # strongest signed contributions of the last vitals event
NEVER: Final = np.iinfo(np.int64).min
COLUMN_COUNT: Final = len(COLUMNS)
FLAG_COUNT: Final = len(FLAGS)
REVISIONS: Final = 6  # newest corrections and retractions of any kind, to settle two of one event

SKIP_MODEL: Final = 1  # row quality bit: the model failed on this row, refolding leaves it out
SUSPECT: Final = 2  # row quality bit: a value was implausible
CONFLICT: Final = 4  # row quality bit: one parameter was given twice with different values

FOREIGN: Final = 1  # entry quality
UNREADABLE: Final = 2  # entry quality
TOMBSTONE: Final = 2**64 - 1  # content digest of an event that was replaced before it arrived

# Every gap is a field of its own: numpy leaves true padding unset, and what happened to lie in memory would be stored.
STATE = np.dtype(
    [
        ("ms", "<i8"),  # position: the last event folded in
        ("id", "<u8"),
        ("first_ms", "<i8"),  # the first event folded in, NEVER before it
        ("hidden", "<f4", (HIDDEN,)),
        ("value", "<f4", (COLUMN_COUNT,)),  # last value of each column, NaN for never
        ("at", "<i8", (COLUMN_COUNT,)),  # its event time, NEVER for never
        ("flags_known", "<u4"),
        ("flags_true", "<u4"),
        ("flags_at", "<i8", (FLAG_COUNT,)),  # time of each flag's statement, as `workers.flags.time_of` gives it
        ("static", "<f4", (2,)),  # age in years, 1 for male: NaN unknown
        ("pregnant", "i1"),  # -1 unknown, 0 no, 1 yes
        ("spo2_scale", "u1"),  # 1 or 2; 0 never stated, which is read as 1
        ("", "V6"),
    ],
    align=True,  # torch takes no view of unaligned floats
)
ROW = np.dtype(
    [
        ("ms", "<i8"),
        ("id", "<u8"),
        ("value", "<f4", (COLUMN_COUNT,)),
        ("flags_known", "<u4"),
        ("flags_true", "<u4"),
        ("static", "<f4", (2,)),
        ("pregnant", "i1"),
        ("spo2_scale", "u1"),
        ("quality", "u1"),
        ("", "V5"),
    ],
    align=True,
)
ENTRY = np.dtype(
    [
        ("ms", "<i8"),
        ("id", "<u8"),
        ("model", "<u4"),
        ("quality", "<u4"),  # 0: usable; FOREIGN: outside what the encoder was made for; UNREADABLE: no embedding
        ("flags_known", "<u4"),
        ("flags_true", "<u4"),
        ("embedding", "<f2", (EMBEDDING,)),
        ("probability", "<f2", (PROBABILITIES,)),
    ],
    align=True,
)
REVISION = np.dtype(
    [
        ("of", "<u8"),  # 0 for an empty slot
        ("by", "<u8"),
        ("ms", "<i8"),  # event time of `by`
        ("ident", "V16"),  # its recommendation's id
        ("gone", "u1"),  # `by` retracts: nothing stands in the place
        ("", "V7"),
    ],
    align=True,
)
ALERT = np.dtype(  # workers.alerts.AlertState, whose docstring says what each field is
    [
        ("phase", "u1"),
        ("tier", "u1"),
        ("news2", "u1"),
        ("signs", "u1"),
        ("of_model", "u1"),
        ("scores", "u1"),
        ("action", "i1"),
        ("about", "i1"),
        ("routed", "u1"),
        ("told", "u1"),  # 0 where the alert was last told before this was kept: then `tier`
        ("", "V2"),
        ("revision", "<u4"),
        ("raised_ms", "<i8"),
        ("told_ms", "<i8"),
        ("seen_ms", "<i8"),
        ("below_ms", "<i8"),
        ("lower_ms", "<i8"),
        ("above_ms", "<i8"),
        ("scored_ms", "<i8"),
        ("until_ms", "<i8"),
        ("answered_ms", "<i8"),
        ("answer", "<u8"),
        ("id", "V16"),
        ("key", "V16"),  # digest of the dedupe key, as it was when the alert was raised
    ],
    align=True,
)
HOLD = np.dtype(  # what a clinician answered about one action: workers.holds
    [
        ("action", "i1"),
        ("kind", "u1"),
        ("news2", "u1"),  # as it was when it was answered: worse ends a suppression
        ("signs", "u1"),
        ("", "V4"),
        ("until_ms", "<i8"),
        ("encounter", "<u8"),  # digest, 0 for any
        ("id", "<u8"),  # of the feedback event
    ],
    align=True,
)
CONTEXT = np.dtype(
    [
        ("version", "V8"),  # first, so that the script can compare it without unpacking
        ("layout", "<u4"),
        ("model", "<u4"),  # digest of the vitals model whose recurrent state this is
        ("as_of", "<i8"),  # newest event time of any modality, of what was retracted too: time does not run back
        ("rows", "u1"),
        ("images", "u1"),
        ("notes", "u1"),
        ("seen_next", "u1"),
        ("cold", "u1"),  # 1 until the patient's first event is in
        ("revised_next", "u1"),
        ("holds", "u1"),
        ("news2", "u1"),  # lowest possible NEWS2 and certain signs at the newest event
        ("signs", "u1"),
        ("", "V7"),
        ("indicated", "<u8"),  # actions indicated by the newest events, bit by bit
        ("evidence_column", "i1", (EVIDENCE,)),
        ("", "V3"),
        ("evidence", "<f4", (EVIDENCE,)),
        ("", "V4"),
        ("checkpoint", STATE),
        ("head", STATE),
        ("window", ROW, (WINDOW,)),
        ("image", ENTRY, (ENTRIES,)),
        ("note", ENTRY, (ENTRIES,)),
        ("seen_id", "<u8", (SEEN,)),
        ("seen_content", "<u8", (SEEN,)),
        ("revised", REVISION, (REVISIONS,)),
        ("alert", ALERT),
        ("hold", HOLD, (HOLDS,)),
    ],
    align=True,
)
Contexts = NDArray[np.void]
"""`(n,)` of CONTEXT."""


def digest64(*parts: bytes) -> int:
    """A 64-bit digest of byte strings, never 0 (0 marks an empty slot)."""
    return int.from_bytes(hashlib.blake2b(b"\0".join(parts), digest_size=8).digest(), "little") or 1


def digest32(text: str) -> int:
    """A 32-bit digest of a model version, never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") or 1


def blank_rows(count: int) -> NDArray[np.void]:
    """`(count,)` of ROW that state nothing."""
    rows = np.zeros(count, ROW)
    rows["value"] = np.nan
    rows["static"] = np.nan
    rows["pregnant"] = -1
    return rows


def _blank() -> Contexts:
    blank = np.zeros(1, CONTEXT)
    blank["layout"] = LAYOUT
    blank["as_of"] = NEVER
    blank["cold"] = 1
    blank["evidence_column"] = -1
    for state in ("checkpoint", "head"):
        blank[state]["ms"] = blank[state]["first_ms"] = NEVER
        blank[state]["value"] = np.nan
        blank[state]["static"] = np.nan
        blank[state]["pregnant"] = -1
        blank[state]["at"] = blank[state]["flags_at"] = NEVER
    blank["window"] = blank_rows(WINDOW)
    for field in ("action", "about"):
        blank["alert"][field] = -1
    for field in [name for name in ALERT.names or () if name.endswith("_ms")]:
        blank["alert"][field] = NEVER
    return blank


_BLANK_BYTES: Final = _blank().tobytes()


def blank(count: int) -> Contexts:
    """`count` contexts of patients of whom nothing is known."""
    return np.frombuffer(bytearray(_BLANK_BYTES * count), CONTEXT)


def raw(records: NDArray[np.void]) -> NDArray[np.void]:
    """The same memory as opaque items: numpy copies those whole, and structured ones field by field (10 x slower)."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def take(records: NDArray[np.void], index: NDArray[np.intp]) -> NDArray[np.void]:
    """A copy of the records at `index`."""
    return raw(records)[index].view(records.dtype)


def put(records: NDArray[np.void], index: NDArray[np.intp], values: NDArray[np.void]) -> None:
    """Overwrite the records at `index`."""
    raw(records)[index] = raw(values)


def unpack(values: list[bytes | None]) -> Contexts:
    """Contexts of stored values; None, or a value of another layout, becomes a blank context.

    A blank one that stands for a stored value keeps that value's version, so that it can be written in its place.
    """
    empty = _BLANK_BYTES
    usable = [
        empty
        if value is None
        else value
        if len(value) == CONTEXT.itemsize and value[8:12] == empty[8:12]
        else value[:8].ljust(8, b"\0") + empty[8:]
        for value in values
    ]
    return np.frombuffer(bytearray(b"".join(usable)), CONTEXT)


def pack(contexts: Contexts) -> list[bytes]:
    """The stored value of each context."""
    data, size = contexts.tobytes(), CONTEXT.itemsize
    return [data[i : i + size] for i in range(0, len(data), size)]
