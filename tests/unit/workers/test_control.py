"""What operators changed: applied, taken back, expired; one snapshot a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from topics.control import ControlEvent, KillSwitch, ModelSwitch, Mute, Thresholds
from workers.alert_policy import Policy
from workers.control import ControlBoard

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000


def event(setting, *, hours: float | None = None) -> ControlEvent:
    return ControlEvent(
        schema_version="1.0", event_id="c", event_time=NOW, subject=setting.subject, setting=setting, actor="a",
        reason="r", expires_at=None if hours is None else NOW + timedelta(hours=hours),
    )  # fmt: skip


def board(*settings, hours: float | None = None) -> ControlBoard:
    made = ControlBoard()
    for offset, setting in enumerate(settings):
        made.apply(setting.subject, event(setting, hours=hours), offset)
    return made


def test_without_control_records_everything_is_on_by_default():
    control = ControlBoard().snapshot(NOW_MS)
    assert control.offset is None
    assert control.models_off == frozenset()
    assert not control.kill_switch
    assert control.policy_of("icu") == control.policy_of(None) == Policy()
    assert not control.muted("icu", "a")


class TestSwitches:
    def test_a_model_goes_off_and_on_again(self):
        made = board(ModelSwitch(name="notes", enabled=False))
        assert made.snapshot(NOW_MS).models_off == {"notes"}
        made.apply("model/notes", event(ModelSwitch(name="notes", enabled=True)), 1)
        assert made.snapshot(NOW_MS).models_off == frozenset()

    def test_the_kill_switch_goes_on_and_off(self):
        made = board(KillSwitch(on=True))
        assert made.snapshot(NOW_MS).kill_switch
        made.apply("kill_switch", event(KillSwitch(on=False)), 1)
        assert not made.snapshot(NOW_MS).kill_switch

    def test_a_tombstone_takes_a_setting_back(self):
        made = board(KillSwitch(on=True), ModelSwitch(name="fusion", enabled=False))
        made.apply("kill_switch", None, 9)
        control = made.snapshot(NOW_MS)
        assert not control.kill_switch
        assert control.models_off == {"fusion"}
        assert control.offset == 9

    def test_a_tombstone_of_an_unknown_subject_is_harmless(self):
        made = ControlBoard()
        made.apply("model/notes", None, 3)
        assert made.snapshot(NOW_MS).offset == 3


class TestOffset:
    def test_echoes_the_newest_record_also_one_that_could_not_be_used(self):
        made = board(KillSwitch(on=True))
        made.skip(7)
        control = made.snapshot(NOW_MS)
        assert control.offset == 7
        assert control.kill_switch

    def test_a_snapshot_does_not_change_when_the_board_does(self):
        made = board(KillSwitch(on=True))
        before = made.snapshot(NOW_MS)
        made.apply("kill_switch", None, 1)
        assert before.kill_switch
        assert before.offset == 0


class TestExpiry:
    def test_a_setting_ends_by_itself_at_its_time(self):
        made = board(KillSwitch(on=True), hours=1)
        assert made.snapshot(NOW_MS + HOUR_MS - 1).kill_switch
        assert not made.snapshot(NOW_MS + HOUR_MS).kill_switch

    def test_each_setting_ends_at_its_own_time(self):
        made = board(KillSwitch(on=True), hours=2)
        made.apply("model/notes", event(ModelSwitch(name="notes", enabled=False), hours=1), 1)
        assert made.snapshot(NOW_MS).models_off == {"notes"}
        later = made.snapshot(NOW_MS + HOUR_MS)
        assert later.models_off == frozenset()
        assert later.kill_switch
        assert not made.snapshot(NOW_MS + 2 * HOUR_MS).kill_switch

    def test_a_setting_that_ended_before_it_was_read_never_holds(self):
        assert not board(KillSwitch(on=True), hours=1).snapshot(NOW_MS + 5 * HOUR_MS).kill_switch


class TestThresholds:
    def test_a_ward_has_its_own_and_the_rest_the_common_ones(self):
        made = board(Thresholds(news2_raise=6), Thresholds(unit="icu", news2_raise=9))
        control = made.snapshot(NOW_MS)
        assert control.policy_of("icu").news2_raise == 9
        assert control.policy_of("ward-1").news2_raise == 6
        assert control.policy_of(None).news2_raise == 6

    def test_what_a_ward_leaves_open_comes_from_the_common_ones_in_any_order(self):
        common, icu = Thresholds(model_raise=0.5), Thresholds(unit="icu", news2_raise=9)
        expected = Policy(news2_raise=9, model_raise=0.5)
        assert board(common, icu).snapshot(NOW_MS).policy_of("icu") == expected
        assert board(icu, common).snapshot(NOW_MS).policy_of("icu") == expected

    def test_a_tombstone_of_a_ward_gives_it_the_common_ones_again(self):
        made = board(Thresholds(news2_raise=6), Thresholds(unit="icu", news2_raise=9))
        made.apply("thresholds/icu", None, 5)
        assert made.snapshot(NOW_MS).policy_of("icu").news2_raise == 6


class TestMutes:
    @pytest.mark.parametrize(
        ("unit", "where", "muted"),
        [("icu", "icu", True), ("icu", "ward", False), ("*", "ward", True), ("*", None, True)],
    )
    def test_a_mute_holds_for_its_ward_and_action(self, unit, where, muted):
        control = board(Mute(unit=unit, action_id="a"), hours=1).snapshot(NOW_MS)
        assert control.muted(where, "a") is muted
        assert not control.muted(where, "b")

    def test_a_mute_expires(self):
        made = board(Mute(unit="icu", action_id="a"), hours=1)
        assert not made.snapshot(NOW_MS + HOUR_MS).muted("icu", "a")
