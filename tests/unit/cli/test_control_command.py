"""What `wardstream control` writes and refuses, and how the state and the trail look."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.clinical.actions import Catalogue
from tests.unit.workers.test_audit import audited, event, of, record
from tests.unit.workers.versions import another
from topics import headers
from topics.codec import Decoded, decode
from topics.control import ControlEvent
from topics.control_settings import KillSwitch, ModelSwitch, Mute, Thresholds, WardPolicy
from workers.cli import audit, control_state, control_write
from workers.cli.app import app
from workers.cli.control_write import ALERTED, Signature, check_versions, made, notes, signed, taken_back, ward
from workers.cli.errors import UserError
from workers.cli.moments import ago, moment, span
from workers.control import PROMOTED_WITHIN_S
from workers.control_record import read_change
from workers.identity import Identity
from workers.settings import DEVELOPMENT_KEY

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR = timedelta(hours=1)
MUTE = Mute(unit="ICU", action_id="sepsis-screen")


def by(**changes) -> Signature:
    return Signature(**({"actor": "dr.lee", "reason": "A drill.", "now": NOW} | changes))


def printed(table) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


class TestRecords:
    @pytest.mark.parametrize(
        "setting",
        [Thresholds(unit="ICU", news2_raise=6), ModelSwitch(name="vitals", enabled=False), KillSwitch(on=True), MUTE],
        ids=lambda setting: setting.kind,
    )
    def test_every_worker_accepts_them(self, setting):
        written = signed(setting, by(ends=NOW + HOUR))
        (answer,) = decode(ControlEvent, [(written.key, written.value)], now_ms=NOW_MS)
        assert isinstance(answer, Decoded)
        assert (answer.event.setting, answer.event.actor, answer.event.reason) == (setting, "dr.lee", "A drill.")
        assert (answer.event.event_time, answer.event.expires_at) == (NOW, NOW + HOUR)

    def test_each_has_an_id_of_its_own(self):
        assert signed(KillSwitch(on=True), by()).value != signed(KillSwitch(on=True), by()).value

    def test_one_that_takes_a_setting_back_has_no_value_and_says_who_and_why_in_headers(self):
        written = taken_back("kill_switch", by(actor="dr.kim", reason="Schluß"))
        assert (written.key, written.value) == (b"kill_switch", None)
        assert dict(written.headers) == {
            headers.CONTROL_ACTOR: b"dr.kim",
            headers.CONTROL_REASON: "Schluß".encode(),
        }

    @pytest.mark.parametrize(
        ("setting", "signature", "said"),
        [
            (KillSwitch(on=True), by(reason=""), "--reason: string should have at least 1 character"),
            (KillSwitch(on=True), by(actor="a\nb"), "--actor: has control characters"),
            (KillSwitch(on=True), by(ends=NOW), "--until lies in the past"),
            (MUTE, by(), "a mute must end"),
            (MUTE, by(ends=NOW + 25 * HOUR), "24 h at most"),
        ],
    )
    def test_what_workers_would_refuse_is_not_written(self, setting, signature, said):
        with pytest.raises(UserError, match=said):
            signed(setting, signature)

    @pytest.mark.parametrize("command", [["kill-switch"], ["rules-only", "--unit", "ICU"]])
    def test_a_switch_must_be_said(self, command):
        words = ["control", *command, "--actor", "dr.lee", "--reason", "A drill.", "--dry-run"]
        with pytest.raises(UserError, match=r"^say --on or --off: --on .*, --off lets them take part again$"):
            CliRunner().invoke(app, words, catch_exceptions=False)
        shown = CliRunner().invoke(app, [*words, "--off"], catch_exceptions=False).stdout
        assert orjson.loads(shown.splitlines()[0])["value"]["setting"]["on"] is False

    def test_a_mute_of_24_hours_is_accepted(self):
        assert signed(MUTE, by(ends=NOW + 24 * HOUR)).key == b"mute/ICU/sepsis-screen"

    def test_taking_back_needs_a_reason_too(self):
        with pytest.raises(UserError, match="--reason"):
            taken_back("kill_switch", by(reason=""))

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: Thresholds(news2_raise=21), "--news2-raise: "),
            (lambda: Thresholds(news2_raise=3, news2_clear=4), "--news2-clear must not exceed --news2-raise"),
            (lambda: Thresholds(unit="ICU"), "give at least one"),
            (lambda: WardPolicy(uncharted=["pulse"]), "^--uncharted: input should be 'acvpu' or 'on_oxygen'$"),
            (lambda: WardPolicy(budget_per_100_patient_days=-1), "^--budget: input should be greater than 0$"),
            (lambda: WardPolicy(refractory_minutes={"critical": 61}), "^--refractory critical: input should be less"),
            (lambda: WardPolicy(snooze_max_minutes={"info": 0}), "^--snooze-max info: input should be greater"),
            (lambda: WardPolicy(quiet_hours="at night"), "^--quiet-hours look like 22:00-06:00 Europe/London$"),
            (lambda: ModelSwitch(name="vitals", version="a b"), "^--version: has characters that cannot be used$"),
            (lambda: ModelSwitch(name="gpt", enabled=True), "model: input should be 'vitals'"),
        ],
    )
    def test_what_is_no_setting_is_said_by_option(self, make, said):
        with pytest.raises(UserError, match=said):
            made(make)


class TestWardsAndActions:
    def test_a_ward_or_all_of_them(self):
        assert (ward("ICU", everywhere=False), ward(None, everywhere=True)) == ("ICU", "*")

    @pytest.mark.parametrize(
        ("unit", "everywhere"), [(None, False), ("ICU", True), ("*", False), ("a/b", False), (" ICU", False)]
    )
    def test_a_ward_that_could_be_misread_is_refused(self, unit, everywhere):
        with pytest.raises(UserError):
            ward(unit, everywhere=everywhere)

    def test_an_unknown_action_is_refused_with_those_that_are_like_it(self):
        catalogue = Catalogue.load()
        control_write.check_action("sepsis-screen", catalogue)
        with pytest.raises(UserError, match="did you mean sepsis-screen"):
            control_write.check_action("sepsis-scren", catalogue)

    def test_the_actions_that_alerts_are_about_are_those_of_the_decider(self):
        assert {
            "esc-cardiac-arrest-call", "esc-emergency-team", "esc-urgent-review", "esc-ward-doctor-review",
            "esc-nurse-assess",
            "sepsis-screen",
        } == ALERTED  # fmt: skip

    def test_a_setting_without_the_effect_that_one_would_expect_is_noted(self):
        assert "no alert is ever about obs" in next(iter(notes(Mute(unit="ICU", action_id="obs"))))
        assert "NEWS2 7 and above" in next(iter(notes(Thresholds(news2_raise=8))))
        assert [*notes(MUTE), *notes(Thresholds(news2_raise=7)), *notes(KillSwitch(on=True))] == []


class TestMoments:
    def test_spans(self):
        assert [span(text, "--for") for text in ("90s", "30m", "2h", "1d")] == [
            timedelta(seconds=90), timedelta(minutes=30), timedelta(hours=2), timedelta(days=1),
        ]  # fmt: skip

    @pytest.mark.parametrize("text", ["", "2", "0h", "-1h", "1.5h", "2 h", "2w"])
    def test_anything_else_is_no_span(self, text):
        with pytest.raises(UserError, match="--for"):
            span(text, "--for")

    @pytest.mark.parametrize("text", ["tomorrow", "2026-03-01T08:00:00"])
    def test_an_instant_needs_an_offset(self, text):
        with pytest.raises(UserError, match="--until"):
            moment(text, "--until")

    def test_since_takes_either(self):
        assert ago("2h", "--since", NOW) == NOW - 2 * HOUR
        assert ago("2026-03-01T08:00:00+01:00", "--since", NOW) == NOW + 7 * HOUR

    @pytest.mark.parametrize("text", ["999999d", "0001-01-01T00:00:00+14:00"])
    def test_a_time_outside_the_calendar_is_refused(self, text):
        with pytest.raises(UserError, match=f"^--since {text.replace('+', '.')} (is not|goes back)"):
            ago(text, "--since", NOW)

    def test_an_end_is_a_span_or_an_instant(self):
        assert control_write.end("2h", None, NOW) == NOW + 2 * HOUR
        assert control_write.end(None, None, NOW) is None
        with pytest.raises(UserError, match="not both"):
            control_write.end("2h", "2026-03-01T08:00:00Z", NOW)


def change(setting, offset: int, hours: float | None = None):
    value = event(setting, hours=hours)
    return read_change(record(value.subject.encode(), value.model_dump_json().encode(), offset=offset), NOW_MS)


def raw(key: bytes, value: bytes | None, offset: int):
    return read_change(record(key, value, offset=offset), NOW_MS)


class TestPatient:
    PATIENT = ("control", "patient", "--patient", "p-17", "--spo2-scale", "2", "--for", "7d", "--dry-run")
    NOTE = (
        "note: the patient is named by the development key, the default of WARDSTREAM_IDENTITY_KEY: workers with a "
        "key of their own apply this to nobody, and nothing says so; set it to the workers' key and run this again"
    )

    def made(self, monkeypatch, key):
        """The key of the record and the lines beside it, with this WARDSTREAM_IDENTITY_KEY."""
        monkeypatch.delenv("WARDSTREAM_IDENTITY_KEY", raising=False)
        if key is not None:
            monkeypatch.setenv("WARDSTREAM_IDENTITY_KEY", key)
        done = CliRunner().invoke(app, [*self.PATIENT, "--actor", "dr.lee", "--reason", "COPD"])
        assert done.exit_code == 0, done.output
        return orjson.loads(done.stdout)["key"], done.stderr.splitlines()

    @pytest.mark.parametrize("key", [None, DEVELOPMENT_KEY])
    def test_with_the_development_key_one_line_says_whom_it_will_not_reach_and_what_to_do(self, monkeypatch, key):
        assert self.made(monkeypatch, key)[1] == [self.NOTE, "dry run: nothing sent"]

    def test_with_a_key_of_ones_own_nothing_is_said_and_the_record_is_another_patients_to_other_workers(
        self, monkeypatch
    ):
        own, said = self.made(monkeypatch, "a-key-of-our-own-000")
        assert said == ["dry run: nothing sent"]
        assert own == f"patient/{Identity('a-key-of-our-own-000').patient('p-17').hex()}"
        assert own != self.made(monkeypatch, None)[0]


class TestState:
    def test_the_newest_of_each_setting_is_in_force(self):
        found = control_state.state([change(KillSwitch(on=True), 0), change(KillSwitch(on=False), 1)], NOW)
        assert {subject: each.offset for subject, each in found.live.items()} == {"kill_switch": 1}

    def test_what_was_taken_back_or_has_ended_is_not(self):
        changes = [change(KillSwitch(on=True), 0), raw(b"kill_switch", None, 1), change(MUTE, 2, hours=1)]
        found = control_state.state(changes, NOW + HOUR)
        assert (dict(found.live), list(found.ended)) == ({}, ["mute/ICU/sepsis-screen"])

    def test_a_refused_record_leaves_what_was_in_force_and_is_told(self):
        changes = [change(KillSwitch(on=True), 0), raw(b"kill_switch", b"{}", 1)]
        found = control_state.state(changes, NOW)
        assert (found.live["kill_switch"].offset, found.refused["kill_switch"].offset) == (0, 1)
        assert control_state.state([*changes, change(KillSwitch(on=True), 2)], NOW).refused == {}

    def test_the_table_says_value_since_until_who_why_and_offset(self):
        live = control_state.state([change(Thresholds(unit="ICU", news2_raise=6, model_raise=0.3), 4, 2)], NOW).live
        assert printed(control_state.table(live))[1] == (
            "thresholds/ICU news2_raise 6, model_raise 0.3 2026-03-01 00:00:00 2026-03-01 02:00:00 dr.lee A drill. 4"
        )

    def test_programs_get_the_fields_of_the_contract(self):
        data = control_state.as_data(change(KillSwitch(on=True), 4))
        assert data == {
            "control_offset": 4, "subject": "kill_switch", "setting": {"kind": "kill_switch", "on": True},
            "actor": "dr.lee", "reason": "A drill.", "event_time": "2026-03-01T00:00:00Z", "expires_at": None,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            (None, "default"),
            (MUTE, "muted"),
            (KillSwitch(on=False), "off"),
            (ModelSwitch(name="notes", enabled=True), "on"),
        ],
    )
    def test_settings_in_words(self, setting, words):
        assert control_state.in_words(setting) == words


class TestTrail:
    def test_a_change_that_was_written_twice_is_shown_once_and_in_order(self):
        late, early = of(KillSwitch(on=False), offset=5, timestamp=NOW_MS + 1000), of(KillSwitch(on=True), offset=4)
        values = [each.model_dump_json().encode() for each in (late, early, late)]
        assert audit.trail([*values, b"{", None]) == ([early, late], 2)

    def test_fields_of_a_newer_version_are_no_obstacle(self):
        value = of(KillSwitch(on=True)).model_dump_json().replace("{", '{"newer": 1, ', 1)
        assert audit.trail([value.encode()]) == ([of(KillSwitch(on=True))], 0)

    @pytest.mark.parametrize(
        ("begins", "subject", "wanted"),
        [
            (None, None, True), (NOW, None, True), (NOW + HOUR, None, False), (None, "mute", True),
            (None, "mute/ICU/sepsis-screen", True), (None, "mut", False), (None, "kill_switch", False),
        ],
    )  # fmt: skip
    def test_is_narrowed_by_time_and_setting(self, begins, subject, wanted):
        assert audit.matches(of(MUTE, hours=1), begins, subject) is wanted

    def test_the_table_says_time_who_what_from_to_why_and_offset(self):
        events = [
            of(KillSwitch(on=True), hours=2), audited(b"kill_switch", None, event(KillSwitch(on=True)), offset=4),
            audited(b"kill_switch", b"{", offset=5),
        ]  # fmt: skip
        assert printed(audit.table(events))[1:] == [
            "2026-03-01 00:00:00 dr.lee kill_switch default -> on until 2026-03-01 02:00:00 A drill. 3",
            "2026-03-01 00:00:00 ? kill_switch on -> default ? 4",
            "2026-03-01 00:00:00 ? kill_switch refused: not_json (the value is not one JSON document) ? 5",
        ]

    def test_markup_in_reasons_is_shown_and_not_obeyed(self):
        found = of(KillSwitch(on=True)).model_copy(update={"reason": "[bold]x"})
        assert "[bold]x" in printed(audit.table([found]))[1]


class TestVersions:
    def test_a_version_that_was_never_trained_is_refused(self, tmp_path):
        version = another(tmp_path, "ranker", trained=False)
        with pytest.raises(UserError, match="never trained"):
            check_versions(ModelSwitch(name="ranker", version=version), tmp_path)

    @pytest.mark.parametrize("field", ["fusion", "canary_fusion"])
    def test_nor_is_a_fusion_that_was_not(self, tmp_path, field):
        version = another(tmp_path, "fusion", trained=False)
        beside = {"fusion": {"version": "1"}, "canary_fusion": {"canary": "1", "share": 0.5}}[field]
        with pytest.raises(UserError, match=r"fusion .* was never trained"):
            check_versions(ModelSwitch(name="vitals", **beside, **{field: version}), tmp_path)

    def test_what_this_machine_lacks_is_noted(self, tmp_path, capsys):
        check_versions(ModelSwitch(name="ranker", shadow="9.9.9+00000000"), tmp_path)
        said = " ".join(capsys.readouterr().err.split())
        assert "ranker 9.9.9+00000000 is not on this machine" in said
        assert said.endswith("a worker without it goes on with what it has")

    def test_what_is_there_is_not_remarked_on(self, tmp_path, capsys):
        version = another(tmp_path, "ranker")
        (tmp_path / "ranker" / "0-damaged").mkdir()
        (tmp_path / "ranker" / "0-damaged" / "manifest.json").write_text("{")
        check_versions(ModelSwitch(name="ranker", version=version), tmp_path)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("fields", "degraded", "shadow"),
        [
            ({"version": "9.9.9"}, "and its results are degraded: model_version_unavailable", False),
            ({"canary": "9.9.9", "share": 0.1}, "results of the canary's patients are degraded: ", False),
            ({"shadow": "9.9.9"}, None, True),
            ({"version": "1", "shadow": "9.9.9"}, "and its results are degraded: model_version_unavailable", True),
        ],
    )
    def test_no_version_is_said_to_be_in_force_where_a_worker_may_lack_it(self, fields, degraded, shadow):
        said = control_state.in_force(4, ModelSwitch(name="vitals", **fields))
        assert "In force" not in said
        assert f"is in use within {PROMOTED_WITHIN_S:g} s" in said
        assert ("goes on with what it has" in said, "degraded" in said) == (degraded is not None,) * 2
        assert (degraded or "") in said
        assert ("A candidate in shadow that a worker does not have scores nothing" in said) is shadow
        assert "control_offset 4 or higher" in said

    @pytest.mark.parametrize("setting", [None, KillSwitch(on=True), ModelSwitch(name="vitals", enabled=False)])
    def test_what_names_no_version_is_in_force_at_once(self, setting):
        assert control_state.in_force(4, setting).startswith("In force on every worker within 2 s, ")

    def test_all_that_is_set_is_shown(self):
        setting = ModelSwitch(name="vitals", version="2", fusion="3", canary="4", canary_fusion="5", share=0.1)
        assert control_state.in_words(setting) == "on, version 2, canary 4, share 0.1, fusion 3, canary fusion 5"
