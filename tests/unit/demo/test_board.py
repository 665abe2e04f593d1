"""The board counts every record once and shows the sickest first."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import orjson
import prometheus_client
import pytest
from rich.console import Console

from topics.schemas import example
from workers.demo import screen
from workers.demo.board import Board
from workers.demo.figures import Figures, parse

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
TEMPLATE = orjson.loads(example("recommendation"))


def result(event: str, patient: str = "p", state: str = "none", tier: str | None = None, low: int = 0) -> dict:
    value = copy.deepcopy(TEMPLATE)
    value |= {"recommendation_id": f"r-{event}", "patient_id": patient}
    value["caused_by"] |= {"event_id": event, "event_time": START.isoformat()}
    value["alert"] |= {"state": state, "tier": tier, "reason": "because"}
    value["clinical_scores"]["news2"] |= {"low": low, "total": low, "high": low}
    return value


def test_latency_runs_from_sending_to_the_timestamp_of_the_result():
    board = Board()
    for number in range(100):
        board.note_sent(f"e{number}", START, 10.0)
        board.note_recommendation(result(f"e{number}"), 10.0 + number / 1000, 99.0)
    assert board.latency_ms(0.5) == pytest.approx(50)
    assert board.latency_ms(0.99) == pytest.approx(99)


def test_every_record_ends_once():
    board = Board()
    for event in ("a", "b", None):
        board.note_sent(event, START, 0)
    assert board.unanswered == 3
    board.note_recommendation(result("a"), 0, 0)
    board.note_recommendation(result("a"), 0, 0)
    board.note_dead_letter("schema")
    assert (board.answered, board.repeated, board.unanswered) == (1, 1, 1)


def test_an_open_alert_stays_until_it_is_cleared():
    board = Board()
    board.note_recommendation(result("a", state="raise", tier="critical"), 0, 0)
    board.note_recommendation(result("b", state="none"), 0, 0)
    assert board.beds["p"].alert.tier == "critical"
    board.note_recommendation(result("c", state="clear"), 0, 0)
    assert board.beds["p"].alert is None


def test_beds_are_sorted_by_alert_then_score_then_name():
    board = Board()
    board.note_recommendation(result("a", "calm", low=1), 0, 0)
    board.note_recommendation(result("b", "high", low=8), 0, 0)
    board.note_recommendation(result("c", "warned", "raise", "warning", low=2), 0, 0)
    board.note_recommendation(result("d", "critical", "raise", "critical", low=2), 0, 0)
    assert [bed.newest["patient_id"] for bed in board.worst_first()] == ["critical", "warned", "high", "calm"]


def test_another_ward_empties_the_beds_and_keeps_the_sums():
    board = Board()
    board.note_sent("a", START, 0)
    board.note_recommendation(result("a"), 0, 0)
    board.note_sent("b", START - timedelta(hours=30), 1)
    assert board.beds == {}
    assert board.answered == 1


def test_the_rate_is_that_of_the_last_seconds():
    board = Board()
    for number in range(50):
        board.note_recommendation(result(f"e{number}"), 0, 100.0)
    assert board.rate(101.0) == 10
    assert board.rate(200.0) == 0


def test_figures_are_read_from_a_real_metrics_page():
    registry = prometheus_client.CollectorRegistry()
    batch = prometheus_client.Histogram("wardstream_batch_records", "x", ["lane"], registry=registry)
    cache = prometheus_client.Counter("wardstream_embedding_cache", "x", ["kind", "outcome"], registry=registry)
    batch.labels("vitals").observe(4)
    batch.labels("vitals").observe(8)
    batch.labels("notes").observe(1)
    cache.labels("note", "hit").inc(3)
    cache.labels("image", "miss").inc(9)
    page = prometheus_client.generate_latest(registry).decode()
    assert parse(page) == Figures({"vitals": 6.0, "notes": 1.0}, 3, 9)


def test_a_page_without_our_metrics_shows_nothing():
    assert parse("") == Figures({}, 0, 0)


def test_the_screen_shows_as_many_beds_as_fit():
    board = Board()
    board.note_sent("a", START + timedelta(minutes=30), 0)
    for number in range(30):
        board.note_recommendation(result(f"e{number}", f"bed-{number:02d}", low=number % 20), 0, 0)
    console = Console(width=140, record=True, force_terminal=False)
    with console.capture() as shown:
        console.print(screen.live(board, Figures({"vitals": 2.5}, 1, 4), 0, height=20))
    text = shown.get()
    assert text.count("bed-") == 11
    assert "30 min" in text
    assert "cache 1 of 5 hit" in text


def test_the_summary_accounts_for_every_record():
    board = Board()
    board.note_sent("a", START, 0)
    board.note_sent(None, START, 0)
    board.note_recommendation(result("a", state="raise", tier="info"), 0.02, 0)
    board.note_dead_letter("not_json")
    text = screen.summary(board, None, 0, 60)
    assert "2 records of 1 patients in 60 s: 1 recommendations (1 ok)" in text
    assert "1 dead letters (1 not_json)" in text
    assert "0 without an end" in text
    assert "p50 20 ms" in text
