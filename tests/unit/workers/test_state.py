"""A context as JSON: what an operator sees of the alert and of answers."""

from __future__ import annotations

import json

from tests.unit.workers.made import ILL, Ward, feedback, record, vitals
from workers.context import blank, pack
from workers.control import Control
from workers.state import describe

KILL = Control(kill_switch=True)


def test_the_alert_and_what_clinicians_answered_are_in_words():
    ward = Ward()
    ward.body(vitals("patient-1", 0, values=ILL), control=KILL)
    answer = feedback(
        "patient-1", 5, outcome="overridden", override_reason="patient-refuses", action_id="esc-emergency-team"
    )
    ward.decide(record(answer), control=KILL)
    made = describe(b"\x01" * 16, pack(ward.contexts[record(vitals()).patient])[0])
    assert (made["alert"]["phase"], made["alert"]["tier"]) == ("acknowledged", "critical")
    assert made["alert"]["answered_ms"] - made["alert"]["told_ms"] == 300_000
    assert [(hold["action"], hold["kind"]) for hold in made["holds"]] == [("esc-emergency-team", "declined")]
    json.dumps(made)


def test_of_nobody_there_is_no_alert_and_no_time():
    made = describe(bytes(16), pack(blank(1))[0])
    assert (made["alert"]["phase"], made["alert"]["told_ms"], made["holds"]) == ("quiet", None, [])
