"""The detail of a card, in GitHub-flavoured Markdown: why, and how far it can be relied on.

Decides the order: doubt first, then scores, risks, what was measured, actions with their cautions, inputs, models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from topics.projections import wording
from topics.recommendation import News2, Recommendation, RecommendationEvent

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def detail(event: RecommendationEvent, shown: Sequence[Recommendation]) -> str:
    """The detail of a card that suggests the actions `shown`."""
    parts = [
        _alert(event),
        "\n".join(f"> {escaped(each)}  " for each in wording.doubts(event)),
        _news2(event.clinical_scores.news2),
        _risks(event),
        _contributions(event),
        _actions(event, shown),
        _inputs(event),
        f"Models: {escaped(wording.models(event))}",
        f"*{escaped(wording.NOTICE)}*",
    ]
    return "\n\n".join(part for part in parts if part)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _alert(event: RecommendationEvent) -> str:
    alert = event.alert
    clocks = [
        f"{word} {wording.when(time)}"
        for word, time in (
            ("raised", alert.raised_at),
            ("acknowledge by", alert.ack_by),
            ("answered", alert.answered_at),
            ("snoozed until", alert.snoozed_until),
            ("expires", alert.expires_at),
        )
        if time is not None
    ]
    lines = [f"**Why now: {escaped(wording.reason(event))}** ({'; '.join([*clocks, f'revision {alert.revision}'])})"]
    if alert.evidence == "model":
        lines.append("**Only a model says so: no rule confirms it.**")
    if alert.escalation:
        lines.append(f"Until somebody answers: {escaped(wording.escalation(event))}")
    return "\n\n".join(lines)


def _news2(score: News2) -> str:
    sub = {name.replace("_", " "): points for name, points in score.sub.model_dump().items()}
    points = ["unknown" if each is None else str(each) for each in sub.values()]
    said = escaped(f"{wording.news2(score)}; SpO2 scale {score.spo2_scale}; possible {score.low} to {score.high}")
    missing = f"\n\nNot known: {escaped(', '.join(score.missing).replace('_', ' '))}" if score.missing else ""
    return f"**{said}**\n\n{_table(sub, [points])}{missing}"


def _risks(event: RecommendationEvent) -> str:
    rows = [
        [
            risk.name,
            wording.chance(risk),
            wording.horizon(risk),
            wording.grade(event, risk) or "-",
            wording.answers(risk),
            risk.model,
        ]
        for risk in event.risks
    ]
    if not rows:
        return ""
    return _table(("risk", "calibrated probability", "within", "band", "not ruled out", "model"), rows)


def _contributions(event: RecommendationEvent) -> str:
    rows = [
        [
            each.parameter,
            f"{each.value:g} {each.unit}",
            "-" if each.measured_at is None else wording.when(each.measured_at),
            f"{each.contribution:+.2f}",
        ]
        for each in event.explanation.vitals
    ]
    if not rows:
        return ""
    shares = event.explanation.modality_shares
    beside = (
        f"Shares of the fused risk: vitals {shares.vitals:.0%}, notes {shares.notes:.0%}, imaging {shares.imaging:.0%}"
    )
    effect = f"log odds of {escaped(wording.EXPLAINED)}"
    return f"{_table(('measured', 'value', 'when', effect), rows)}\n\n{beside}"


def _actions(event: RecommendationEvent, shown: Sequence[Recommendation]) -> str:
    lines = [f"- {escaped(wording.action(each))}" for each in shown]
    lines += [f"- withheld: {escaped(f'{each.action_id}, {each.reason}')}" for each in event.withheld]
    return "\n".join(["**Actions**", "", *lines]) if lines else "No action is listed."


def _inputs(event: RecommendationEvent) -> str:
    rows = [
        [
            each.modality,
            each.freshness,
            "-" if each.event_time is None else wording.when(each.event_time),
            ", ".join(each.quality) or "-",
        ]
        for each in event.inputs
    ]
    return _table(("input", "freshness", "of", "quality"), rows) if rows else ""
