"""A FHIR R4 CommunicationRequest: that somebody is to be told of an alert, and no longer when it has cleared.

Decides when: `raise` and `update` that are not stale ask (`active`), `clear` withdraws (`revoked`), stale or not: to
withdraw pages nobody. Nothing for `suppress`, `none` and a stale alert. wardstream does not come back when the time is
over: who serves the request watches its period, `alert.ack_by` and `alert.expires_at`.

Upsert: PUT [base]/CommunicationRequest?identifier=urn:wardstream:alert|<alert_id>
"""

from __future__ import annotations

from typing import Any, Final

from topics.projections import fhir, wording
from topics.projections.cds_hooks import summary
from topics.projections.fhir import UNSAID, Systems
from topics.projections.reading import Published, read
from topics.recommendation import RecommendationEvent

KIND: Final = "CommunicationRequest"
# As the catalogue of actions maps its urgencies: within 15 minutes stat, within the hour asap.
PRIORITY: Final = {"critical": "stat", "warning": "asap", "info": "routine"}
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/communication-category"


def communication_request(published: Published, systems: Systems = UNSAID) -> dict[str, Any] | None:
    """The request; None where nobody is to be told.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    alert = event.alert
    cleared = alert.state == "clear"
    asks = alert.state in ("raise", "update") and not alert.stale
    if alert.alert_id is None or not (asks or cleared):
        return None
    return fhir.resource(
        KIND,
        identifier=[fhir.identifier(fhir.ALERT, alert.alert_id)],
        status="revoked" if cleared else "active",
        statusReason={"text": f"cleared: {wording.reason(event)}"} if cleared else None,
        category=[{"coding": [{"system": _CATEGORY, "code": "alert", "display": "Alert"}]}],
        priority=None if cleared else PRIORITY[alert.tier or "warning"],
        subject=fhir.patient(event, systems),
        about=[
            fhir.reference("DetectedIssue", fhir.ALERT, alert.alert_id),
            fhir.reference("RiskAssessment", fhir.RECOMMENDATION, event.recommendation_id),
        ],
        encounter=fhir.encounter(event, systems),
        payload=[{"contentString": text} for text in _payload(event, cleared=cleared)],
        occurrencePeriod=None if cleared else _period(event),
        authoredOn=fhir.instant(event.timing.published_at or event.caused_by.event_time),
        requester=fhir.device(),
        recipient=None if cleared else _recipients(event),
        sender=fhir.device(),
        note=fhir.notes(event),
    )


def _recipients(event: RecommendationEvent) -> list[dict[str, Any]]:
    """The role to be told first; the steps after it have their times, which R4 can say in words alone."""
    first = wording.alerted(event)
    roles = [step.role for step in event.alert.escalation[:1]] or ([] if first is None else [first.role])
    return [{"type": "PractitionerRole", "display": role} for role in roles]


def _payload(event: RecommendationEvent, *, cleared: bool) -> list[str]:
    score = wording.news2(event.clinical_scores.news2)
    if cleared:
        return [f"Alert cleared: {wording.reason(event)}. {score}"]
    about = [f"Why: {wording.reason(event)}; {score}"]
    about += [wording.risk_line(event, risk) for risk in event.risks]
    first = wording.alerted(event)
    if first is not None:
        about.append(wording.action(first))
    if event.alert.evidence == "model":
        about.append("Only a model says so: no rule confirms it")
    if event.alert.escalation:
        about.append(f"Until somebody answers: {wording.escalation(event)}")
    if event.alert.expires_at is not None:
        about.append(f"Void after {wording.when(event.alert.expires_at)}")
    return [summary(event), *about]


def _period(event: RecommendationEvent) -> dict[str, Any] | None:
    """From the event to when somebody should have acknowledged, or at the latest to when the alert expires."""
    start, end = event.caused_by.event_time, event.alert.ack_by or event.alert.expires_at
    if end is not None:
        start = min(start, end)
    return fhir.present(start=fhir.instant(start), end=fhir.instant(end))
