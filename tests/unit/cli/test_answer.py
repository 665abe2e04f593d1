"""`wardstream answer`: what it writes is what a worker takes, and what a worker would refuse is refused first."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from topics.feedback import FeedbackEvent
from workers.cli.app import app
from workers.cli.errors import UserError


def invoke(*arguments: str):
    given = [] if "--patient" in arguments else ["--patient", "p-17", "--recommendation", "r-1"]
    return CliRunner().invoke(app, ["answer", *arguments, *given, "--dry-run"], catch_exceptions=False)


def test_what_it_writes_is_the_contract_s():
    result = invoke(
        "overridden", "--action", "lactate", "--why", "action-completed", "--unit", "w1", "--role", "doctor"
    )
    event = FeedbackEvent.model_validate(json.loads(result.stdout.splitlines()[0]))
    assert (event.outcome, event.action_id, event.override_reason) == ("overridden", "lactate", "action-completed")
    assert (event.patient_id, event.unit, event.actor_role) == ("p-17", "w1", "doctor")


def test_two_answers_are_two_events():
    events = [json.loads(invoke("acknowledged").stdout.splitlines()[0]) for _ in range(2)]
    assert events[0]["event_id"] != events[1]["event_id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("overridden",), "outcome overridden needs an override_reason"),
        (("acknowledged", "--why", "action-completed"), "override_reason goes with overridden or snoozed only"),
        (("overridden", "--why", "felt-like-it"), "not a code"),
        (("snoozed", "--minutes", "9999"), "snooze_minutes"),
        (("accepted", "--action", "lactat"), "did you mean lactate"),
    ],
)
def test_what_a_worker_would_refuse_is_refused_in_a_line(arguments, said):
    with pytest.raises(UserError, match=said):
        invoke(*arguments)
