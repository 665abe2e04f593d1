"""A CDS Hooks 2.0 card of an alert.

Decides when there is a card: the alert is raised or told again (`raise`, `update`), and the result was published in
time. Told again is not always worse: a snooze is over, or somebody passed it on; the summary says which. No card for
`none`, `suppress` (already told, or muted), `clear` and stale alerts. A card is transient: whoever holds one takes it
down at `alert.expires_at`, or when the alert clears.

Suggestions carry no actions: to create an order takes the patient's id on the FHIR server, which is not known here.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid5

from topics.override_reasons import OFFERED, OVERRIDE_REASONS, SYSTEM
from topics.projections import card_detail, wording
from topics.projections.reading import Published, read
from topics.recommendation import Alert, Recommendation, RecommendationEvent

SUMMARY_MAX: Final = 139
"""Characters; the specification asks for less than 140."""

SOURCE: Final = "wardstream (decision support for research)"

_NAMESPACE: Final = UUID("5bd87fe0-08e4-4b39-9e0f-2a9ab95b0e5d")
_SHOWN: Final = 5
_BANDS: Final = ("low", "medium", "high")
_HEAD: Final = {"critical": "Critical alert", "warning": "Warning", "info": "Information"}
_AGAIN: Final = {"snooze_over": "snooze over", "rerouted": "passed on"}


def card(published: Published) -> dict[str, Any] | None:
    """The card, or None where nobody is to be interrupted.

    Raises:
        ValueError: This is no recommendation.
    """
    event = read(published)
    alert = event.alert
    if alert.state not in ("raise", "update") or alert.stale or alert.alert_id is None:
        return None
    shown = [each for each in event.recommendations if each.floor or each.rank <= _SHOWN]
    made: dict[str, Any] = {
        "uuid": alert.alert_id,
        "summary": summary(event),
        "indicator": alert.tier or "warning",
        "source": {"label": SOURCE},
        "detail": card_detail.detail(event, shown),
        "overrideReasons": [
            {"system": SYSTEM, "code": code, "display": OVERRIDE_REASONS[code].display} for code in OFFERED
        ],
    }
    if shown:
        made["suggestions"] = [_suggestion(alert.alert_id, each) for each in shown]
        made["selectionBehavior"] = "any"
    return made


def suggestion_uuid(alert_id: str, action_id: str) -> str:
    """The suggestion of an action, the same in every revision of the alert: by it feedback names what was accepted."""
    return str(uuid5(_NAMESPACE, f"{alert_id}:{action_id}"))


def summary(event: RecommendationEvent) -> str:
    """One line of at most SUMMARY_MAX characters: how urgent, why again, NEWS2, the highest risk, what to do."""
    known = [risk for risk in event.risks if risk.band is not None and not wording.ambiguous(risk)]
    facts = [wording.news2(event.clinical_scores.news2)]
    if event.status == "indeterminate":
        facts.append("result indeterminate")
    elif known:
        highest = max(known, key=lambda risk: _BANDS.index(risk.band or "low"))
        facts.append(f"{highest.name} {wording.chance(highest)}")
    first = wording.alerted(event)
    head = _HEAD[event.alert.tier or "warning"] + _again(event.alert)
    text = f"{head}: {', '.join(facts)}. {first.text if first else 'See why'}"
    text = " ".join(text.split())  # one line, whatever the action's text holds
    return text if len(text) <= SUMMARY_MAX else text[: SUMMARY_MAX - 1].rstrip() + "…"


def _again(alert: Alert) -> str:
    """Why an alert is told again, in brackets; nothing where it is not."""
    if alert.state != "update":
        return ""
    reason = alert.reason or ""
    return " (worse)" if reason.startswith("worse:") else f" ({_AGAIN.get(reason, 'told again')})"


def _suggestion(alert_id: str, each: Recommendation) -> dict[str, Any]:
    label = each.text + (" (cautions: see detail)" if each.cautions else "")
    return {"label": label, "uuid": suggestion_uuid(alert_id, each.action_id), "isRecommended": each.floor}
