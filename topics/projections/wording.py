"""What a recommendation says, in words that cards and resources share. Plain text; formats escape it themselves.

Decides above all how doubt is said: unknown is never normal, and a risk that is absent or ambiguous is never low.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

from topics.recommendation import News2, Recommendation, RecommendationEvent, Risk, VitalContribution

NOTICE: Final = (
    "Decision support for research. Not a certified medical device. Never the only ground for treating or not "
    "treating. Population, data, validation and known gaps: the cards of the models named."
)
EXPLAINED: Final = "sepsis_6h"
"""The risk whose log odds `explanation.vitals` takes apart."""

Grade = Literal["low", "medium", "high", "indeterminate"]

_STATUS: Final = {
    "degraded": "Degraded result: part of the system was away or switched off",
    "indeterminate": "Indeterminate result: rely on the clinical scores; a risk that is absent or ambiguous is not low",
    "retracted": "Retraction: what it supersedes no longer holds, the rest describes the patient without it",
}


def when(time: datetime) -> str:
    """To the minute, UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def chance(risk: Risk) -> str:
    """The probability of a risk in per cent, with a decimal where it is small; in words where there is none."""
    if risk.probability is None:
        return "none: abstains or off"
    return f"{100 * risk.probability:.{0 if risk.probability >= 0.1 else 1}f} %"


def news2(score: News2) -> str:
    """NEWS2: the total where it is known, else what is possible."""
    if not score.applicable:
        return "NEWS2 does not apply"
    if score.total is None:
        return f"NEWS2 incomplete, {score.low} to {score.high} possible"
    return f"NEWS2 {score.total}" + (f" ({score.risk})" if score.risk else "")


def ambiguous(risk: Risk) -> bool:
    """There is a prediction set, and it holds no single answer."""
    return risk.prediction_set is not None and len(risk.prediction_set) != 1


def grade(event: RecommendationEvent, risk: Risk) -> Grade | None:
    """The band of a risk, unless the result leaves it open. None where it has none."""
    doubtful = risk.probability is None or ambiguous(risk)
    if doubtful or (event.status == "indeterminate" and risk.band == "low"):
        return "indeterminate"
    return risk.band


def answers(risk: Risk) -> str:
    """What the prediction set leaves open."""
    if risk.prediction_set is None:
        return "no prediction set"
    held = " or ".join(risk.prediction_set) or "no answer"
    return f"{held} (ambiguous)" if ambiguous(risk) else held


def horizon(risk: Risk) -> str:
    """How far ahead a risk looks."""
    return "whole stay" if risk.horizon_h is None else f"{risk.horizon_h:g} h"


def risk_line(event: RecommendationEvent, risk: Risk) -> str:
    """One risk in a line."""
    if risk.probability is None:
        return f"{risk.name} ({horizon(risk)}): no probability, the model abstains or is off; {risk.model}"
    graded = grade(event, risk) or "no band"
    return (
        f"{risk.name} ({horizon(risk)}): calibrated probability {chance(risk)}, {graded}; "
        f"not ruled out: {answers(risk)}; {risk.model}"
    )


def measured(each: VitalContribution) -> str:
    """A measured value with its unit and time."""
    time = "" if each.measured_at is None else f" at {when(each.measured_at)}"
    return f"{each.parameter} {each.value:g} {each.unit}{time}"


def doubts(event: RecommendationEvent) -> list[str]:
    """The status where it is not `ok`, then every reason with its meaning."""
    status = [_STATUS[event.status]] if event.status in _STATUS else []
    return status + [f"{reason}: {reason.explanation.rstrip('.')}" for reason in event.reasons]


def models(event: RecommendationEvent) -> str:
    """Versions of the models that took part."""
    named = [f"{name} {version}" for name, version in event.models.model_dump().items() if version]
    return ", ".join(named) or "none, rules only"


def reason(event: RecommendationEvent) -> str:
    """Why the alert is as it is."""
    return (event.alert.reason or "no reason given").replace("_", " ").replace("news2", "NEWS2")


def escalation(event: RecommendationEvent) -> str:
    """Whom to tell, and from when on."""
    return "; ".join(f"{step.role} from {when(step.at)}" for step in event.alert.escalation)


def alerted(event: RecommendationEvent) -> Recommendation | None:
    """What to do about the alert: the action it was raised about, else the first that calls somebody, else the first.

    An alert that became worse may list a more urgent call instead of the one that it was raised about.
    """
    listed = event.recommendations
    about = [each for each in listed if each.action_id == event.alert.action_id]
    calls = [each for each in listed if each.category == "escalation"]
    return next(iter([*about, *calls, *listed]), None)


def action(each: Recommendation) -> str:
    """One action with what must be shown beside it."""
    floor = ", demanded by a rule" if each.floor else ""
    cautions = f". Caution: {'; '.join(each.cautions)}" if each.cautions else ""
    return f"{each.text} ({each.urgency.replace('_', ' ')}, {each.role}{floor}){cautions}"
