"""`wardstream answer`: what it writes is what a worker takes, and what a worker would refuse is refused first."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from models.clinical.actions import Catalogue
from tests.unit.workers.made import ILL, Ward, record, vitals
from topics.feedback import FeedbackEvent
from topics.override_reasons import OVERRIDE_REASONS
from workers.alert_policy import ESCALATION
from workers.cli import answer
from workers.cli.app import app
from workers.cli.errors import UserError
from workers.control import Control
from workers.records import Applied

RECOMMENDATION = "c3f558b3-eade-52b8-b2eb-265929328400"
ALERT = "900e896c-d84c-5dcd-8b44-ce5544271566"
KILL = Control(kill_switch=True)


def invoke(*arguments: str, dry: bool = True):
    given = [] if "--recommendation" in arguments else ["--recommendation", RECOMMENDATION]
    words = ["answer", *arguments, "--patient", "p-17", *given, *(["--dry-run"] if dry else [])]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def written(*arguments: str) -> dict:
    return json.loads(invoke(*arguments).stdout.splitlines()[0])


def said_of(*arguments: str) -> str:
    """The one line with which it refuses."""
    with pytest.raises(UserError) as refused:
        invoke(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_it_writes_is_the_contract_s():
    event = FeedbackEvent.model_validate(
        written("overridden", "--action", "lactate", "--why", "action-completed", "--unit", "w1", "--role", "doctor")
    )
    assert (event.outcome, event.action_id, event.override_reason) == ("overridden", "lactate", "action-completed")
    assert (event.patient_id, event.unit, event.actor_role) == ("p-17", "w1", "doctor")


def test_two_answers_are_two_events():
    assert written("acknowledged")["event_id"] != written("acknowledged")["event_id"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("overridden",), "overridden needs --why CODE, such as action-completed; docs/alerts.md lists all codes"),
        (("acknowledged", "--why", "action-completed"), "--why goes with overridden or snoozed only"),
        (("snoozed", "--why", "need-more-info", "--minutes", "9999"), "--minutes: input should be less than or equal"),
        (("snoozed", "--why", "need-more-info", "--minutes", "0"), "--minutes: input should be greater than or equal"),
        (("acknowledged", "--minutes", "5"), "--minutes goes with outcome snoozed only"),
        (("acknowledged", "--unit", "a\nb"), "--unit: has control characters"),
        (("accepted", "--action", "lactat"), "did you mean lactate"),
        (("accepted", "--recommendation", "r-1"), "--recommendation must be the UUID"),
        (("accepted", "--alert", "a-1"), "--alert must be the UUID"),
    ],
)
def test_what_a_worker_would_refuse_is_refused_in_a_line_that_names_the_option(arguments, said):
    assert said in said_of(*arguments)


def test_a_snooze_without_a_reason_is_refused_and_told_what_to_add():
    assert said_of("snoozed", "--minutes", "30").startswith("snoozed needs --why CODE, such as need-more-info: ")
    assert written("snoozed", "--minutes", "30", "--why", "need-more-info")["snooze_minutes"] == 30


def test_uuids_are_written_as_results_spell_them():
    event = written("accepted", "--recommendation", RECOMMENDATION.upper(), "--alert", ALERT.replace("-", ""))
    assert (event["recommendation_id"], event["alert_id"]) == (RECOMMENDATION, ALERT)


class TestReasons:
    @pytest.mark.parametrize("code", OVERRIDE_REASONS)
    def test_a_slip_of_the_pen_finds_each_of_the_35_codes(self, code):
        line = said_of("overridden", "--why", code[:-1].upper())
        assert line == f"--why is no code of a reason: did you mean {code}? docs/alerts.md lists all codes"

    def test_what_is_like_no_code_is_shown_those_often_used(self):
        line = said_of("overridden", "--why", "zzz")
        assert "often used are cds-not-applicable, " in line
        assert line.endswith("docs/alerts.md lists all codes")


class TestRoles:
    @pytest.mark.parametrize("name", ["Dr. Jane Smith", "Smith", "nurse\n", "", " nurse", "n" * 41, "j.smith"])
    def test_what_may_be_a_name_is_refused(self, name):
        assert said_of("accepted", "--role", name).startswith("--role is a role such as nurse")

    def test_every_role_that_an_alert_is_told_to_may_answer(self):
        roles = {each.role for each in Catalogue.load().actions} | {role for _, role in ESCALATION}
        assert "charge nurse" in roles
        assert {written("accepted", "--role", role)["actor_role"] for role in roles} == roles


class TestTakingBack:
    def test_a_worker_undoes_the_answer_that_the_command_had_written(self):
        ward = Ward()
        ward.body(vitals("p-17", at := 1440, values=ILL), control=KILL)
        first = written("acknowledged") | {"event_time": vitals("p-17", at + 5)["event_time"]}
        (done,) = ward.decide(record(first), control=KILL)
        assert isinstance(done, Applied)
        assert done.effect == "acknowledged"
        back = written("take-back", first["event_id"]) | {"event_time": vitals("p-17", at + 6)["event_time"]}
        (undone,) = ward.decide(record(back), control=KILL)
        assert undone.effect == "taken_back"
        assert ward.body(vitals("p-17", at + 10, values=ILL), control=KILL)["alert"]["reason"] == "already_raised"

    def test_it_says_which_answer_and_of_which_source(self):
        event = FeedbackEvent.model_validate(written("take-back", "f-9", "--source", "ward-terminal"))
        assert (event.status, event.replaces, event.source) == ("entered-in-error", "f-9", "ward-terminal")
        assert written("take-back", "f-9")["source"] == written("accepted")["source"]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("take-back",), "say which answer: wardstream answer take-back EVENT_ID"),
            (("take-back", "f-9", "--why", "need-more-info"), "take-back takes the whole answer back: leave out"),
            (("take-back", "f-9", "--minutes", "0"), "take-back takes the whole answer back: leave out"),
            (("take-back", "f\n9"), "EVENT_ID: has control characters"),
            (("accepted", "f-9"), "EVENT_ID and --source go with take-back only"),
            (("accepted", "--source", "ward-terminal"), "EVENT_ID and --source go with take-back only"),
        ],
    )
    def test_answers_and_retractions_are_held_apart(self, arguments, said):
        assert said in said_of(*arguments)


class TestPromise:
    @pytest.fixture
    def sent(self, monkeypatch):
        """What goes to Kafka instead of going there."""
        values = []

        async def send(_settings, _key, value):
            values.append(json.loads(value))
            return "patient.feedback[0] at offset 7"

        monkeypatch.setattr(answer, "_send", send)
        return values

    def test_it_names_the_event_and_promises_no_effect(self, sent):
        line = invoke("acknowledged", dry=False).stdout
        assert line.startswith(f"written to patient.feedback[0] at offset 7, event_id {sent[0]['event_id']}: ")
        assert "what it did shows in the patient's next result" in line
        assert "an answer that fits no standing alert changes no alert" in line
        assert "p-17" not in line

    def test_taking_back_what_is_not_there_is_said_to_change_nothing(self, sent):
        line = invoke("take-back", "f-9", dry=False).stdout
        assert sent[0]["event_id"] in line
        assert "taking back what is not there, or is from another --source, changes nothing" in line
