"""A recommendation in one line."""

from __future__ import annotations

import copy

import orjson
import pytest
from rich.text import Text

from topics.recommendation import RecommendationEvent
from topics.schemas import example
from workers.cli import tail


def recommendation() -> dict:
    value = orjson.loads(example("recommendation"))
    RecommendationEvent.model_validate_json(example("recommendation"))
    return value


def plain(value: dict) -> str:
    return Text.from_markup(tail.line(value)).plain


def test_a_line_says_who_how_sick_and_what_to_do_first():
    value = recommendation()
    line = plain(value)
    assert value["patient_id"] in line
    assert f"NEWS2 {value['clinical_scores']['news2']['total']}" in line
    assert value["recommendations"][0]["text"] in line
    assert value["alert"]["reason"] in line


def test_an_incomplete_score_is_shown_as_its_interval():
    value = recommendation()
    value["clinical_scores"]["news2"] |= {"total": None, "low": 5, "high": 9}
    assert tail.news2_text(value) == "5-9"


def test_a_score_that_does_not_apply_is_not_shown():
    value = recommendation()
    value["clinical_scores"]["news2"]["applicable"] = False
    assert tail.news2_text(value) == "n/a"


def test_a_model_that_abstains_shows_a_question_mark():
    value = recommendation()
    value["risks"] = [{"name": "sepsis_6h", "probability": None, "horizon_h": 6, "band": None, "model": "x"}]
    assert tail.risks_text(value) == "sepsis_6h ?"


def test_findings_that_are_not_ruled_out_are_shown_and_doubted_where_another_is_left():
    value = recommendation()
    value["findings"] = [
        {"label": "bacterial", "probability": 0.55, "possible": True, "certain": False},
        {"label": "viral", "probability": 0.42, "possible": True, "certain": False},
        {"label": "normal", "probability": 0.03, "possible": False, "certain": False},
    ]
    assert tail.findings_text(value) == "bacterial? 55%, viral? 42%"
    assert "bacterial? 55%" in plain(value)


def test_a_result_that_is_not_whole_says_why():
    value = recommendation() | {"status": "degraded", "reasons": ["redis_unavailable"]}
    assert "degraded: redis_unavailable" in plain(value)


def test_without_actions_and_reasons_the_line_is_still_readable():
    value = copy.deepcopy(recommendation())
    value["recommendations"] = []
    value["alert"] |= {"state": "none", "tier": None, "reason": None}
    value["explanation"]["vitals"] = []
    assert "no action" in plain(value)


def test_markup_in_values_is_shown_and_not_obeyed():
    assert "[bold]x" in plain(recommendation() | {"patient_id": "[bold]x"})


@pytest.mark.parametrize(
    ("state", "wanted"), [("raise", True), ("update", True), ("clear", True), ("suppress", False), ("none", False)]
)
def test_the_header_alone_decides_whether_a_record_alerts(state, wanted):
    assert tail.alerting({"wardstream-alert-state": state.encode()}) is wanted


def test_a_record_without_the_header_does_not_alert():
    assert tail.alerting({}) is False
