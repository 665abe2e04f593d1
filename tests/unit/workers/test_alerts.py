"""The life of an alert: the table of the module, and what no series of events and answers may ever do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.alert_policy import DEFAULT, Policy, QuietHours, Tier
from workers.alerts import (
    ARREST,
    NEVER,
    AlertState,
    Answer,
    Facts,
    Phase,
    Reached,
    reached,
    respond,
    step,
    unanswered,
)

MINUTE, HOUR = 60_000, 3_600_000
LIFETIME = 8 * HOUR
QUIET = AlertState()


def facts(low=0, high=None, *, at=0.0, **more) -> Facts:
    """`low` to `high` is what NEWS2 may be; `at` in hours. The seven parameters are not simulated."""
    said = {"single_three": False, "arrest": False, "risk": None} | more
    return Facts(round(at * HOUR), low, low if high is None else high, **said)


def one(state: AlertState, each: Facts, policy: Policy = DEFAULT, *, held=None, number=1):
    new_id = number.to_bytes(16, "little")
    found = reached(each, policy)
    return step(state, each, found, policy, held=held, new_id=new_id, action=7, lifetime_ms=LIFETIME)


def run(*series: Facts, state=QUIET, policy=DEFAULT):
    history = []
    for number, each in enumerate(series, start=1):
        state, change, reason = one(state, each, policy, number=number)
        history.append((change, reason, state))
    return history


def changes(*series: Facts, **more) -> list[str]:
    return [change for change, _, _ in run(*series, **more)]


def after(*series: Facts, **more) -> AlertState:
    return run(*series, **more)[-1][2]


def answer(outcome="acknowledged", at=0.1, **more) -> Answer:
    given_ = {"alert_id": None, "action": -1, "snooze_ms": None, "effect": "none", "ident": 99} | more
    return Answer(outcome, round(at * HOUR), **given_)


ACTIVE = after(facts(5))
ACKNOWLEDGED, _ = respond(ACTIVE, answer(), DEFAULT)


class TestReached:
    @pytest.mark.parametrize(
        ("seen", "expected"),
        [
            (facts(0), (Tier.NONE, "below_thresholds", False)),
            (facts(4), (Tier.NONE, "below_thresholds", False)),
            (facts(5), (Tier.WARNING, "news2_raise", False)),
            (facts(6), (Tier.WARNING, "news2_raise", False)),
            (facts(7), (Tier.CRITICAL, "news2_critical", False)),
            (facts(3, single_three=True), (Tier.WARNING, "single_parameter_3", False)),
            (facts(0, arrest=True), (Tier.CRITICAL, "peri_arrest", False)),
            (facts(0, risk=0.05), (Tier.WARNING, "model_risk", True)),
            (facts(0, risk=0.049), (Tier.NONE, "below_thresholds", False)),
            (facts(9, single_three=True, applicable=False), (Tier.NONE, "below_thresholds", False)),
            (facts(0, arrest=True, applicable=False), (Tier.CRITICAL, "peri_arrest", False)),
            (facts(5, risk=0.9), (Tier.WARNING, "news2_raise", False)),
            (facts(0, 20), (Tier.NONE, "below_thresholds", False)),
        ],
    )
    def test_follows_what_is_certain(self, seen, expected):
        assert reached(seen, DEFAULT) == Reached(*expected)

    def test_a_ward_may_set_its_own_lines(self):
        assert reached(facts(4), Policy(news2_raise=4)).tier is Tier.WARNING
        assert reached(facts(0, risk=0.3), Policy(model_raise=0.5)).tier is Tier.NONE
        assert reached(facts(7), Policy(news2_critical=9)).tier is Tier.WARNING
        assert reached(facts(3), Policy(news2_info=3)) == Reached(Tier.INFO, "news2_info")


class TestRaising:
    def test_a_tier_that_is_reached_raises(self):
        state, change, reason = one(QUIET, facts(5, at=2))
        assert (change, reason) == ("raise", "news2_raise")
        assert (state.phase, state.tier, state.news2, state.revision) == (Phase.ACTIVE, Tier.WARNING, 5, 1)
        assert (state.raised_ms, state.told_ms, state.seen_ms) == (2 * HOUR,) * 3

    def test_nothing_reached_says_nothing(self):
        assert one(QUIET, facts(4)) == (QUIET, "none", "below_thresholds")

    def test_a_mute_holds_it_back_and_it_is_told_when_the_mute_is_over(self):
        state, change, reason = one(QUIET, facts(5), held="muted")
        assert (state.phase, change, reason) == (Phase.PENDING, "suppress", "muted")
        assert one(state, facts(5, at=0.5))[1] == "raise"

    def test_what_was_held_back_is_forgotten_when_it_is_no_longer_reached(self):
        state, _, _ = one(QUIET, facts(5), held="muted")
        assert one(state, facts(1, at=0.5))[:2] == (QUIET, "none")

    def test_an_answer_about_the_action_holds_it_back(self):
        assert one(QUIET, facts(5), held="overridden")[1:] == ("suppress", "overridden")


class TestModelAlone:
    def test_needs_two_of_the_last_three_scores(self):
        risks = [0.5, 0.01, 0.5]
        history = run(*(facts(risk=risk, at=k / 20) for k, risk in enumerate(risks)))
        assert [(change, reason) for change, reason, _ in history] == [
            ("suppress", "unconfirmed"), ("none", "below_thresholds"), ("raise", "model_risk"),
        ]  # fmt: skip

    def test_one_score_of_three_is_never_enough(self):
        assert "raise" not in changes(*(facts(risk=0.5 if k % 3 == 0 else 0.01, at=k) for k in range(24)))

    def test_or_ten_minutes_above(self):
        strict = Policy(confirm_scores=3)
        assert changes(facts(risk=0.5), facts(risk=0.5, at=0.1), policy=strict) == ["suppress"] * 2
        assert changes(facts(risk=0.5), facts(risk=0.5, at=0.2), policy=strict) == ["suppress", "raise"]

    def test_the_same_moment_judged_again_counts_once(self):
        assert changes(facts(risk=0.5), facts(risk=0.6), facts(risk=0.7)) == ["suppress"] * 3

    def test_a_rule_needs_no_confirmation(self):
        assert changes(facts(risk=0.5), facts(5, risk=0.5, at=0.01)) == ["suppress", "raise"]

    def test_a_rule_that_confirms_it_is_told(self):
        told = after(facts(risk=0.5), facts(risk=0.5, at=1))
        assert told.of_model
        state, change, reason = one(told, facts(5, risk=0.5, at=2))
        assert (change, reason, state.of_model) == ("update", "worse: news2_raise", False)

    def test_it_clears_by_its_own_line(self):
        told = after(facts(risk=0.5), facts(risk=0.5, at=1))
        between = [facts(4, risk=0.045, at=2 + k) for k in range(3)]
        assert set(changes(*between, state=told)) == {"suppress"}
        below = [facts(4, risk=0.035, at=2 + k) for k in range(3)]
        assert changes(*below, state=told) == ["suppress", "clear", "none"]

    def test_a_model_that_abstains_clears_nothing(self):
        told = after(facts(risk=0.5), facts(risk=0.5, at=1))
        silent = [facts(0, abstained=True, at=2 + k) for k in range(4)]
        assert set(changes(*silent, state=told)) == {"suppress"}

    def test_switched_off_leaves_it_to_news2(self):
        told = after(facts(risk=0.5), facts(risk=0.5, at=1))
        assert changes(facts(0, at=2), facts(0, at=3), state=told) == ["suppress", "clear"]


class TestStanding:
    def test_a_higher_tier_is_told(self):
        state, change, reason = one(ACTIVE, facts(7, at=1))
        assert (change, reason) == ("update", "worse: news2_critical")
        assert (state.tier, state.news2, state.told_ms, state.revision) == (Tier.CRITICAL, 7, HOUR, 2)
        assert state.alert_id == ACTIVE.alert_id

    def test_two_points_count_from_what_was_told_last(self):
        critical = after(facts(7))
        assert changes(facts(9), facts(10), facts(11), facts(9), facts(11), facts(13), state=critical) == [
            "update", "suppress", "update", "suppress", "suppress", "update",
        ]  # fmt: skip

    def test_a_parameter_that_newly_scores_3_is_told(self):
        told = after(facts(5, signs=0b1))
        assert changes(facts(5, signs=0b1), facts(6, signs=0b11), facts(6, signs=0b10), state=told) == [
            "suppress", "update", "suppress",
        ]  # fmt: skip

    def test_a_peri_arrest_rule_is_told_although_the_tier_was_critical(self):
        told = after(facts(8, signs=0b1))
        assert one(told, facts(8, arrest=True, signs=0b1 | ARREST))[1:] == ("update", "worse: peri_arrest")

    def test_nothing_worse_is_told_already(self):
        assert one(ACTIVE, facts(5, at=1))[1:] == ("suppress", "already_raised")

    def test_a_mute_holds_an_update_until_it_is_over(self):
        state, change, reason = one(ACTIVE, facts(7, at=1), held="muted")
        assert (change, reason) == ("suppress", "muted")
        assert one(state, facts(7, at=2))[1] == "update"

    def test_an_answer_about_the_action_does_not_hold_what_is_worse(self):
        assert one(ACTIVE, facts(7, at=1), held="overridden")[1] == "update"

    def test_a_relapse_after_long_calm_is_told(self):
        told = after(facts(7))
        calm = [facts(5, at=at) for at in (1, 2.1)]
        assert changes(*calm, facts(7, at=3), state=told) == ["suppress", "suppress", "update"]

    def test_a_new_sign_is_told_also_at_the_end_of_a_calm(self):
        told = after(facts(8, arrest=True, signs=ARREST))
        calmer = after(facts(5, at=1), state=told)
        assert one(calmer, facts(5, single_three=True, signs=0b1, at=2.5))[1:] == ("update", "worse: news2_raise")

    def test_a_relapse_after_short_calm_is_not(self):
        told = after(facts(7))
        assert changes(facts(5, at=1), facts(7, at=1.5), facts(5, at=2), facts(7, at=3), state=told) == ["suppress"] * 4


class TestEnding:
    def test_better_for_the_whole_hold_clears(self):
        history = run(facts(3, at=1), facts(3, at=2), facts(0, at=3), state=ACTIVE)
        assert [(change, reason) for change, reason, _ in history] == [
            ("suppress", "not_yet_clear"), ("clear", "better"), ("none", "below_thresholds"),
        ]  # fmt: skip
        assert history[1][2].revision == 2

    def test_a_break_starts_the_hold_anew(self):
        assert (
            changes(facts(3, at=1), facts(4, at=1.5), facts(3, at=2), facts(3, at=2.9), state=ACTIVE)
            == ["suppress"] * 4
        )

    def test_perhaps_better_waits(self):
        assert changes(facts(0, 4, at=3), facts(0, 4, at=5), state=ACTIVE) == ["suppress"] * 2

    def test_model_risk_holds_an_alert_that_news2_would_clear(self):
        assert changes(facts(0, risk=0.5, at=3), facts(0, risk=0.5, at=5), state=ACTIVE) == ["suppress"] * 2

    def test_where_news2_stops_to_apply_its_alert_ends(self):
        none = {"applicable": False}
        assert changes(facts(0, 20, at=2, **none), facts(0, 20, at=3, **none), state=ACTIVE) == ["suppress", "clear"]

    def test_without_new_evidence_it_expires(self):
        assert one(ACTIVE, facts(0, 20, at=7.9))[1:] == ("suppress", "not_yet_clear")
        assert one(ACTIVE, facts(0, 20, at=8))[1:] == ("clear", "expired")

    def test_new_evidence_prolongs_it(self):
        assert changes(*(facts(5, at=at) for at in range(1, 25)), state=ACTIVE) == ["suppress"] * 24

    def test_a_mistake_clears_at_once(self):
        assert one(ACTIVE, facts(2, corrected=True))[1:] == ("clear", "corrected")
        assert one(ACTIVE, facts(0, 20, corrected=True))[1:] == ("suppress", "not_yet_clear")

    def test_a_mistake_is_not_what_later_readings_are_compared_with(self):
        told = after(facts(9))
        mended, change, _ = one(told, facts(6, corrected=True))
        assert change == "suppress"
        assert one(mended, facts(7, at=1))[1] == "update"


class TestRefractory:
    CLEARED = after(facts(5), facts(0, at=1), facts(0, at=2))

    def test_the_same_is_not_raised_again_soon(self):
        assert self.CLEARED.phase is Phase.RESOLVED
        assert one(self.CLEARED, facts(5, at=3.9))[1:] == ("suppress", "refractory")
        assert one(self.CLEARED, facts(5, at=4))[1] == "raise"

    def test_worse_is(self):
        assert one(self.CLEARED, facts(7, at=2.5))[1:] == ("raise", "news2_critical")
        assert one(self.CLEARED, facts(6, signs=1, at=2.5))[1] == "raise"

    def test_a_new_alert_has_a_new_id(self):
        again = one(self.CLEARED, facts(5, at=5), number=9)[0]
        assert again.alert_id != self.CLEARED.alert_id
        assert again.revision == 1

    def test_is_over_in_silence_too(self):
        assert one(self.CLEARED, facts(0, at=4))[0] == QUIET

    def test_what_was_a_mistake_leaves_none(self):
        cleared = one(ACTIVE, facts(2, corrected=True))[0]
        assert one(cleared, facts(5, at=0.5))[1] == "raise"


class TestInfo:
    NIGHT = Policy(news2_info=1, quiet_hours=QuietHours(22 * 60, 6 * 60, "Europe/Berlin"))

    def at_local(self, hour):  # 1970 in Berlin is one hour ahead of UTC
        return {"at": hour - 1}

    def test_waits_for_the_morning(self):
        history = run(facts(2, **self.at_local(23)), facts(2, **self.at_local(29)), facts(2, **self.at_local(30)),
            policy=self.NIGHT)  # fmt: skip
        assert [change for change, _, _ in history] == ["suppress", "suppress", "raise"]
        assert history[0][1] == "quiet_hours"

    def test_a_warning_does_not(self):
        assert changes(facts(5, **self.at_local(23)), policy=self.NIGHT) == ["raise"]

    def test_hours_within_a_day(self):
        noon = QuietHours(12 * 60, 14 * 60, "UTC")
        assert [noon.cover(h * HOUR) for h in (11, 12, 13, 14)] == [False, True, True, False]


class TestAnswers:
    def test_an_acknowledgement_ends_the_clocks(self):
        assert (ACKNOWLEDGED.phase, ACKNOWLEDGED.answered_ms) == (Phase.ACKNOWLEDGED, round(0.1 * HOUR))
        assert one(ACKNOWLEDGED, facts(5, at=1))[1:] == ("suppress", "acknowledged")

    def test_worse_breaks_through_it_and_wants_another(self):
        state, change, _ = one(ACKNOWLEDGED, facts(7, at=1))
        assert (change, state.phase, state.answered_ms) == ("update", Phase.ACTIVE, NEVER)

    def test_a_snooze_ends_by_itself(self):
        snoozed, effect = respond(ACTIVE, answer("snoozed", snooze_ms=30 * MINUTE), DEFAULT)
        assert (effect, snoozed.until_ms) == ("snoozed", round(0.6 * HOUR))
        assert one(snoozed, facts(5, at=0.5))[1:] == ("suppress", "snoozed")
        assert one(snoozed, facts(5, at=0.6))[1:] == ("update", "snooze_over")
        assert one(snoozed, facts(4, at=0.7))[1] == "suppress"

    @pytest.mark.parametrize(("score", "longest"), [(5, 240), (7, 60)])
    def test_a_snooze_is_bounded_by_tier(self, score, longest):
        told = after(facts(score))
        assert respond(told, answer("snoozed", at=0, snooze_ms=12 * HOUR), DEFAULT)[0].until_ms == longest * MINUTE
        assert respond(told, answer("snoozed", at=0), DEFAULT)[0].until_ms == longest * MINUTE

    def test_worse_breaks_through_a_snooze(self):
        snoozed, _ = respond(ACTIVE, answer("snoozed"), DEFAULT)
        assert one(snoozed, facts(7, at=0.2))[1] == "update"

    def test_passed_on_it_is_told_to_the_next(self):
        passed, effect = respond(ACTIVE, answer("overridden", effect="reroute"), DEFAULT)
        assert (effect, passed.routed) == ("rerouted", 1)
        state, change, reason = one(passed, facts(5, at=0.2))
        assert (change, reason, state.phase) == ("update", "rerouted", Phase.ACTIVE)

    @pytest.mark.parametrize("effect", ["none", "suppress_validity", "suppress_encounter", "block_encounter"])
    def test_other_overrides_answer_it(self, effect):
        assert respond(ACTIVE, answer("overridden", effect=effect), DEFAULT)[0].phase is Phase.ACKNOWLEDGED

    def test_more_information_needed_is_a_snooze_of_an_hour(self):
        snoozed, _ = respond(ACTIVE, answer("overridden", effect="snooze", at=0), DEFAULT)
        assert (snoozed.phase, snoozed.until_ms) == (Phase.SNOOZED, HOUR)

    @pytest.mark.parametrize(
        ("state", "given_", "effect"),
        [
            (QUIET, answer(), "no_alert"),
            (TestRefractory.CLEARED, answer(), "no_alert"),
            (ACTIVE, answer(alert_id=bytes(16)), "another_alert"),
            (ACTIVE, answer(action=3), "another_action"),
            (after(facts(5), facts(7, at=1)), answer(at=0.9), "answered_before_told"),
        ],
    )
    def test_what_is_not_about_this_telling_changes_nothing(self, state, given_, effect):
        assert respond(state, given_, DEFAULT) == (state, effect)

    def test_an_answer_is_taken_back(self):
        assert unanswered(ACKNOWLEDGED, 99) == ACTIVE
        assert unanswered(ACKNOWLEDGED, 98) == ACKNOWLEDGED
        assert one(unanswered(ACKNOWLEDGED, 99), facts(5, at=1))[1:] == ("suppress", "already_raised")


def test_oscillation_around_the_line_tells_once_in_a_day():
    series = [facts(4 + k % 2, at=k / 2) for k in range(48)]
    assert [c for c in changes(*series) if c not in ("none", "suppress")] == ["raise"]


POINTS = st.integers(0, 20)
FACTS = st.builds(
    lambda at, a, b, three, arrest, risk, applicable, signs, corrected: Facts(
        at, min(a, b), max(a, b), three, arrest, risk, applicable, risk is None, signs, corrected
    ),
    st.integers(0, 72 * HOUR), POINTS, POINTS, st.booleans(), st.booleans(), st.none() | st.floats(0, 1),
    st.booleans(), st.integers(0, 255), st.just(False) | st.booleans(),
)  # fmt: skip
ANSWERS = st.builds(
    answer, st.sampled_from(["accepted", "overridden", "snoozed", "acknowledged"]), st.floats(0, 72),
    effect=st.sampled_from(["none", "suppress_encounter", "snooze", "reroute"]),
    snooze_ms=st.none() | st.integers(1, 12 * HOUR),
)  # fmt: skip


def _when(each: Facts | Answer) -> int:
    return each.event_ms if isinstance(each, Facts) else each.at_ms


SERIES = st.lists(FACTS | ANSWERS, max_size=30).map(lambda series: sorted(series, key=_when))


def lived(series, policy: Policy = DEFAULT):
    """(event, state before, state after, change) of each event; answers act in between."""
    state, found = QUIET, []
    for number, each in enumerate(series, start=1):
        if isinstance(each, Answer):
            state, _ = respond(state, each, policy)
            continue
        before = state
        state, change, _ = one(state, each, policy, number=number)
        found.append((each, before, state, change))
    return found


@given(SERIES)
def test_worsening_always_breaks_through(series):
    """A tier above what was told, NEWS2 up by two, or a new sign goes out whatever the phase and whoever answered."""
    for each, before, state, change in lived(series):
        found = reached(each, DEFAULT)
        if not (before.standing or before.phase is Phase.RESOLVED) or found.tier is Tier.NONE:
            continue
        up = each.applicable and each.news2_low >= before.news2 + 2
        if found.tier > before.tier or up or each.signs & ~before.signs:
            assert change == ("update" if before.standing else "raise")
            assert state.tier >= found.tier


@given(SERIES)
def test_a_rule_from_quiet_is_never_held(series):
    for each, before, _, change in lived(series):
        found = reached(each, DEFAULT)
        if before.phase in (Phase.QUIET, Phase.PENDING) and found.tier is not Tier.NONE and not found.of_model:
            assert change == "raise"


@given(SERIES)
def test_missing_data_never_clears_as_better(series):
    for each, before, _, change in lived(series):
        line = DEFAULT.news2_clear
        if change == "clear" and each.event_ms < before.lives_ms(LIFETIME) and not before.of_model:
            assert not each.applicable or each.news2_high < line


@given(SERIES)
def test_the_same_is_not_told_twice_within_its_refractory_time(series):
    """Between two tellings that are not worse, and not of an answer's making, lies the refractory time."""
    told: AlertState | None = None
    for each, before, state, change in lived(series):
        if each.corrected or before.phase in (Phase.SNOOZED, Phase.REROUTED):
            told = None
        elif change in ("raise", "update"):
            if told is not None and each.event_ms - told.told_ms < DEFAULT.refractory_ms[told.tier]:
                found = reached(each, DEFAULT)
                new = each.signs & ~told.signs or (told.of_model and not found.of_model)
                up = each.applicable and each.news2_low >= told.news2 + 2
                assert found.tier > told.tier or up or new
            told = state


@given(SERIES, FACTS, st.floats(0, 1))
def test_no_model_output_lowers_a_tier_or_ends_an_alert_of_rules(series, last, risk):
    history = lived(series)
    before = history[-1][2] if history else QUIET
    before = before._replace(of_model=False)
    without = one(before, last._replace(risk=None))[0]
    with_model = one(before, last._replace(risk=risk))[0]
    assert with_model.tier >= without.tier
    assert with_model.standing >= without.standing


@given(SERIES)
def test_the_replayed_series_gives_the_same_history(series):
    assert lived(series) == lived(series)


@given(SERIES)
def test_an_alert_keeps_its_id_and_counts_what_went_out(series):
    for _, before, state, change in lived(series):
        if change == "raise":
            assert not before.standing
            assert (state.revision, state.phase) == (1, Phase.ACTIVE)
        elif change in ("update", "clear"):
            assert before.standing
            assert (state.revision, state.alert_id, state.raised_ms, state.about) == (
                before.revision + 1, before.alert_id, before.raised_ms, before.about,
            )  # fmt: skip
        else:
            assert (state.revision, state.told_ms, state.standing) == (
                before.revision,
                before.told_ms,
                before.standing,
            ) or (not state.standing and not before.standing)


@given(SERIES)
def test_the_tier_that_was_last_told_is_kept_until_the_next_telling(series):
    """Whatever lowers what counts as told: a clear goes where the raise or update went."""
    told = Tier.NONE
    for _, _, state, change in lived(series):
        if change in ("raise", "update"):
            told = state.tier
        if state.standing or change == "clear":
            assert state.told is told


@given(SERIES, st.integers(1, 10**6))
def test_time_is_only_ever_compared(series, shift):
    """The same history a while later is the same history: no wall clock, no absolute time."""
    moved = [
        each._replace(event_ms=each.event_ms + shift)
        if isinstance(each, Facts)
        else each._replace(at_ms=each.at_ms + shift)
        for each in series
    ]
    assert [entry[3] for entry in lived(series)] == [entry[3] for entry in lived(moved)]
