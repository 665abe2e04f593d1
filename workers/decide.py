"""Deciding a batch: fold each record into its patient's context, judge, run the alert policy, build the outputs.

Pure computation over one batch, run in a worker thread: events and contexts in, decisions and contexts out. Several
records of one patient are stepped in rounds, in order. A model that fails is isolated by halving the batch, always
from the contexts as they were; the record that makes it fail alone is decided again without models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from models.clinical.truth import TRUE
from topics import headers as names
from topics.catalogue import IMAGING, NOTES, VITALS
from topics.reasons import Reason
from workers import alerts, collate
from workers.alerts import AlertState, Facts, Tier
from workers.context import Contexts
from workers.control import Control
from workers.fold import Outcome, fold_entries, fold_vitals
from workers.identity import alert_id, dedupe_key, recommendation_id
from workers.inference import Models
from workers.judge import Assessment, Judge
from workers.output import AlertOut, BodyBuilder, outgoing_headers
from workers.records import Decision, Duplicate, Publish, Record, Refused
from workers.slow_start import Care

log = structlog.get_logger(__name__)

_FIELD: Final = {NOTES: "note", IMAGING: "image"}
_MODEL_OF: Final = {VITALS: "vitals", NOTES: "notes", IMAGING: "imaging"}
_INDETERMINATE: Final = frozenset({Reason.MODEL_FAILED, Reason.MODEL_SKIPPED, Reason.OUT_OF_DISTRIBUTION,
    Reason.KILL_SWITCH, Reason.IMAGE_UNREADABLE, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_NOT_FOUND, Reason.IMAGE_FORBIDDEN,
    Reason.IMAGE_HASH_MISMATCH, Reason.IMAGE_UNAVAILABLE, Reason.NOT_APPLICABLE})  # fmt: skip
_DEGRADED: Final = frozenset({Reason.REDIS_UNAVAILABLE, Reason.MODEL_OFF})
_ACTION_OF: Final = {"peri_arrest": "esc-cardiac-arrest-call", "model_risk": "sepsis-screen",
    "single_parameter_3": "esc-ward-doctor-review", "news2_raise": "esc-urgent-review",
    "news2_critical": "esc-emergency-team"}  # fmt: skip


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
        run: Name of the processing run.
        output_topic: Full name of the recommendations topic.
        expires_ms: Lifetime of an alert, milliseconds of event time.
        now_ms: Wall clock, epoch milliseconds; stamps outputs and decides nothing but staleness.
    """

    def __init__(
        self, judge: Judge, models: Models, *, run: str, output_topic: str, expires_ms: int, now_ms: Callable[[], int]
    ) -> None:
        self._judge = judge
        self.models = models
        self._run = run
        self._output_topic = output_topic
        self._expires_ms = expires_ms
        self._now_ms = now_ms
        index = judge.catalogue.index
        self._actions = {reason: index[action] for reason, action in _ACTION_OF.items()}

    def decide(self, work: Work, control: Control) -> list[Decision]:
        """One decision a record, in order; `work.contexts` holds the contexts after the batch."""
        before = work.contexts.copy()
        try:
            return self._rounds(work, control, self._models_for(work.records))
        except Exception as error:
            log.warning("model_failed", error=type(error).__name__, records=len(work.records))
            work.contexts[:] = before
            if len(work.records) == 1:
                return self._rounds(work, control, None, failed=True)
            half = len(work.records) // 2
            return [
                decision
                for part in (slice(0, half), slice(half, None))
                for decision in self._part(work, part, control)
            ]

    def refold(self, contexts: Contexts, records: Sequence[Record]) -> None:
        """Fold records of one patient into a context that somebody else wrote meanwhile; nothing is published."""
        for record in records:
            models = self._models_for([record])
            try:
                self._fold(contexts, [record], models)
            except Exception as error:
                log.warning("model_failed", error=type(error).__name__, records=1)
                self._fold(contexts, [record], None)

    def _part(self, work: Work, part: slice, control: Control) -> list[Decision]:
        """Decide part of a batch, on the contexts as the parts before it left them."""
        piece = Work(work.records[part], work.slots[part], work.contexts, work.degraded)
        return self.decide(piece, control)

    def _models_for(self, records: Sequence[Record]) -> Models | None:
        skip = len(records) == 1 and records[0].source.care >= Care.WITHOUT_MODELS
        return None if skip else self.models

    def _rounds(self, work: Work, control: Control, models: Models | None, *, failed: bool = False) -> list[Decision]:
        decisions: dict[int, Decision] = {}
        for index in rounds(work.slots):
            slots = work.slots[index]
            contexts = work.contexts[slots]
            records = [work.records[i] for i in index]
            made = self._round(records, contexts, work.degraded[slots], control, models, failed=failed)
            work.contexts[slots] = contexts
            decisions.update(zip(index.tolist(), made, strict=True))
        return [decisions[i] for i in range(len(work.records))]

    def _fold(
        self, contexts: Contexts, records: Sequence[Record], models: Models | None
    ) -> tuple[NDArray[np.uint8], list[list[Reason]]]:
        """Fold one record into each context; the outcomes, and what of each event was not believed."""
        topic = records[0].source.topic
        if topic == VITALS:
            rows = collate.vitals_rows(records)
            recurrence = None if models is None else models.vitals
            outcome = fold_vitals(contexts, rows.rows, collate.changes(records), recurrence)
            conflict = (rows.rows["quality"] & 4).tolist()
            reasons = [
                collate.value_reasons(suspects, conflict=bool(c))
                for suspects, c in zip(rows.suspects, conflict, strict=True)
            ]
        else:
            outcome = fold_entries(contexts, _FIELD[topic], collate.entries(records), collate.changes(records))
            reasons = [[] if record.encoded is None else list(record.encoded.reasons) for record in records]
        return outcome, reasons

    def _round(
        self,
        records: list[Record],
        contexts: Contexts,
        degraded: NDArray[np.bool_],
        control: Control,
        models: Models | None,
        *,
        failed: bool,
    ) -> list[Decision]:
        started_ms = self._now_ms()
        cold = (contexts["cold"] == 1) & degraded
        usable = None if control.kill_switch else models
        outcome, reasons = self._fold(contexts, records, usable)
        found = self._judge.assess(contexts, usable, control)
        off: list[Reason] = []
        if failed:
            off.append(Reason.MODEL_FAILED)
        elif models is None:
            off.append(Reason.MODEL_SKIPPED)
        if control.kill_switch:
            off.append(Reason.KILL_SWITCH)
        if control.models_off:
            off.append(Reason.MODEL_OFF)
        notable = _notable(found)
        labels = list(zip(self.models.vitals.labels, self.models.vitals.horizons, strict=True))
        builder = BodyBuilder(
            self._judge, contexts, found, self._versions(usable, control), self._expires_ms,
            [(name, horizon or 6.0) for name, horizon in labels],
        )  # fmt: skip
        facts = self._facts(found)
        decisions: list[Decision] = []
        for i, (record, result) in enumerate(zip(records, outcome.tolist(), strict=True)):
            if result == Outcome.DUPLICATE:
                decisions.append(Duplicate(record))
                continue
            if result == Outcome.CONFLICT:
                detail = "an event with this event_id and other content was processed before"
                decisions.append(Refused(record.source, Reason.EVENT_ID_CONFLICT, detail))
                continue
            flags = [*off, *reasons[i], *notable[i]]
            if degraded[i]:
                flags.append(Reason.REDIS_UNAVAILABLE)
            if cold[i]:
                flags.append(Reason.COLD_CONTEXT)
            if record.source.key is None:
                flags.append(Reason.KEY_MISSING)
            if result != Outcome.APPLIED:
                flags.append(Reason.TOO_LATE if result == Outcome.TOO_LATE else Reason.SUPERSEDED)
            decisions.append(self._publish(i, record, contexts, facts[i], control, builder, flags, started_ms, result))
        return decisions

    def _publish(
        self, i: int, record: Record, contexts: Contexts, facts: Facts, control: Control, builder: BodyBuilder,
        flags: list[Reason], started_ms: int, result: int,
    ) -> Publish:  # fmt: skip
        event = record.event
        ident = recommendation_id(record.source.topic, event.source, event.event_id, self._run)
        alert = self._alert(contexts[i], record, ident, facts, control, moved=result == Outcome.APPLIED)
        supersedes = []
        if event.replaces is not None and result == Outcome.APPLIED:
            supersedes.append(recommendation_id(record.source.topic, event.source, event.replaces, self._run))
        body = builder.body(
            i, record, recommendation_id=ident, run=self._run, status=_status(record, flags), reasons=flags,
            supersedes=supersedes, alert=alert, now_ms=self._now_ms(), started_ms=started_ms,
            control_offset=control.offset,
        )  # fmt: skip
        trace = next((value for name, value in record.source.headers if name == names.TRACEPARENT), None)
        headers = outgoing_headers(body, self._output_topic, record.patient.hex(), trace)
        return Publish(record, orjson.dumps(body), headers, body)

    def _facts(self, found: Assessment) -> list[Facts]:
        low, high = found.news2.low.tolist(), found.news2.high.tolist()
        three = (found.news2.single_three == TRUE).tolist()
        risk = found.risks.fused.tolist()
        return [
            Facts(as_of, lo, hi, s3, arrest, None if r != r else r, applicable)
            for as_of, lo, hi, s3, arrest, r, applicable in zip(
                found.as_of.tolist(), low, high, three, found.arrest.tolist(), risk, found.applicable.tolist(),
                strict=True,
            )
        ]  # fmt: skip

    def _alert(
        self, context: np.void, record: Record, ident: str, facts: Facts, control: Control, *, moved: bool
    ) -> AlertOut:
        """Run the policy; an event that did not move the state does not move the alert."""
        stored = context["alert"]
        thresholds = control.thresholds_of(record.event.unit)
        tier, why = alerts.tier_of(facts, thresholds)
        if not moved or (not stored["active"] and tier is Tier.NONE):
            return AlertOut(_NO_STATE, "none", why if moved else "state_untouched", None, muted=False)
        state = _unpack_alert(stored)
        action = state.action if state.active else self._actions.get(why, -1)
        action_id = self._judge.catalogue.actions[action].id
        key = dedupe_key(record.patient, record.event.encounter_id, action_id)
        state, change, reason = alerts.step(
            state, facts, thresholds, new_id=alert_id(key, ident), action=action
        )
        _pack_alert(stored, state)
        return AlertOut(state, change, reason, key, muted=control.muted(record.event.unit, action_id))

    def _versions(self, models: Models | None, control: Control) -> dict[str, str | None]:
        known = self.models.versions
        return {
            name: None if models is None and name != "ranker" or name in control.models_off else known.get(name)
            for name in ("vitals", "notes", "imaging", "fusion", "ranker")
        }


def rounds(slots: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of a batch, split so that each part has every patient once at most, in order."""
    if len(np.unique(slots)) == len(slots):
        return [np.arange(len(slots))]
    seen: dict[int, int] = {}
    turn = np.empty(len(slots), np.intp)
    for i, slot in enumerate(slots.tolist()):
        turn[i] = seen.get(slot, 0)
        seen[slot] = int(turn[i]) + 1
    return [np.flatnonzero(turn == k) for k in range(int(turn.max()) + 1)]


_NO_STATE: Final = AlertState()


def _notable(found: Assessment) -> list[list[Reason]]:
    """What a reader must know about each judgement."""
    reasons: list[list[Reason]] = [[] for _ in found.as_of]
    for i in np.flatnonzero(~found.applicable):
        reasons[i].append(Reason.NOT_APPLICABLE)
    for i in np.flatnonzero(found.applicable & (found.news2.low != found.news2.high)):
        reasons[i].append(Reason.INCOMPLETE)
    for i in np.flatnonzero(found.risks.foreign):
        reasons[i].append(Reason.OUT_OF_DISTRIBUTION)
    for i in np.flatnonzero(~found.present.all(axis=1)):
        reasons[i].append(Reason.MISSING_MODALITY)
    return reasons


def _status(record: Record, flags: list[Reason]) -> str:
    if record.event.status == "entered-in-error":
        return "retracted"
    if not _INDETERMINATE.isdisjoint(flags):
        return "indeterminate"
    return "degraded" if not _DEGRADED.isdisjoint(flags) else "ok"


def _unpack_alert(stored: np.void) -> AlertState:
    return AlertState(
        bool(stored["active"]), Tier(int(stored["tier"])), int(stored["news2"]), int(stored["raised_ms"]),
        int(stored["revision"]), bytes(stored["id"]), int(stored["action"]),
    )  # fmt: skip


def _pack_alert(stored: np.void, state: AlertState) -> None:
    stored["active"], stored["tier"], stored["news2"] = state.active, state.tier, state.news2
    stored["raised_ms"], stored["revision"], stored["action"] = state.raised_ms, state.revision, state.action
    stored["id"] = np.void(state.alert_id)
