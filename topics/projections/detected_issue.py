"""A FHIR R4 DetectedIssue of an alert.

Decides the status. R4 has no "mitigated" (R5 added it): an alert that stands is `preliminary`, for it may yet change,
and a cleared one is `final` with the end of its period. No mitigation is claimed: a score that fell does not say what
was done, and neither does an answer, which stands in the detail. It is a record and pages nobody, so a stale alert is
recorded too. Nothing for `none`, nor for `suppress` unless somebody has answered, or no longer has: there is no news.

Upsert: PUT [base]/DetectedIssue?identifier=urn:wardstream:alert|<alert_id>
"""

from __future__ import annotations

from typing import Any, Final

from topics.projections import fhir, wording
from topics.projections.fhir import UNSAID, Systems
from topics.projections.reading import Published, read
from topics.recommendation import RecommendationEvent

KIND: Final = "DetectedIssue"
SEVERITY: Final = {"critical": "high", "warning": "moderate", "info": "low"}


def detected_issue(published: Published, systems: Systems = UNSAID, *, answered: bool = False) -> dict[str, Any] | None:
    """The issue; None where the alert does not change.

    Args:
        published: The recommendation.
        systems: Of the identifiers.
        answered: The alert's issue was last written as answered: a `suppress` that shows no answer any more is news.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    alert = event.alert
    news = alert.state == "suppress" and (answered or alert.answered_at is not None)
    if alert.alert_id is None or not (news or alert.state in ("raise", "update", "clear")):
        return None
    cleared = alert.state == "clear"
    return fhir.resource(
        KIND,
        identifier=[fhir.identifier(fhir.ALERT, alert.alert_id)],
        status="final" if cleared else "preliminary",
        code=_code(event),
        severity=SEVERITY[alert.tier] if alert.tier else None,
        patient=fhir.patient(event, systems),
        identifiedPeriod=_period(event, cleared=cleared),
        author=fhir.device(),
        evidence=_evidence(event),
        detail=_detail(event),
    )


def _code(event: RecommendationEvent) -> dict[str, Any]:
    action = event.alert.action_id
    coding = None if action is None else [{"system": fhir.ACTION, "code": action}]
    return fhir.present(coding=coding, text="Possible clinical deterioration")


def _period(event: RecommendationEvent, *, cleared: bool) -> dict[str, Any]:
    """From the raise to the clearing; a late event may clear, but never before the raise."""
    start = event.alert.raised_at or event.caused_by.event_time
    end = max(start, event.caused_by.event_time) if cleared else None
    return fhir.present(start=fhir.instant(start), end=fhir.instant(end))


def _evidence(event: RecommendationEvent) -> list[dict[str, Any]]:
    """The score, the assessment with all risks, and each risk in words."""
    assessment = fhir.reference("RiskAssessment", fhir.RECOMMENDATION, event.recommendation_id)
    said = [wording.news2(event.clinical_scores.news2), *(wording.risk_line(event, risk) for risk in event.risks)]
    return [{"code": [{"text": text} for text in said], "detail": [assessment]}]


def _detail(event: RecommendationEvent) -> str:
    alert = event.alert
    stale = ["published after it expired"] if alert.stale else []
    parts = [f"Alert {alert.state}, revision {alert.revision}: {wording.reason(event)}", *stale]
    parts += ["Only a model says so: no rule confirms it"] if alert.evidence == "model" else []
    parts += [f"Answered {wording.when(alert.answered_at)}"] if alert.answered_at else []
    parts += [f"Snoozed until {wording.when(alert.snoozed_until)}"] if alert.snoozed_until else []
    return ". ".join([*parts, *wording.doubts(event), wording.NOTICE])
