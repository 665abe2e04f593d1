"""What operators changed: applied, taken back, expired; one snapshot a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from topics.control import ControlEvent
from topics.control_settings import (
    KillSwitch,
    ModelSwitch,
    Mute,
    PatientLimits,
    RulesOnly,
    Thresholds,
    WardPolicy,
)
from workers.alert_policy import Policy, QuietHours, Tier
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


class TestWardPolicies:
    def test_a_ward_s_own_goes_over_everywhere_s_over_the_defaults(self):
        made = board(
            WardPolicy(hold_minutes=30, refractory_minutes={"critical": 20}, uncharted=["acvpu"]),
            WardPolicy(unit="icu", refractory_minutes={"warning": 100}, budget_per_100_patient_days=5),
            Thresholds(unit="icu", news2_info=3),
        ).snapshot(NOW_MS)
        icu, other = made.policy_of("icu"), made.policy_of("w1")
        assert (icu.hold_ms, other.hold_ms) == (30 * 60_000, 30 * 60_000)
        assert icu.refractory_ms[Tier.CRITICAL] == 20 * 60_000
        assert icu.refractory_ms[Tier.WARNING] == 100 * 60_000
        assert icu.refractory_ms[Tier.INFO] == Policy().refractory_ms[Tier.INFO]
        assert (icu.news2_info, icu.budget, icu.uncharted) == (3, 5, {"acvpu"})
        assert (other.news2_info, other.budget) == (None, None)
        assert (made.policy_unit("icu"), made.policy_unit("w1"), made.policy_unit(None)) == ("icu", "*", "*")

    def test_quiet_hours_are_those_of_the_ward_s_zone(self):
        made = board(WardPolicy(quiet_hours="22:00-06:30 Europe/Berlin")).snapshot(NOW_MS)
        assert made.policy_of(None).quiet_hours == QuietHours(1320, 390, "Europe/Berlin")

    @pytest.mark.parametrize("wrong", ["22-6", "22:00-06:00", "24:00-06:00 UTC", "22:00-22:00 UTC", "1:00-2:00 Mars/X"])
    def test_quiet_hours_that_cannot_be_read_are_refused(self, wrong):
        with pytest.raises(ValidationError):
            WardPolicy(quiet_hours=wrong)


class TestModelsAndPatients:
    def test_versions_and_candidates_are_kept_by_model(self):
        control = board(ModelSwitch(name="ranker", version="2", canary="3", share=0.1)).snapshot(NOW_MS)
        assert control.switches["ranker"].version == "2"
        assert control.models_off == frozenset()

    @pytest.mark.parametrize(
        "wrong",
        [{"name": "ranker", "canary": "3"}, {"name": "ranker", "share": 0.1}, {"name": "notes", "fusion": "2"},
         {"name": "ranker", "enabled": False, "canary": "3", "share": 0.1}, {"name": "ranker", "version": "../x"}],
    )  # fmt: skip
    def test_switches_that_contradict_themselves_are_refused(self, wrong):
        with pytest.raises(ValidationError):
            ModelSwitch(**wrong)

    def test_limits_end_by_themselves_and_must(self):
        setting = PatientLimits(patient="ab" * 16, dnacpr=True)
        made = board(setting, hours=2)
        assert made.snapshot(NOW_MS).limits == {b"\xab" * 16: setting}
        assert made.snapshot(NOW_MS + 2 * HOUR_MS).limits == {}
        for hours in (None, 31 * 24):
            with pytest.raises(ValidationError, match="limits"):
                event(setting, hours=hours)

    def test_rules_only_by_ward(self):
        control = board(RulesOnly(unit="icu", on=True), RulesOnly(unit="w1", on=False)).snapshot(NOW_MS)
        assert [control.without_models(unit) for unit in ("icu", "w1", None)] == [True, False, False]
