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

from topics.catalogue import FEEDBACK, VITALS
from topics.reasons import Reason
from workers import remarks
from workers.alert_body import tier_of
from workers.alerting import Alerting
from workers.alerts import Facts
from workers.arms import Arm, OneSuite, Suite, Suites, arms
from workers.context import NEVER, Contexts, raw
from workers.control import Control
from workers.echo import in_force
from workers.feedback import Feedback
from workers.folding import Folded, Work, fold_batch
from workers.identity import recommendation_id
from workers.inference import Models
from workers.judge import Judge
from workers.output import Frame, ResultBuilder, SharedTexts, Verdict
from workers.records import Decision, Duplicate, Publish, Record, conflicting
from workers.seen import Outcome
from workers.slow_start import Care

log = structlog.get_logger(__name__)


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
        """Fold all records, then judge all that has come about at once, and say of each record what it led to."""
        started_ms = self._now_ms()
        folded = fold_batch(work, how.models, self._run)
        found = how.arm.suite.assess(folded.after, work.records, how.models, how.control, folded.previous)
        for field in _JUDGED:
            work.contexts[field][work.slots] = folded.after[field]  # the last record of a patient stays
        frame = Frame(
            self._run, self._output_topic, self._versions(how), how.arm.suite.models.vitals.horizons,
            how.control.offset, started_ms,
        )  # fmt: skip
        builder = ResultBuilder(self._texts, frame, work.records, folded.after, found)
        said = remarks.reasons(
            how.reasons, work, folded, found, of_vitals=work.records[0].source.topic == VITALS
        )  # fmt: skip
        stored = work.contexts["alert"]
        remembered = stored["phase"][work.slots] | stored["scores"][work.slots]
        facts = self._alerting.facts(
            found, work.records, how.control, asked=how.models is not None,
            quiet=remembered == 0 if folded.single else None,
        )  # fmt: skip
        covered_s = _covered_s(folded.since, found.as_of)
        slots = work.slots.tolist()
        decisions: list[Decision] = []
        for i, (record, outcome) in enumerate(zip(work.records, folded.outcome, strict=True)):
            ended = _ENDED.get(outcome)
            if ended is not None:
                decisions.append(ended(record))
                continue
            made = self._publish(i, record, stored, slots[i], facts[i], how, builder, said[i], folded)
            made.covered_s = covered_s[i]
            decisions.append(made)
        return decisions

    def _publish(
        self, i: int, record: Record, alerts_of: NDArray[np.void], slot: int, facts: Facts | None, how: _How,
        builder: ResultBuilder, flags: list[Reason], folded: Folded,
    ) -> Publish:  # fmt: skip
        event, topic = record.event, record.source.topic
        moved, earlier = folded.outcome[i] == _APPLIED, folded.earlier.get(i)
        ident = recommendation_id(topic, event.source, event.event_id, self._run)
        supersedes = [recommendation_id(topic, event.source, event.replaces, self._run)] if event.replaces else []
        if earlier is not None:
            supersedes.append(earlier)
        verdict = Verdict(
            ident, remarks.status(record, flags), flags, supersedes if moved else [],
            self._alerting.tell(alerts_of, slot, record, ident, facts, how.control, moved=moved),
            self._now_ms(), in_force(record, how.arm, how.given), folded.suspect.get(i, ()),
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


def _covered_s(since: NDArray[np.int64], until: NDArray[np.int64]) -> list[float]:
    """By how many seconds of event time each record prolonged what is known of its patient; a long gap is no stay."""
    gap = np.where(since == NEVER, 0, until - np.where(since == NEVER, until, since))
    covered: list[float] = (np.where(gap > _GAP_MS, 0, gap) / 1000).tolist()
    return covered


_APPLIED: Final = int(Outcome.APPLIED)
_ENDED: Final[dict[int, Callable[[Record], Decision]]] = {
    int(Outcome.DUPLICATE): Duplicate, int(Outcome.CONFLICT): conflicting,
}  # fmt: skip
_GAP_MS: Final = 12 * 3_600_000  # policy: a patient of whom nothing came for so long was not there
_JUDGED: Final = ("indicated", "news2", "signs")
_ALL: Final = ("vitals", "notes", "imaging", "fusion", "ranker")
