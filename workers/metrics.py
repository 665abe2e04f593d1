"""Prometheus metrics. Labels are topics, lanes, stages and reasons: never anything about a patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.records import Applied, Publish

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ANSWER_SECONDS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800)
_SECONDS_A_DAY = 86_400
_DIFFERENCES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """All metrics of a worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        prefix = "wardstream_"
        self.records = Counter(
            prefix + "records", "Records ended, by outcome.", ("topic", "outcome"), registry=registry
        )
        self.indeterminate = Counter(
            prefix + "indeterminate", "Results without an answer of a model, by reason.", ("topic", "reason"),
            registry=registry,
        )  # fmt: skip
        self.batch = Histogram(
            prefix + "batch_records", "Records of a micro-batch.", ("lane",), buckets=_SIZES, registry=registry
        )
        self.dispatch = Counter(
            prefix + "dispatch", "Why a micro-batch was dispatched.", ("lane", "why"), registry=registry
        )
        self.latency = Histogram(
            prefix + "latency_seconds", "From fetched to acknowledged.", ("topic",), buckets=_SECONDS, registry=registry
        )
        self.stage = Histogram(
            prefix + "stage_seconds", "Time of a batch in a stage.", ("stage",), buckets=_SECONDS, registry=registry
        )
        self.context_reads = Counter(
            prefix + "context_reads", "Contexts read, by outcome.", ("outcome",), registry=registry
        )
        self.context_writes = Counter(
            prefix + "context_writes", "Contexts written, by outcome.", ("outcome",), registry=registry
        )
        self.embeddings = Counter(
            prefix + "embedding_cache", "Encoder results in the cache.", ("kind", "outcome"), registry=registry
        )
        self.dead_letters = Counter(prefix + "dead_letters", "Dead letters, by reason.", ("reason",), registry=registry)
        self.alerts = Counter(prefix + "alerts", "Alert changes published.", ("state", "tier"), registry=registry)
        self.answers = Counter(
            prefix + "answers", "Answers of clinicians, by outcome and what they did.", ("outcome", "effect"),
            registry=registry,
        )  # fmt: skip
        self.overrides = Counter(
            prefix + "overrides", "Recommendations overridden, by coded reason.", ("reason",), registry=registry
        )
        self.answered_after = Histogram(
            prefix + "answered_after_seconds", "From telling an alert to its answer, event time.", ("tier",),
            buckets=_ANSWER_SECONDS, registry=registry,
        )  # fmt: skip
        self.arms = Counter(
            prefix + "arm_results", "Results by how they were decided: live, canary, rules_only.", ("arm", "status"),
            registry=registry,
        )  # fmt: skip
        self.arm_alerts = Counter(
            prefix + "arm_alerts", "Alerts raised or updated, by how they were decided.", ("arm", "tier"),
            registry=registry,
        )  # fmt: skip
        self.alerts_told = Counter(
            prefix + "alerts_told", "Alerts raised or updated, by the ward's alert policy.", ("policy",),
            registry=registry,
        )  # fmt: skip
        self.patient_days = Counter(
            prefix + "patient_days", "Days of event time that records cover, by the ward's alert policy.", ("policy",),
            registry=registry,
        )  # fmt: skip
        self.budget = Gauge(
            prefix + "alert_budget_per_100_patient_days", "What a ward means to stay below.", ("policy",),
            registry=registry,
        )  # fmt: skip
        self.versions_absent = Gauge(
            prefix + "model_versions_absent", "Versions that control asks for and this worker cannot load.",
            registry=registry,
        )  # fmt: skip
        self.shadow_patients = Counter(
            prefix + "shadow_patients", "Patients scored by a candidate that changes nothing.", registry=registry
        )
        self.shadow_records = Counter(
            prefix + "shadow_records", "Notes and images that a candidate encoded along.", ("model",), registry=registry
        )
        self.shadow_difference = Histogram(
            prefix + "shadow_risk_difference", "Absolute difference of a candidate's fused risk.",
            buckets=_DIFFERENCES, registry=registry,
        )  # fmt: skip
        self.shadow_skipped = Counter(
            prefix + "shadow_skipped_batches", "Batches that a candidate could not keep up with.", registry=registry
        )
        self.shadow_differs = Counter(
            prefix + "shadow_differs", "Patients, notes or images of which a candidate says something else.", ("what",),
            registry=registry,
        )  # fmt: skip
        self.publish_retries = Counter(prefix + "publish_retries", "Publishing retried.", ("error",), registry=registry)
        self.inflight = Gauge(prefix + "inflight_records", "Records a lane holds.", ("lane",), registry=registry)
        self.degraded = Gauge(prefix + "degraded", "1 while the context store is away.", registry=registry)
        self.unwritten = Gauge(prefix + "unwritten_contexts", "Contexts not yet in the store.", registry=registry)
        self.ready = Gauge(prefix + "ready", "1 while this worker is ready.", registry=registry)
        self.lag = Gauge(prefix + "lag_records", "Records not yet fetched.", ("topic", "partition"), registry=registry)
        self.control_offset = Gauge(prefix + "control_offset", "Newest control record applied.", registry=registry)
        self.audit_waiting = Gauge(
            prefix + "audit_waiting_records", "Control records not yet seen in the audit topic.", registry=registry
        )

    def count_burden(self, published: Sequence[Publish]) -> None:
        """Count alerts told and the days of event time that records cover, by policy."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for publish in published:
            seconds[publish.policy] += publish.covered_s
            if publish.alert_state in ("raise", "update"):
                self.alerts_told.labels(publish.policy).inc()
                self.arm_alerts.labels(publish.arm, publish.alert_tier or "none").inc()
        for policy, covered_s in seconds.items():
            self.patient_days.labels(policy).inc(covered_s / _SECONDS_A_DAY)

    def note_budgets(self, budgets: Mapping[str, float]) -> None:
        """Show the budgets that are in force, by policy."""
        self.budget.clear()
        for policy, budget in budgets.items():
            self.budget.labels(policy).set(budget)

    def count_answer(self, answer: Applied) -> None:
        """Count an answer that was applied."""
        self.answers.labels(answer.outcome, answer.effect).inc()
        if answer.outcome == "overridden" and answer.override_reason is not None:
            self.overrides.labels(answer.override_reason).inc()
        if answer.waited_s is not None:
            self.answered_after.labels(answer.tier.name.lower()).observe(answer.waited_s)

    def count_context(self, operation: str, outcome: str, number: int) -> None:
        """Count contexts read or written."""
        counter = self.context_reads if operation == "read" else self.context_writes
        if number:
            counter.labels(outcome).inc(number)

    def count_embedding(self, kind: str, outcome: str, number: int) -> None:
        """Count cached encoder results."""
        if number:
            self.embeddings.labels(kind, outcome).inc(number)
