"""A FHIR R4 RiskAssessment of every recommendation.

Decides the status: `final`, and `entered-in-error` for a retraction, as for each result that another one supersedes
(`superseded`). A risk without probability is a prediction without probability. R4 asks for percentages.

Upsert: PUT [base]/RiskAssessment?identifier=urn:wardstream:recommendation|<recommendation_id>
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from topics.projections import fhir, wording
from topics.projections.fhir import UNSAID, Systems
from topics.projections.reading import Published, read
from topics.recommendation import RecommendationEvent, Risk

KIND: Final = "RiskAssessment"

_QUALITY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/risk-probability"
_QUALITY: Final = {
    "low": ("low", "Low likelihood"),
    "medium": ("moderate", "Moderate likelihood"),
    "high": ("high", "High likelihood"),
}


def risk_assessment(published: Published, systems: Systems = UNSAID) -> dict[str, Any]:
    """The assessment, with one prediction a risk.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    return fhir.resource(
        KIND,
        identifier=[fhir.identifier(fhir.RECOMMENDATION, event.recommendation_id)],
        status="entered-in-error" if event.status == "retracted" else "final",
        method={"text": f"wardstream {event.schema_version}, run {event.run}; models: {wording.models(event)}"},
        subject=fhir.patient(event, systems),
        encounter=fhir.encounter(event, systems),
        occurrenceDateTime=fhir.instant(event.caused_by.event_time),
        performer=fhir.device(),
        basis=fhir.basis(event),
        prediction=[_prediction(event, risk) for risk in event.risks],
        mitigation="\n".join(f"{each.rank}. {wording.action(each)}" for each in event.recommendations),
        note=[{"text": wording.news2(event.clinical_scores.news2)}, *fhir.notes(event)],
    )


def superseded(published: Published, systems: Systems = UNSAID) -> list[dict[str, Any]]:
    """What becomes of the assessments of the results that this one supersedes: they were made in error.

    Each takes the place of the whole resource. Write them before the assessment itself.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    note = {"text": f"Superseded by {event.recommendation_id}: the event behind it was corrected or retracted."}
    return [
        fhir.resource(
            KIND,
            identifier=[fhir.identifier(fhir.RECOMMENDATION, ident)],
            status="entered-in-error",
            subject=fhir.patient(event, systems),
            note=[note],
        )
        for ident in event.supersedes
    ]


def _prediction(event: RecommendationEvent, risk: Risk) -> dict[str, Any]:
    start = event.caused_by.event_time
    period = None
    if risk.horizon_h is not None:
        end = start + timedelta(hours=risk.horizon_h)
        period = {"start": fhir.instant(start), "end": fhir.instant(end)}
    return fhir.present(
        outcome={"coding": [{"system": fhir.RISK, "code": risk.name}], "text": risk.name.replace("_", " ")},
        probabilityDecimal=None if risk.probability is None else round(100 * risk.probability, 2),
        qualitativeRisk=_qualitative(event, risk),
        whenPeriod=period,
        rationale=_rationale(event, risk),
    )


def _qualitative(event: RecommendationEvent, risk: Risk) -> dict[str, Any] | None:
    """The band as R4 codes it; in words alone where the result leaves it open, for there is no such code."""
    grade = wording.grade(event, risk)
    if grade is None:
        return None
    if grade == "indeterminate":
        return {"text": grade}
    code, display = _QUALITY[grade]
    return {"coding": [{"system": _QUALITY_SYSTEM, "code": code, "display": display}], "text": grade}


def _rationale(event: RecommendationEvent, risk: Risk) -> str:
    """The risk in words, and what moved the one that is explained."""
    said = wording.risk_line(event, risk)
    if risk.name != wording.EXPLAINED or risk.probability is None or not event.explanation.vitals:
        return said
    moved = "; ".join(f"{wording.measured(each)} ({each.contribution:+.2f})" for each in event.explanation.vitals)
    return f"{said}. Contributions in log odds: {moved}"
