"""A FHIR R4 CommunicationRequest: that somebody is to be told of an alert, and no longer once somebody has answered.

Decides the status, by R4's definitions of it:

- `active`, in force: `raise` and `update` that are not stale.
- `on-hold`, withdrawn for now but expected to resume: somebody has answered, and the alert still stands. Not
  `completed`, for then "no further activity will occur": worse, a snooze that is over and an answer that is taken back
  ask again, under the same identifier.
- `completed`, fully performed: the alert has cleared, and the last telling of it was answered.
- `revoked`, ended before that: it has cleared, and nobody had answered.

The last three page nobody, so they are given for a stale alert too. Nothing for `none`, for a stale `raise` or
`update`, nor for any other `suppress`: there is no news. wardstream does not come back when the time is over: who
serves the request watches its period, `alert.ack_by` and `alert.expires_at`.

Upsert: PUT [base]/CommunicationRequest?identifier=urn:wardstream:alert|<alert_id>
"""

from __future__ import annotations

from typing import Any, Final, Literal

from topics.projections import fhir, wording
from topics.projections.cds_hooks import summary
from topics.projections.fhir import UNSAID, Systems
from topics.projections.reading import Published, read
from topics.recommendation import RecommendationEvent

KIND: Final = "CommunicationRequest"
# As the catalogue of actions maps its urgencies: within 15 minutes stat, within the hour asap.
PRIORITY: Final = {"critical": "stat", "warning": "asap", "info": "routine"}
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/communication-category"


Status = Literal["active", "on-hold", "completed", "revoked"]


def communication_request(
    published: Published, systems: Systems = UNSAID, *, answered: bool = False
) -> dict[str, Any] | None:
    """The request; None where there is nothing to write.

    Args:
        published: The recommendation.
        systems: Of the identifiers.
        answered: The alert's request was last written as `on-hold`: a `suppress` that shows no answer any more makes it
            `active` again.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    alert = event.alert
    status = _status(event, answered=answered)
    if alert.alert_id is None or status is None:
        return None
    cleared = alert.state == "clear"
    return fhir.resource(
        KIND,
        identifier=[fhir.identifier(fhir.ALERT, alert.alert_id)],
        status=status,
        statusReason=_status_reason(event),
        category=[{"coding": [{"system": _CATEGORY, "code": "alert", "display": "Alert"}]}],
        priority=None if cleared else PRIORITY[alert.tier or "warning"],
        subject=fhir.patient(event, systems),
        about=[
            fhir.reference("DetectedIssue", fhir.ALERT, alert.alert_id),
            fhir.reference("RiskAssessment", fhir.RECOMMENDATION, event.recommendation_id),
        ],
        encounter=fhir.encounter(event, systems),
        payload=[{"contentString": text} for text in _payload(event, cleared=cleared)],
        occurrencePeriod=_period(event, status),
        authoredOn=fhir.instant(event.timing.published_at or event.caused_by.event_time),
        requester=fhir.device(),
        recipient=None if cleared else _recipients(event),
        sender=fhir.device(),
        note=fhir.notes(event),
    )


def _status(event: RecommendationEvent, *, answered: bool) -> Status | None:
    alert = event.alert
    if alert.state == "clear":
        return "revoked" if alert.answered_at is None else "completed"
    if alert.state == "suppress" and alert.answered_at is not None:
        return "on-hold" if alert.ack_by is None else None  # passed on: the next addressee is still to be told
    again = alert.state == "suppress" and answered
    return "active" if (again or alert.state in ("raise", "update")) and not alert.stale else None


def _status_reason(event: RecommendationEvent) -> dict[str, str] | None:
    alert = event.alert
    if alert.state == "clear":
        return {"text": f"cleared: {wording.reason(event)}"}
    if alert.state != "suppress" or alert.answered_at is None:
        return None
    until = "" if alert.snoozed_until is None else f", snoozed until {wording.when(alert.snoozed_until)}"
    return {"text": f"answered {wording.when(alert.answered_at)}{until}"}


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


def _period(event: RecommendationEvent, status: Status) -> dict[str, Any] | None:
    """From the event to when somebody should have acknowledged, or at the latest to when the alert expires.

    On hold it begins when a snooze is over; of an alert that was taken up there is none.
    """
    start, end = event.caused_by.event_time, event.alert.ack_by or event.alert.expires_at
    if status == "on-hold" and event.alert.snoozed_until is not None:
        start = event.alert.snoozed_until
    elif status != "active":
        return None
    if end is not None:
        start = min(start, end)
    return fhir.present(start=fhir.instant(start), end=fhir.instant(end))
