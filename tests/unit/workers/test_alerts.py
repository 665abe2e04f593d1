"""The alert policy: the table of the module, and what no series of events may ever do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.alerts import AlertState, Facts, Thresholds, Tier, step, tier_of

POLICY = Thresholds()
HOUR = 3_600_000
QUIET = AlertState()
ID = b"\x01" * 16


def facts(low=0, high=None, *, at=0, three=False, arrest=False, risk=None, applicable=True) -> Facts:
    """`low` to `high` is what NEWS2 may be; `at` in hours."""
    return Facts(int(at * HOUR), low, low if high is None else high, three, arrest, risk, applicable)


def run(*series: Facts, state: AlertState = QUIET, policy: Thresholds = POLICY) -> list[tuple[str, AlertState]]:
    history = []
    for number, each in enumerate(series):
        state, change, _ = step(state, each, policy, new_id=bytes([number + 1]) * 16, action=number)
        history.append((change, state))
    return history


def changes(*series: Facts, **more) -> list[str]:
    return [change for change, _ in run(*series, **more)]


ACTIVE = run(facts(5))[0][1]


class TestTier:
    @pytest.mark.parametrize(
        ("seen", "tier", "reason"),
        [
            (facts(0), Tier.NONE, "below_thresholds"),
            (facts(4), Tier.NONE, "below_thresholds"),
            (facts(5), Tier.WARNING, "news2_raise"),
            (facts(6), Tier.WARNING, "news2_raise"),
            (facts(7), Tier.CRITICAL, "news2_critical"),
            (facts(3, three=True), Tier.WARNING, "single_parameter_3"),
            (facts(0, arrest=True), Tier.CRITICAL, "peri_arrest"),
            (facts(0, risk=0.2), Tier.WARNING, "model_risk"),
            (facts(0, risk=0.199), Tier.NONE, "below_thresholds"),
            (facts(9, three=True, applicable=False), Tier.NONE, "below_thresholds"),
            (facts(0, arrest=True, applicable=False), Tier.CRITICAL, "peri_arrest"),
            (facts(0, risk=0.9, applicable=False), Tier.WARNING, "model_risk"),
        ],
    )
    def test_follows_what_is_certain(self, seen, tier, reason):
        assert tier_of(seen, POLICY) == (tier, reason)

    def test_what_only_might_be_raises_nothing(self):
        assert tier_of(facts(0, 20), POLICY)[0] is Tier.NONE

    def test_a_ward_may_set_its_own_lines(self):
        assert tier_of(facts(4), Thresholds(news2_raise=4))[0] is Tier.WARNING
        assert tier_of(facts(0, risk=0.3), Thresholds(model_raise=0.5))[0] is Tier.NONE


class TestTable:
    def test_quiet_and_a_tier_is_reached_raises(self):
        after, change, reason = step(QUIET, facts(5, at=2), POLICY, new_id=ID, action=3)
        assert (change, reason) == ("raise", "news2_raise")
        assert after == AlertState(True, Tier.WARNING, 5, 2 * HOUR, 2 * HOUR, 1, ID, 3)

    def test_quiet_and_nothing_reached_says_nothing(self):
        assert step(QUIET, facts(4), POLICY, new_id=ID, action=3) == (QUIET, "none", "below_thresholds")

    def test_active_and_the_tier_rises_updates_the_same_alert(self):
        after, change, reason = step(ACTIVE, facts(7, at=1), POLICY, new_id=ID, action=9)
        assert (change, reason) == ("update", "worse: news2_critical")
        assert after == replace(ACTIVE, tier=Tier.CRITICAL, news2=7, told_ms=HOUR, revision=2)

    def test_active_and_news2_rises_by_two_updates(self):
        critical = run(facts(7))[0][1]
        assert changes(facts(8), state=critical) == ["suppress"]
        assert changes(facts(9), state=critical) == ["update"]

    def test_two_points_count_from_what_was_told_last(self):
        critical = run(facts(7))[0][1]
        assert changes(facts(9), facts(10), facts(11), facts(9), facts(11), facts(13), state=critical) == [
            "update", "suppress", "update", "suppress", "suppress", "update",
        ]  # fmt: skip

    def test_active_and_nothing_worse_is_told_already(self):
        assert step(ACTIVE, facts(5), POLICY, new_id=ID, action=1) == (ACTIVE, "suppress", "already_raised")

    def test_active_and_better_for_certain_clears_after_the_hold(self):
        after, change, _ = step(ACTIVE, facts(3, at=1), POLICY, new_id=ID, action=1)
        assert change == "clear"
        assert not after.active
        assert (after.tier, after.revision, after.alert_id) == (Tier.NONE, 2, ACTIVE.alert_id)

    def test_active_and_better_too_soon_waits(self):
        assert changes(facts(0, at=0.99), state=ACTIVE) == ["suppress"]

    def test_active_and_between_the_lines_waits(self):
        assert changes(facts(4, at=5), state=ACTIVE) == ["suppress"]

    def test_active_and_perhaps_better_waits(self):
        assert changes(facts(0, 4, at=5), state=ACTIVE) == ["suppress"]

    def test_model_risk_holds_an_alert_that_news2_would_clear(self):
        assert changes(facts(0, at=5, risk=0.5), state=ACTIVE) == ["suppress"]

    def test_an_alert_after_a_clear_is_a_new_one(self):
        history = run(facts(5), facts(0, at=2), facts(5, at=3))
        assert [change for change, _ in history] == ["raise", "clear", "raise"]
        assert history[0][1].alert_id != history[2][1].alert_id
        assert history[2][1].revision == 1

    def test_where_news2_stops_to_apply_its_alert_ends(self):
        assert changes(facts(0, 20, at=2, applicable=False), state=ACTIVE) == ["clear"]


def test_oscillation_around_the_line_does_not_flap():
    series = [facts(4 + k % 2, at=k / 2) for k in range(48)]
    assert [c for c in changes(*series) if c not in ("none", "suppress")] == ["raise"]


POINTS = st.integers(0, 20)
FACTS = st.builds(
    lambda at, a, b, three, arrest, risk, applicable: Facts(
        at, min(a, b), max(a, b), three, arrest, risk, applicable
    ),
    st.integers(0, 72 * HOUR), POINTS, POINTS, st.booleans(), st.booleans(),
    st.none() | st.floats(0, 1), st.booleans(),
)  # fmt: skip
SERIES = st.lists(FACTS, max_size=30).map(lambda series: sorted(series, key=lambda f: f.event_ms))


@given(SERIES)
def test_worsening_always_breaks_through(series):
    """Whenever the certain tier rises above what was told, or NEWS2 by two in a tier, something goes out."""
    before = QUIET
    for each, (change, after) in zip(series, run(*series), strict=True):
        tier, _ = tier_of(each, POLICY)
        if tier > before.tier or (before.active and tier and each.news2_low >= before.news2 + 2):
            assert change == ("update" if before.active else "raise")
            assert after.tier >= tier
        before = after


@given(SERIES)
def test_missing_data_never_clears(series):
    for each, (change, _) in zip(series, run(*series), strict=True):
        if each.applicable and each.news2_high >= POLICY.news2_clear:
            assert change != "clear"


@given(SERIES, FACTS, st.floats(0, 1))
def test_no_model_output_lowers_a_tier_or_ends_an_alert(series, last, risk):
    history = run(*series)
    before = history[-1][1] if history else QUIET
    without, _, _ = step(before, last._replace(risk=None), POLICY, new_id=ID, action=1)
    with_model, _, _ = step(before, last._replace(risk=risk), POLICY, new_id=ID, action=1)
    assert with_model.tier >= without.tier
    assert with_model.active >= without.active


@given(SERIES)
def test_a_tier_falls_only_by_clearing(series):
    before = QUIET
    for change, after in run(*series):
        assert change == "clear" or after.tier >= before.tier
        before = after


@given(SERIES)
def test_the_replayed_series_gives_the_same_history(series):
    assert run(*series) == run(*series)


@given(SERIES)
def test_an_alert_keeps_its_id_and_counts_what_went_out(series):
    before = QUIET
    for change, after in run(*series):
        if change == "raise":
            assert not before.active
            assert after.revision == 1
        elif change in ("update", "clear"):
            assert after.revision == before.revision + 1
            assert (after.alert_id, after.raised_ms, after.action) == (before.alert_id, before.raised_ms, before.action)
        else:
            assert after == before
        before = after
