"""What a result must say of itself: the reasons that its reader has to know, and its status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from topics.reasons import Reason
from workers.folding import Folded, Work
from workers.judge import FRESH_H, Assessment
from workers.records import Record
from workers.seen import Outcome

_FRESH_LIMITS_H: Final = np.array(list(FRESH_H.values()), np.float32)

INDETERMINATE: Final = frozenset({Reason.MODEL_FAILED, Reason.MODEL_SKIPPED, Reason.RULES_ONLY,
    Reason.OUT_OF_DISTRIBUTION, Reason.AMBIGUOUS, Reason.KILL_SWITCH, Reason.NOT_APPLICABLE, Reason.AGE_UNKNOWN,
    Reason.VITALS_STALE, Reason.IMAGE_UNREADABLE, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_NOT_FOUND,
    Reason.IMAGE_FORBIDDEN, Reason.IMAGE_HASH_MISMATCH})  # fmt: skip
"""Reasons that leave a result without the answer that its reader would expect."""

_OF_OUTCOME: Final = {int(Outcome.TOO_LATE): (Reason.TOO_LATE,), int(Outcome.SUPERSEDED): (Reason.SUPERSEDED,)}

_DEGRADED: Final = frozenset(
    {Reason.REDIS_UNAVAILABLE, Reason.MODEL_OFF, Reason.MODEL_VERSION_UNAVAILABLE, Reason.FUSION_MISFIT}
)


def reasons(
    always: Sequence[Reason], work: Work, folded: Folded, found: Assessment, *, of_vitals: bool
) -> list[list[Reason]]:  # fmt: skip
    """What must be said with each result of a batch, each reason once.

    Args:
        always: With every result.
        work: The batch.
        folded: The same, folded.
        found: The judgement.
        of_vitals: The events are vital signs; notes and images say themselves whether they are ambiguous.
    """
    away = work.degraded[work.slots].tolist()
    notable = _notable(found, of_vitals)
    made: list[list[Reason]] = []
    for i, record in enumerate(work.records):
        flags = [*always, *folded.said[i], *notable[i]]
        if record.source.key is None:
            flags.append(Reason.KEY_MISSING)
        if record.unknown_fields:
            flags.append(Reason.UNKNOWN_FIELDS)
        flags += _OF_OUTCOME.get(folded.outcome[i], ())
        if away[i]:
            flags.append(Reason.REDIS_UNAVAILABLE)
        if folded.cold[i]:
            flags.append(Reason.COLD_CONTEXT)
        made.append(list(dict.fromkeys(flags)))  # a film and the vitals may be foreign both
    return made


def _notable(found: Assessment, of_vitals: bool) -> list[list[Reason]]:
    """What a reader must know about each judgement."""
    reasons: list[list[Reason]] = [[] for _ in found.as_of]
    for i in np.flatnonzero(~found.applicable):
        reasons[i].append(Reason.NOT_APPLICABLE)
    for i in np.flatnonzero(found.age_unknown):
        reasons[i].append(Reason.AGE_UNKNOWN)
    for i in np.flatnonzero(found.applicable & (found.news2.low != found.news2.high)):
        reasons[i].append(Reason.INCOMPLETE)
    for i in np.flatnonzero(found.risks.foreign):
        reasons[i].append(Reason.OUT_OF_DISTRIBUTION)
    for i in np.flatnonzero(found.risks.ambiguous & of_vitals):
        reasons[i].append(Reason.AMBIGUOUS)
    for i in np.flatnonzero(~found.present.all(axis=1)):
        reasons[i].append(Reason.MISSING_MODALITY)
    for i in np.flatnonzero((found.age_h > _FRESH_LIMITS_H).any(axis=1)):  # NaN, absent, is not stale
        reasons[i].append(Reason.STALE)
    for i in np.flatnonzero(found.age_h[:, 0] > FRESH_H["vitals"]):
        reasons[i].append(Reason.VITALS_STALE)
    return reasons


def status(record: Record, flags: list[Reason]) -> str:
    """In a word, what a result is worth."""
    if record.event.status == "entered-in-error":
        return "retracted"
    if not INDETERMINATE.isdisjoint(flags):
        return "indeterminate"
    return "degraded" if not _DEGRADED.isdisjoint(flags) else "ok"
