"""Deciding a batch: fold each record into its patient's context, judge, run the alert policy, build the outputs.

Pure computation over one batch, run in a worker thread: events and contexts in, decisions and contexts out. Several
records of one patient are stepped in rounds, in order. A model that fails is isolated by halving the batch, always
from the contexts as they were; the record that makes it fail alone is decided again without models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS
from topics.reasons import Reason
from workers import collate
from workers.alert_body import tier_of
from workers.alerting import Alerting
from workers.alerts import Facts
from workers.arms import Arm, OneSuite, Suite, Suites, arms
from workers.context import NEVER, Contexts, blank, put, raw, take
from workers.control import Control
from workers.echo import in_force
from workers.entries import fold_entries
from workers.feedback import Feedback
from workers.fold import adopt, fold_vitals
from workers.identity import recommendation_id, uuid_text
from workers.inference import Models
from workers.judge import FRESH_H, Assessment, Judge
from workers.output import ResultBuilder, SharedTexts, Verdict
from workers.records import Decision, Duplicate, Publish, Record, conflicting
from workers.revisions import holder
from workers.seen import Outcome
from workers.slow_start import Care

log = structlog.get_logger(__name__)

FRESH_LIMITS_H: Final = np.array(list(FRESH_H.values()), np.float32)
_FIELD: Final = {NOTES: "note", IMAGING: "image"}
INDETERMINATE: Final = frozenset({Reason.MODEL_FAILED, Reason.MODEL_SKIPPED, Reason.RULES_ONLY,
    Reason.OUT_OF_DISTRIBUTION, Reason.AMBIGUOUS, Reason.KILL_SWITCH, Reason.NOT_APPLICABLE, Reason.AGE_UNKNOWN,
    Reason.VITALS_STALE, Reason.IMAGE_UNREADABLE, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_NOT_FOUND,
    Reason.IMAGE_FORBIDDEN, Reason.IMAGE_HASH_MISMATCH})  # fmt: skip
"""Reasons that leave a result without the answer that its reader would expect."""

_DEGRADED: Final = frozenset(
    {Reason.REDIS_UNAVAILABLE, Reason.MODEL_OFF, Reason.MODEL_VERSION_UNAVAILABLE, Reason.FUSION_MISFIT}
)


@dataclass(slots=True)
class Work:
    """One batch to decide: `slots[i]` is the row of `contexts` of the patient of `records[i]`.

    Attributes:
        degraded: `(m,)` per patient: the context did not come from the store.
    """

    records: Sequence[Record]
    slots: NDArray[np.intp]
    contexts: Contexts
    degraded: NDArray[np.bool_]


class Decider:
    """Decides batches.

    Args:
        judge: The clinical part.
        models: All models.
        suites: What takes their place at run time; None for these alone.
        run: Name of the processing run.
        output_topic: Full name of the recommendations topic.
        expires_ms: Lifetime of an alert, milliseconds of event time.
        now_ms: Wall clock, epoch milliseconds; stamps outputs and decides nothing but staleness.
    """

    def __init__(
        self, judge: Judge, models: Models, *, run: str, output_topic: str, expires_ms: int, now_ms: Callable[[], int],
        suites: Suites | None = None,
    ) -> None:  # fmt: skip
        self._suites = suites or OneSuite(Suite(models, judge))
        self.models = models
        self._run = run
        self._output_topic = output_topic
        self._expires_ms = expires_ms
        self._now_ms = now_ms
        self._texts = SharedTexts(judge.catalogue, expires_ms)
        self._alerting = Alerting(judge.catalogue, expires_ms)
        self._feedback = Feedback(judge.catalogue, self._alerting)

    def decide(self, work: Work, control: Control) -> list[Decision]:
        """One decision a record, in order; `work.contexts` holds the contexts after the batch."""
        if work.records[0].source.topic == FEEDBACK:
            slots = work.slots.tolist()
            return [
                self._feedback.apply(work.contexts, slot, record, control)
                for slot, record in zip(slots, work.records, strict=True)
            ]
        found = arms(work.records, control, self._suites)
        if len(found) == 1:
            return self._whole(work, found[0][0], control)
        decisions: dict[int, Decision] = {}
        for arm, index in found:
            assert index is not None
            some = [work.records[i] for i in index]
            piece = Work(some, work.slots[index], work.contexts, work.degraded)
            decisions |= zip(index.tolist(), self._whole(piece, arm, control), strict=True)
        return [decisions[i] for i in range(len(work.records))]

    def _whole(self, work: Work, arm: Arm, control: Control) -> list[Decision]:
        """Decide records of one arm."""
        before = raw(work.contexts).copy()
        try:
            return self._all(work, _how(work.records, arm, control))
        except Exception as error:  # noqa: BLE001 - a model may raise anything; it costs one record its models
            if len(work.records) == 1:
                source = work.records[0].source
                where = {"topic": source.topic, "partition": source.partition, "offset": source.offset}
                log.warning("model_failed", error=type(error).__name__, **where)
        raw(work.contexts)[:] = before
        if len(work.records) == 1:
            return self._all(work, _how(work.records, arm, control, failed=Reason.MODEL_FAILED))
        half = len(work.records) // 2
        return self._part(work, slice(0, half), arm, control) + self._part(work, slice(half, None), arm, control)

    def refold(self, contexts: Contexts, records: Sequence[Record], control: Control) -> None:
        """Fold records of one patient into a context that somebody else wrote meanwhile; the outputs are dropped."""
        for _, alike in groupby(records, key=lambda record: record.source.topic):
            some = list(alike)
            self.decide(Work(some, np.zeros(len(some), np.intp), contexts, np.zeros(1, bool)), control)

    def _part(self, work: Work, part: slice, arm: Arm, control: Control) -> list[Decision]:
        """Decide part of a batch, on the contexts as the parts before it left them."""
        piece = Work(work.records[part], work.slots[part], work.contexts, work.degraded)
        return self._whole(piece, arm, control)

    def _all(self, work: Work, how: _How) -> list[Decision]:
        """Fold record by record for a patient, all patients together; then judge all that has come about at once."""
        started_ms = self._now_ms()
        count = len(work.records)
        outcome, cold = np.zeros(count, np.uint8), np.zeros(count, bool)
        reasons: list[list[Reason]] = [[] for _ in range(count)]
        parts = rounds(work.slots)
        after = blank(count if len(parts) > 1 else 0)  # each record's patient after that record
        earlier: dict[int, str] = {}
        since = np.full(count, NEVER)  # newest event time of each patient before that record
        for index in parts:
            slots = work.slots[index]
            contexts = take(work.contexts, slots)
            earlier |= _earlier(contexts, work.records, index)
            cold[index] = (contexts["cold"] == 1) & work.degraded[slots]
            since[index] = contexts["as_of"]
            outcome[index], said = self._fold(contexts, [work.records[i] for i in index], how.models)
            for i, flags in zip(index.tolist(), said, strict=True):
                reasons[i] = flags
            put(work.contexts, slots, contexts)
            if len(parts) == 1:
                after = contexts
            else:
                put(after, index, contexts)
        found = how.arm.suite.assess(
            after, work.records, how.models, how.control, _previous(work.slots, parts)
        )  # fmt: skip
        for field in _JUDGED:
            work.contexts[field][work.slots] = after[field]  # the last record of a patient stays
        builder = ResultBuilder(
            self._texts, after, found, self._versions(how), how.arm.suite.models.vitals.horizons, self._output_topic
        )
        own = work.records[0].source.topic == VITALS  # notes and images say themselves whether they are ambiguous
        notable, stored = _notable(found, own), work.contexts["alert"]
        remembered = stored["phase"][work.slots] | stored["scores"][work.slots]
        facts = self._alerting.facts(
            found, work.records, how.control, asked=how.models is not None,
            quiet=remembered == 0 if len(parts) == 1 else None,
        )  # fmt: skip
        covered_s = _covered_s(since, found.as_of)
        decisions: list[Decision] = []
        for i, (record, result) in enumerate(zip(work.records, outcome.tolist(), strict=True)):
            if result == Outcome.DUPLICATE:
                decisions.append(Duplicate(record))
            elif result == Outcome.CONFLICT:
                decisions.append(conflicting(record))
            else:
                slot = int(work.slots[i])
                flags = [*how.reasons, *reasons[i], *notable[i], *_of_record(record, result)]
                if work.degraded[slot]:
                    flags.append(Reason.REDIS_UNAVAILABLE)
                if cold[i]:
                    flags.append(Reason.COLD_CONTEXT)
                flags = list(dict.fromkeys(flags))  # a film and the vitals may be foreign both
                made = self._publish(i, record, stored, slot, facts[i], how, builder, flags, started_ms, earlier.get(i))
                made.covered_s = covered_s[i]
                decisions.append(made)
        return decisions

    def _fold(
        self, contexts: Contexts, records: Sequence[Record], models: Models | None
    ) -> tuple[NDArray[np.uint8], list[list[Reason]]]:
        """Fold one record into each context; the outcomes, and what of each event was not believed."""
        topic = records[0].source.topic
        if topic == VITALS:
            rows = collate.vitals_rows(records)
            recurrence = None if models is None else models.vitals
            outcome = fold_vitals(contexts, rows.rows, collate.changes(records, self._run), recurrence)
            conflict = (rows.rows["quality"] & 4).tolist()
            reasons = [
                collate.value_reasons(suspects, conflict=bool(c))
                for suspects, c in zip(rows.suspects, conflict, strict=True)
            ]
        else:
            if models is not None:
                adopt(contexts, models.vitals)  # so that the first note after a promotion has a risk
            made, reasons = collate.entries(records)
            outcome = fold_entries(contexts, _FIELD[topic], made, collate.changes(records, self._run))
        return outcome, reasons

    def _publish(
        self, i: int, record: Record, alerts_of: NDArray[np.void], slot: int, facts: Facts | None, how: _How,
        builder: ResultBuilder, flags: list[Reason], started_ms: int, earlier: str | None,
    ) -> Publish:  # fmt: skip
        event, topic = record.event, record.source.topic
        moved = Reason.TOO_LATE not in flags and Reason.SUPERSEDED not in flags
        ident = recommendation_id(topic, event.source, event.event_id, self._run)
        supersedes = [recommendation_id(topic, event.source, event.replaces, self._run)] if event.replaces else []
        if earlier is not None:
            supersedes.append(earlier)
        verdict = Verdict(
            ident, self._run, _status(record, flags), flags,
            supersedes if moved else [],
            self._alerting.tell(alerts_of, slot, record, ident, facts, how.control, moved=moved),
            self._now_ms(), started_ms, how.control.offset, in_force(record, how.arm, how.given),
        )  # fmt: skip
        if verdict.alert.state.standing and verdict.now_ms > verdict.alert.state.lives_ms(self._expires_ms):
            flags.append(Reason.CATCHING_UP)
        value, headers = builder.result(i, record, verdict)
        told = verdict.alert.change, tier_of(verdict.alert)
        policy = verdict.control["policy"]
        return Publish(record, value, headers, verdict.status, *told, flags, how.arm.name, policy)

    def _versions(self, how: _How) -> dict[str, str | None]:
        """Versions of what took part; None for what was switched off or left out."""
        off = how.control.models_off if how.models is not None else _ALL
        return {name: None if name in off else how.arm.suite.models.versions.get(name) for name in _ALL}


@dataclass(frozen=True, slots=True)
class _How:
    """How the records of one arm are decided.

    Attributes:
        arm: Which models.
        models: Of the arm; None for rules only.
        given: What is in force.
        control: The same; a fusion that does not fit counts as switched off.
        reasons: What every result must say about it.
    """

    arm: Arm
    models: Models | None
    given: Control
    control: Control
    reasons: list[Reason]


def _how(records: Sequence[Record], arm: Arm, control: Control, failed: Reason | None = None) -> _How:
    """With which models records are decided, and what must be said about it."""
    reasons = [*arm.reasons] if failed is None else [failed, *arm.reasons]
    skip = len(records) == 1 and records[0].source.care >= Care.WITHOUT_MODELS
    if skip and failed is None:
        reasons.append(Reason.MODEL_SKIPPED)
    if control.kill_switch:
        reasons.append(Reason.KILL_SWITCH)
    if control.models_off:
        reasons.append(Reason.MODEL_OFF)
    without = failed is not None or skip or control.kill_switch or arm.rules_only
    return _How(arm, None if without else arm.suite.models, control, arm.suite.control(control), reasons)


def rounds(slots: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of a batch, split so that each part has every patient once at most, in order."""
    if len(set(slots.tolist())) == len(slots):
        return [np.arange(len(slots))]
    seen: dict[int, int] = {}
    turn = np.empty(len(slots), np.intp)
    for i, slot in enumerate(slots.tolist()):
        turn[i] = seen.get(slot, 0)
        seen[slot] = int(turn[i]) + 1
    return [np.flatnonzero(turn == k) for k in range(int(turn.max()) + 1)]


def _covered_s(since: NDArray[np.int64], until: NDArray[np.int64]) -> list[float]:
    """By how many seconds of event time each record prolonged what is known of its patient; a long gap is no stay."""
    gap = np.where(since == NEVER, 0, until - np.where(since == NEVER, until, since))
    covered: list[float] = (np.where(gap > _GAP_MS, 0, gap) / 1000).tolist()
    return covered


def _of_record(record: Record, result: int) -> list[Reason]:
    """What is to be said of the record itself."""
    found = [] if record.source.key is not None else [Reason.KEY_MISSING]
    if record.unknown_fields:
        found.append(Reason.UNKNOWN_FIELDS)
    if result == Outcome.TOO_LATE:
        found.append(Reason.TOO_LATE)
    elif result == Outcome.SUPERSEDED:
        found.append(Reason.SUPERSEDED)
    return found


def _earlier(contexts: Contexts, records: Sequence[Record], index: NDArray[np.intp]) -> dict[int, str]:
    """By number of the record, the id of the result whose correction has the place that the record asks for."""
    asked = [(context, i) for context, i in enumerate(index.tolist()) if records[i].replaces64]
    held = {i: holder(contexts[context], records[i].replaces64) for context, i in asked}
    return {i: uuid_text(revision.ident) for i, revision in held.items() if revision is not None}


def _previous(slots: NDArray[np.intp], parts: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """For each record of a batch, the record of the same patient before it, or -1."""
    previous = np.full(len(slots), -1, np.intp)
    newest: dict[int, int] = {}
    if len(parts) > 1:
        for i, slot in enumerate(slots.tolist()):
            previous[i] = newest.get(slot, -1)
            newest[slot] = i
    return previous


_GAP_MS: Final = 12 * 3_600_000  # policy: a patient of whom nothing came for so long was not there
_JUDGED: Final = ("indicated", "news2", "signs")
_ALL: Final = ("vitals", "notes", "imaging", "fusion", "ranker")


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
    for i in np.flatnonzero((found.age_h > FRESH_LIMITS_H).any(axis=1)):  # NaN, absent, is not stale
        reasons[i].append(Reason.STALE)
    for i in np.flatnonzero(found.age_h[:, 0] > FRESH_H["vitals"]):
        reasons[i].append(Reason.VITALS_STALE)
    return reasons


def _status(record: Record, flags: list[Reason]) -> str:
    if record.event.status == "entered-in-error":
        return "retracted"
    if not INDETERMINATE.isdisjoint(flags):
        return "indeterminate"
    return "degraded" if not _DEGRADED.isdisjoint(flags) else "ok"
