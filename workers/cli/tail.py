"""`wardstream tail`: recommendations as they come, readable by a person.

Decides how one recommendation looks in one line. Reads without a group and commits nothing. What it prints is patient
data: it is for a terminal, not for a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
import typer
from rich.markup import escape

from workers.cli.shared import load_settings, out, run

Recommendation = Mapping[str, Any]

TIER_STYLE: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
ALERTING: Final = frozenset({"raise", "update", "clear"})


def tail(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record's value as it is.")] = False,
    alerts: Annotated[bool, typer.Option("--alerts", help="Only those that raise, update or clear an alert.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin at the earliest record, not at the next.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
) -> None:
    """Watch recommendations, one line each: time, patient, NEWS2, risks, alert, first action, why.

    Example:  wardstream tail --alerts

    Scripts:  wardstream tail --json --from-start | jq .alert.state
    """
    from topics.catalogue import RECOMMENDATIONS, full_name
    from workers.cli import cluster

    settings = load_settings()

    async def watch() -> None:
        shown = 0
        topic = full_name(settings.topic_prefix, RECOMMENDATIONS)
        async with cluster.reader(settings, topic, from_start=from_start) as consumer:
            async for record in consumer:
                if record.value is None or (alerts and not alerting(dict(record.headers))):
                    continue
                if as_json:
                    typer.echo(record.value.decode())
                else:
                    out.print(line(orjson.loads(record.value)), soft_wrap=True)
                shown += 1
                if shown == count:
                    return

    run(watch())


def alerting(headers: Mapping[str, bytes]) -> bool:
    """Whether the headers say that an alert changes, so that the value need not be parsed."""
    from topics.headers import ALERT_STATE

    return headers.get(ALERT_STATE, b"").decode() in ALERTING


def line(recommendation: Recommendation) -> str:
    """One recommendation in one line of rich markup."""
    event_time = str(recommendation["caused_by"]["event_time"])[:16].replace("T", " ")
    tier = recommendation["alert"]["tier"]
    alert = alert_text(recommendation)
    parts = [
        event_time,
        f"[bold]{escape(recommendation['patient_id'])}[/]",
        f"NEWS2 {news2_text(recommendation)}",
        risks_text(recommendation),
        escape(findings_text(recommendation)),
        f"[{TIER_STYLE.get(tier, 'dim')}]{alert}[/]",
        escape(action_text(recommendation)),
        f"[dim]{escape(why_text(recommendation))}[/]",
    ]
    if recommendation["status"] != "ok":
        reasons = ",".join(recommendation["reasons"])
        parts.append(f"[magenta]{recommendation['status']}: {escape(reasons)}[/]")
    return "  ".join(part for part in parts if part)


def news2_text(recommendation: Recommendation) -> str:
    """NEWS2: the total where it is known, else the interval of the possible."""
    score = recommendation["clinical_scores"]["news2"]
    if not score["applicable"]:
        return "n/a"
    return str(score["total"]) if score["total"] is not None else f"{score['low']}-{score['high']}"


def risks_text(recommendation: Recommendation) -> str:
    """Every risk as a percentage; `?` where a model abstains."""
    return " ".join(
        f"{risk['name']} {'?' if risk['probability'] is None else format(risk['probability'], '.0%')}"
        for risk in recommendation["risks"]
    )


def findings_text(recommendation: Recommendation) -> str:
    """What the note or image of this event may show, as percentages; `?` where something else is not ruled out."""
    return ", ".join(
        f"{finding['label']}{'' if finding['certain'] else '?'} {finding['probability']:.0%}"
        for finding in recommendation.get("findings", [])
        if finding["possible"]
    )


def alert_text(recommendation: Recommendation) -> str:
    """Alert state and tier."""
    alert = recommendation["alert"]
    tier = f" {alert['tier']}" if alert["tier"] else ""
    return f"{alert['state']}{tier}{' (stale)' if alert['stale'] else ''}"


def action_text(recommendation: Recommendation) -> str:
    """The first action."""
    actions = recommendation["recommendations"]
    return str(actions[0]["text"]) if actions else "no action"


def why_text(recommendation: Recommendation) -> str:
    """The alert's reason, or else the three strongest contributions with the measured values."""
    reason = recommendation["alert"].get("reason")
    explanation = recommendation.get("explanation") or {}
    strongest = sorted(explanation.get("vitals") or [], key=lambda each: -abs(each["contribution"]))[:3]
    named = ", ".join(
        f"{each['parameter']} {'' if each['value'] is None else format(each['value'], 'g')}".strip()
        for each in strongest
    )
    return "; ".join(part for part in (reason, named) if part)
