"""The recommendation event: what the system says about a patient after one input event.

Decides the shape that alerting consumers rely on. The worker builds its output as plain data for speed; tests hold
that output against these models.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from topics.events import Contract, Identifier, UtcTime
from topics.reasons import Reason

RECOMMENDATION_SCHEMA_VERSION: Final = "1.2"

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Modality = Literal["vitals", "notes", "imaging"]
Urgency = Literal["immediate_now", "immediate_15m", "emergency_30m", "urgent_1h", "soon_3h", "soon_4h", "routine_12h"]


class CausedBy(Contract):
    """The record that led to this output."""

    event_id: Identifier
    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    event_time: UtcTime
    source: Identifier


class Risk(Contract):
    """One calibrated risk; no probability where the model abstains on foreign input, failed or is off."""

    name: str
    probability: Probability | None
    horizon_h: float | None = Field(gt=0, description="Hours ahead; null where the risk is of the whole stay.")
    band: Literal["low", "medium", "high"] | None
    model: str
    prediction_set: list[Literal["no", "yes"]] | None = Field(
        description="Answers that cannot be ruled out at the model's coverage: one is an answer, none or both is "
        "ambiguous; null where there is no probability, or the model has no sets. Since 1.1.",
    )


class Finding(Contract):
    """What the encoder of this event's note or image says of one label."""

    label: str
    probability: Probability
    possible: bool = Field(description="The label is in the prediction set: it cannot be ruled out.")
    certain: bool = Field(description="Nothing else is in the prediction set. Possible but not certain is ambiguous.")


SubScore = Annotated[int, Field(ge=0, le=3)]


class News2SubScores(Contract):
    """Points of the seven parameters; null where unknown."""

    respiration_rate: SubScore | None
    spo2: SubScore | None
    systolic_bp: SubScore | None
    pulse: SubScore | None
    temperature: SubScore | None
    acvpu: SubScore | None
    on_oxygen: SubScore | None


class News2(Contract):
    """NEWS2 (RCP 2017). Unknown is not normal: the total is null unless complete, and low to high is possible."""

    total: int | None = Field(ge=0, le=20)
    low: int = Field(ge=0, le=20)
    high: int = Field(ge=0, le=20)
    sub: News2SubScores
    missing: list[str]
    any_single_3: bool | None
    risk: Literal["low", "low-medium", "medium", "high"] | None
    spo2_scale: Literal[1, 2]
    applicable: bool


class Qsofa(Contract):
    """qSOFA (Sepsis-3, 2016)."""

    total: int | None = Field(ge=0, le=3)
    low: int = Field(ge=0, le=3)
    high: int = Field(ge=0, le=3)
    positive: bool | None


class ShockIndex(Contract):
    """Pulse over systolic blood pressure."""

    value: Finite | None


class ClinicalScores(Contract):
    """Scores by rule, beside every model."""

    news2: News2
    qsofa: Qsofa
    shock_index: ShockIndex


class Coding(Contract):
    """A code of a terminology."""

    system: str
    code: str
    display: str


class Contributions(Contract):
    """How much each part of the ranker gave to the score; they sum to it."""

    rule: Finite
    content: Finite = Field(description="What readings say, and how strongly the rule behind the action is met.")
    collaborative: Finite
    risk: Finite
    diversity: Finite = Field(
        0.0,
        le=0,
        description="Step back behind actions of other categories, where earlier ones of the same urgency have the "
        "same category. Since 1.2.",
    )


class Recommendation(Contract):
    """One care action, ranked."""

    rank: int = Field(ge=1)
    action_id: str
    text: str
    category: str
    urgency: Urgency
    role: str
    codes: list[Coding]
    score: Finite
    contributions: Contributions
    cautions: list[str]
    floor: bool = Field(description="Demanded by a rule; models can neither drop nor demote it.")


class Withheld(Contract):
    """An indicated action that a contraindication blocks."""

    action_id: str
    reason: str


class Escalation(Contract):
    """One addressee of an alert that nobody has answered."""

    role: str
    at: UtcTime = Field(description="From when on this role is to be told, if nobody has answered until then.")


class Alert(Contract):
    """State of the patient's alert: an upsert, complete in itself. Consumers run the clocks."""

    alert_id: Identifier | None = Field(description="Null where none was raised, as for one that is held back.")
    state: Literal["raise", "update", "clear", "suppress", "none"]
    tier: Literal["info", "warning", "critical"] | None = Field(
        description="Of a clear, that of the last raise or update; a suppress may show a lower one than was told."
    )
    action_id: str | None
    dedupe_key: str | None
    reason: str | None
    raised_at: UtcTime | None
    ack_by: UtcTime | None
    expires_at: UtcTime | None
    stale: bool = Field(description="Published after expires_at: do not page.")
    revision: int = Field(ge=0)
    evidence: Literal["rules", "model"] | None = Field(
        description="model: only a model says so, and no rule confirms it. Since 1.2."
    )
    answered_at: UtcTime | None = Field(description="When somebody last answered it. Since 1.2.")
    snoozed_until: UtcTime | None = Field(description="When it comes back by itself. Since 1.2.")
    escalation: list[Escalation] = Field(
        description="Whom to tell, and from when on, until somebody answers; empty once somebody has. Since 1.2."
    )


class ModalityShares(Contract):
    """Parts of the fused risk; they sum to 1, or to 0 where there is no risk."""

    vitals: Probability
    notes: Probability
    imaging: Probability


class VitalContribution(Contract):
    """One signed contribution to the risk's logit, with what was measured and when."""

    parameter: str
    value: Finite
    unit: str
    measured_at: UtcTime | None
    contribution: Finite


class NoteSpan(Contract):
    """Characters [start, end) of a note that weighed most."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    weight: Finite
    source_event: Identifier


class HeatMap(Contract):
    """Class activation over the image, row by row from the top left."""

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    values: list[Finite]


class Explanation(Contract):
    """Why."""

    modality_shares: ModalityShares
    vitals: list[VitalContribution]
    note_spans: list[NoteSpan]
    heat_map: HeatMap | None


class Input(Contract):
    """What was used of one modality."""

    modality: Modality
    event_id: Identifier | None
    event_time: UtcTime | None
    age_s: Finite | None
    freshness: Literal["fresh", "stale", "absent"]
    quality: list[str]
    ages_s: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Of vitals: age in seconds, as of this event, of each value that counts, by parameter: those of "
        "the scores and those that a rule reads. What is not named is unknown. Since 1.2.",
    )
    aged_out: list[str] = Field(
        default_factory=list,
        description="Of vitals: such parameters whose newest value is older than its maximum age and therefore counts "
        "as unknown. Since 1.2.",
    )
    suspect: list[str] = Field(
        default_factory=list,
        description="Parameters and flags of this event that were left out because their value, code or unit cannot be "
        'used ("unrecognised" for a code that nobody knows); `reasons` says why. Since 1.2.',
    )


class Timing(Contract):
    """Where the time went."""

    received_at: UtcTime
    published_at: UtcTime | None
    queue_ms: float = Field(ge=0)
    process_ms: float = Field(ge=0)


class Models(Contract):
    """Versions of the models that took part; null where one did not."""

    vitals: str | None
    notes: str | None
    imaging: str | None
    fusion: str | None
    ranker: str | None


class ControlInForce(Contract):
    """What operators set that bears on this result. Since 1.2."""

    rules_only: bool = Field(description="The ward is decided without models.")
    models_off: list[str]
    canary: list[str] = Field(description="Models of which this patient has the candidate; `models` names its version.")
    limits: list[Literal["spo2_scale", "icu_not_appropriate", "dnacpr"]] = Field(
        description="What was decided for this patient by control."
    )
    policy: str = Field(description="Whose alert policy was used: a ward's own, or * for that of everywhere.")


class RecommendationEvent(Contract):
    """One output for one input event."""

    schema_version: str
    recommendation_id: Identifier = Field(
        description="UUIDv5 of topic, source, event id and run: a repeat has the same."
    )
    patient_id: Identifier
    encounter_id: Identifier | None
    unit: Identifier | None
    run: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    caused_by: CausedBy
    status: Literal["ok", "degraded", "indeterminate", "retracted"]
    reasons: list[Reason]
    supersedes: list[Identifier]
    risks: list[Risk]
    findings: list[Finding] = Field(
        description="Labels of this event's note or image, most probable first; empty for vital signs, and where the "
        "encoder abstains, failed or is off. Since 1.1.",
    )
    clinical_scores: ClinicalScores
    recommendations: list[Recommendation]
    withheld: list[Withheld]
    alert: Alert
    explanation: Explanation
    inputs: list[Input]
    timing: Timing
    models: Models
    control_offset: int | None = Field(description="Offset of the newest control record that was applied.")
    control: ControlInForce
