"""What the audit says of a control record, and who writes it when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import ConsumerRecord

from topics import headers as names
from topics.control import ControlEvent
from topics.control_settings import KillSwitch, ModelSwitch, Mute
from topics.reasons import Reason
from workers.audit import AuditTrail, audit_event
from workers.control_record import read_change

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def event(setting, *, hours: float | None = None, at: datetime = NOW) -> ControlEvent:
    return ControlEvent(
        schema_version="1.0", event_id="c", event_time=at, subject=setting.subject, setting=setting, actor="dr.lee",
        reason="A drill.", expires_at=None if hours is None else at + timedelta(hours=hours),
    )  # fmt: skip


def record(key: bytes | None, value: bytes | None, *, offset: int = 3, headers=(), timestamp: int = NOW_MS):
    return ConsumerRecord("wardstream.control", 0, offset, timestamp, 0, key, value, None, 0, 0, headers)


def audited(key: bytes | None, value: bytes | None, before: ControlEvent | None = None, **more):
    return audit_event(read_change(record(key, value, **more), NOW_MS), before)


def of(setting, before: ControlEvent | None = None, **more):
    made = event(setting, hours=more.pop("hours", None))
    return audited(made.subject.encode(), made.model_dump_json().encode(), before, **more)


class TestAuditEvent:
    def test_says_who_changed_what_from_what_to_what_and_why(self):
        was = event(ModelSwitch(name="notes", enabled=False))
        found = of(ModelSwitch(name="notes", enabled=True), was)
        assert (found.subject, found.outcome) == ("model/notes", "set")
        assert (found.before, found.after) == (was.setting, ModelSwitch(name="notes", enabled=True))
        assert (found.actor, found.reason, found.control_offset, found.written_at) == ("dr.lee", "A drill.", 3, NOW)

    def test_is_the_same_whoever_writes_it_and_another_for_a_topic_made_anew(self):
        assert of(KillSwitch(on=True)) == of(KillSwitch(on=True))
        assert of(KillSwitch(on=True)).audit_id != of(KillSwitch(on=True), timestamp=NOW_MS + 1).audit_id

    def test_what_had_ended_by_itself_is_not_what_was_before(self):
        mute = Mute(unit="icu", action_id="a")
        assert of(mute, event(mute, hours=1, at=NOW - timedelta(hours=1)), hours=1).before is None
        assert of(mute, event(mute, hours=2, at=NOW - timedelta(hours=1)), hours=1).before == mute

    def test_a_setting_taken_back_names_who_and_why_from_the_headers(self):
        said = ((names.CONTROL_ACTOR, b"dr.kim"), (names.CONTROL_REASON, "Schluß".encode()))
        found = audited(b"kill_switch", None, event(KillSwitch(on=True)), headers=said)
        assert (found.outcome, found.before, found.after) == ("taken_back", KillSwitch(on=True), None)
        assert (found.actor, found.reason) == ("dr.kim", "Schluß")

    @pytest.mark.parametrize("headers", [(), ((names.CONTROL_ACTOR, b"a\nb"), (names.CONTROL_REASON, b""))])
    def test_headers_that_are_absent_or_unusable_leave_it_open(self, headers):
        found = audited(b"kill_switch", None, headers=headers)
        assert (found.actor, found.reason) == (None, None)

    def test_a_refusal_has_its_reason_and_repeats_nothing_of_the_record(self):
        found = audited(b"patient-Jane", b'{"schema_version": "1.0", "event_id": "Jane"}', event(KillSwitch(on=True)))
        assert (found.outcome, found.refusal) == ("refused", Reason.EVENT_TIME_MISSING)
        assert (found.subject, found.before, found.after, found.actor) == (None, None, None, None)
        assert "Jane" not in found.model_dump_json()

    def test_a_refusal_of_a_known_setting_names_it(self):
        assert audited(b"mute/icu/sepsis-screen", b"{}").subject == "mute/icu/sepsis-screen"

    @pytest.mark.parametrize("timestamp", [-1, 2**62])
    def test_no_timestamp_of_a_producer_stops_the_audit(self, timestamp):
        assert audited(b"kill_switch", None, timestamp=timestamp).outcome == "taken_back"

    def test_a_record_without_key_and_value_is_audited_too(self):
        assert audited(None, None).subject is None


class TestTrail:
    def test_a_change_is_written_when_nobody_else_did_in_time(self):
        trail, change = AuditTrail(2.0), of(KillSwitch(on=True))
        trail.note(change, 10.0)
        assert list(trail.due(11.9)) == []
        assert list(trail.due(12.0)) == [change]

    def test_a_change_that_another_has_written_is_dropped(self):
        trail, change = AuditTrail(2.0), of(KillSwitch(on=True))
        trail.note(change, 10.0)
        trail.seen(change.audit_id)
        assert (list(trail.due(99.0)), len(trail)) == ([], 0)

    def test_what_was_written_before_this_worker_started_is_not_written_again(self):
        trail, change = AuditTrail(0.0), of(KillSwitch(on=True))
        trail.seen(change.audit_id)
        trail.note(change, 10.0)
        assert (list(trail.due(99.0)), len(trail)) == ([], 0)

    def test_what_could_not_be_written_stays_due(self):
        trail, change = AuditTrail(0.0), of(KillSwitch(on=True))
        trail.note(change, 10.0)
        assert list(trail.due(10.0)) == list(trail.due(11.0)) == [change]

    def test_changes_are_written_in_the_order_of_the_control_topic(self):
        trail = AuditTrail(1.0)
        for offset in (4, 5, 6):
            trail.note(of(KillSwitch(on=True), offset=offset), 10.0)
        assert [change.control_offset for change in trail.due(11.0)] == [4, 5, 6]
