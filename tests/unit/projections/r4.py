"""The part of FHIR R4 (4.0.1) that the projections use, as models: cardinalities, value sets, invariants.

An element that is not here is refused, so that a misspelt one fails.
"""

# ruff: noqa: N815 - elements are called as FHIR calls them

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
Uri = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:\S+$")]
Code = Annotated[str, StringConstraints(pattern=r"^[^\s]+(\s[^\s]+)*$")]
DateTime = Annotated[
    str,
    StringConstraints(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
        r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$"
    ),
]
# ObservationStatus: RiskAssessment.status and, in R4, DetectedIssue.status too
ObservationStatus = Literal[
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"
]
RequestStatus = Literal["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"]
RequestPriority = Literal["routine", "urgent", "asap", "stat"]
Severity = Literal["high", "moderate", "low"]
RISK_PROBABILITY = {"negligible", "low", "moderate", "high", "certain"}


class Element(BaseModel):
    """No element of FHIR is null or an empty list."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_something(cls, value: object) -> object:
        assert isinstance(value, dict)
        assert value, "ele-1: an element has a value or children"
        assert all(each not in (None, [], {}, "") for each in value.values()), value
        return value


class Coding(Element):
    system: Uri
    code: Code
    display: Text | None = None


class CodeableConcept(Element):
    coding: list[Coding] | None = None
    text: Text | None = None


class Identifier(Element):
    system: Uri | None = None
    value: Text


class Reference(Element):
    """Logical: never the URL of a resource."""

    type: Literal["Patient", "Encounter", "Device", "PractitionerRole", "RiskAssessment", "DetectedIssue"] | None = None
    identifier: Identifier | None = None
    display: Text | None = None


class Period(Element):
    start: DateTime
    end: DateTime | None = None

    @model_validator(mode="after")
    def _per_1(self) -> Self:
        assert self.end is None or datetime.fromisoformat(self.start) <= datetime.fromisoformat(self.end)
        return self


class Annotation(Element):
    text: Text


class Meta(Element):
    security: list[Coding]


class Resource(Element):
    meta: Meta
    identifier: list[Identifier] = Field(min_length=1)


class Prediction(Element):
    outcome: CodeableConcept
    probabilityDecimal: float | None = Field(None, ge=0, le=100)  # ras-2; per cent
    qualitativeRisk: CodeableConcept | None = None
    whenPeriod: Period | None = None
    rationale: Text

    @model_validator(mode="after")
    def _codes_exist(self) -> Self:
        for coding in (self.qualitativeRisk and self.qualitativeRisk.coding) or []:
            assert coding.system == "http://terminology.hl7.org/CodeSystem/risk-probability"
            assert coding.code in RISK_PROBABILITY
        return self


class RiskAssessment(Resource):
    resourceType: Literal["RiskAssessment"]
    status: ObservationStatus
    method: CodeableConcept | None = None
    subject: Reference
    encounter: Reference | None = None
    occurrenceDateTime: DateTime | None = None
    performer: Reference | None = None
    basis: list[Reference] | None = None
    prediction: list[Prediction] | None = None
    mitigation: Text | None = None
    note: list[Annotation] | None = None


class Evidence(Element):
    code: list[CodeableConcept] | None = None
    detail: list[Reference] | None = None


class DetectedIssue(Resource):
    resourceType: Literal["DetectedIssue"]
    status: ObservationStatus
    code: CodeableConcept | None = None
    severity: Severity | None = None
    patient: Reference
    identifiedPeriod: Period | None = None
    author: Reference | None = None
    evidence: list[Evidence] | None = None
    detail: Text | None = None


class Payload(Element):
    contentString: Text


class CommunicationRequest(Resource):
    resourceType: Literal["CommunicationRequest"]
    status: RequestStatus
    statusReason: CodeableConcept | None = None
    category: list[CodeableConcept] | None = None
    priority: RequestPriority | None = None
    subject: Reference
    about: list[Reference] | None = None
    encounter: Reference | None = None
    payload: list[Payload] | None = None
    occurrencePeriod: Period | None = None
    authoredOn: DateTime | None = None
    requester: Reference | None = None
    recipient: list[Reference] | None = None
    sender: Reference | None = None
    note: list[Annotation] | None = None
