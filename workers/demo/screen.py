"""How the demonstration looks: a live table on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from workers.cli import tail
from workers.demo.board import Bed, Board
from workers.demo.figures import Figures

_AROUND: Final = 9
"""Lines that the table's frame and the figures take."""


def live(board: Board, figures: Figures | None, now_s: float, height: int) -> Group:
    """The whole screen; as many beds as there is room for, the sickest first."""
    title = f"ward time {board.ward_time:%Y-%m-%d %H:%M}" if board.ward_time else "waiting for the first record"
    table = Table(title=title, title_justify="left", expand=True, pad_edge=False)
    table.add_column("patient", no_wrap=True)
    beds = board.worst_first()[: max(3, height - _AROUND)]
    names = list(dict.fromkeys(risk["name"] for bed in beds for risk in bed.newest["risks"]))
    for name in names:
        table.add_column(escape(name), justify="right", no_wrap=True, max_width=9)
    table.add_column("NEWS2", justify="right", no_wrap=True)
    table.add_column("first action", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("alert", no_wrap=True)
    table.add_column("why", ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column("age", justify="right", no_wrap=True)
    for bed in beds:
        table.add_row(*_row(bed, board, names))
    return Group(table, Text(figures_line(board, figures, now_s)))


def _row(bed: Bed, board: Board, names: list[str]) -> tuple[str, ...]:
    newest = bed.newest
    risks = {risk["name"]: risk["probability"] for risk in newest["risks"]}
    tier = bed.alert.tier if bed.alert else None
    why = (bed.alert.reason if bed.alert else "") or tail.why_text(newest)
    return (
        escape(str(newest["patient_id"])[-12:]),
        *("-" if risks.get(name) is None else f"{risks[name]:.0%}" for name in names),
        tail.news2_text(newest),
        escape(tail.action_text(newest)),
        f"[{tail.TIER_STYLE.get(tier, 'bold')}]{tier}[/]" if tier else "[dim]quiet[/]",
        escape(why),
        _age(board, bed),
    )


def _age(board: Board, bed: Bed) -> str:
    """How old the bed's newest event is, in ward time."""
    age = max(timedelta(), board.ward_time - bed.event_time) if board.ward_time else timedelta()
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def figures_line(board: Board, figures: Figures | None, now_s: float) -> str:
    """Throughput, latency, batches, cache and dead letters in one line."""
    parts = [
        f"{board.sent} sent, {board.answered} recommended, {board.rate(now_s):.0f}/s",
        f"latency p50 {_ms(board.latency_ms(0.5))} p99 {_ms(board.latency_ms(0.99))}",
    ]
    if figures and figures.batch_mean:
        parts.append(
            "batch "
            + " ".join(
                f"{lane.removeprefix('patient.')} {mean:.1f}" for lane, mean in sorted(figures.batch_mean.items())
            )
        )
    if figures and figures.cache_hits + figures.cache_misses:
        parts.append(f"cache {figures.cache_hits} of {figures.cache_hits + figures.cache_misses} hit")
    parts.append(f"dead letters {board.dead_letters.total()}")
    return "  |  ".join(parts)


def plain(board: Board, figures: Figures | None, now_s: float) -> str:
    """One line of progress for a log."""
    at = f"{board.ward_time:%m-%d %H:%M}" if board.ward_time else "--"
    open_alerts = sum(bed.alert is not None for bed in board.beds.values())
    return f"ward {at}  |  {figures_line(board, figures, now_s)}  |  open alerts {open_alerts}"


def summary(board: Board, figures: Figures | None, now_s: float, seconds: float) -> str:
    """What happened, in a few lines."""
    dead = board.dead_letters.total()
    kinds = ", ".join(f"{count} {reason}" for reason, count in sorted(board.dead_letters.items()))
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(board.statuses.items()))
    lines = [
        f"{board.sent} records of {len(board.beds)} patients in {seconds:.0f} s: {board.answered} recommendations"
        + (f" ({statuses})" if statuses else ""),
        f"{dead} dead letters" + (f" ({kinds})" if kinds else ""),
        f"{board.unanswered} without an end" + (f", {board.repeated} repeats" if board.repeated else ""),
        f"alerts: {board.alerts['raise']} raised, {board.alerts['update']} updated, {board.alerts['clear']} cleared",
        f"latency from sending to publishing: p50 {_ms(board.latency_ms(0.5))}, p99 {_ms(board.latency_ms(0.99))}",
    ]
    if board.answers and figures:
        lines.append(f"answers of a made nurse: {board.answers} written, {figures.applied} applied")
    if figures:
        lines.append(figures_line(board, figures, now_s).split("  |  ", 2)[2])
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
