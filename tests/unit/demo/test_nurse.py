"""The demonstration's nurse: answers that the contract takes, always the same, and never from the future."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.workers.made import ILL, NOW_MS, Ward, vitals
from topics.feedback import FeedbackEvent
from workers.control import Control
from workers.demo import nurse

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
KILL = Control(kill_switch=True)


@pytest.fixture(scope="module")
def told():
    ward = Ward()
    return [ward.body(vitals(f"p{k}", 2700, values=ILL), control=KILL) for k in range(200)]


def test_most_are_acknowledged_some_overridden_snoozed_or_left(told):
    given = [nurse.answer(body, NOW) for body in told]
    counts = Counter(None if one is None else one["outcome"] for one in given)
    assert counts["acknowledged"] > 100
    assert set(counts) == {"acknowledged", "snoozed", "overridden", None}
    assert given == [nurse.answer(body, NOW) for body in told]


def test_the_contract_takes_them_and_they_lie_between_event_and_now(told):
    for body in told:
        given = nurse.answer(body, NOW)
        if given is not None:
            event = FeedbackEvent.model_validate(given)
            at = datetime.fromisoformat(body["caused_by"]["event_time"])
            assert at <= event.event_time <= NOW
            assert nurse.answer(body, at)["event_time"] == at.isoformat()


def test_what_nobody_was_told_is_not_answered(told):
    quiet = told[0] | {"alert": told[0]["alert"] | {"state": "suppress"}}
    stale = told[0] | {"alert": told[0]["alert"] | {"stale": True}}
    assert nurse.answer(quiet, NOW) is nurse.answer(stale, NOW + timedelta(days=1)) is None
