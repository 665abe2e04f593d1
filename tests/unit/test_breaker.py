"""The circuit breaker, by advancing a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.breaker import Breaker


def opened(**settings) -> Breaker:
    breaker = Breaker(failures=1, backoff_s=2.0, backoff_max_s=10.0, probe_s=5.0, **settings)
    breaker.failure(100.0)
    return breaker


class TestClosed:
    def test_lets_calls_through_and_has_no_retry_time(self):
        breaker = Breaker()
        assert breaker.allow(0.0)
        assert breaker.state == "closed"
        assert breaker.retry_at() is None

    def test_opens_at_the_named_number_of_failures_in_a_row(self):
        breaker = Breaker(failures=3)
        breaker.failure(1.0)
        breaker.failure(1.0)
        assert breaker.allow(1.0)
        breaker.failure(1.0)
        assert not breaker.allow(1.0)

    def test_a_success_between_starts_the_count_again(self):
        breaker = Breaker(failures=2)
        for _ in range(10):
            breaker.failure(1.0)
            breaker.success(1.0)
        assert breaker.state == "closed"


class TestOpen:
    def test_refuses_until_its_pause_is_over(self):
        breaker = opened()
        assert breaker.retry_at() == 102.0
        assert not breaker.allow(101.9)
        assert breaker.allow(102.0)

    def test_late_reports_of_earlier_calls_change_nothing(self):
        breaker = opened()
        breaker.success(100.5)
        breaker.failure(101.5)
        assert breaker.state == "open"
        assert breaker.retry_at() == 102.0


class TestHalfOpen:
    def test_admits_one_probe_only(self):
        breaker = opened()
        assert breaker.allow(102.0)
        assert not breaker.allow(102.0)
        assert breaker.state == "half-open"

    def test_a_good_probe_closes_it_and_forgets_the_back_off(self):
        breaker = opened()
        breaker.allow(102.0)
        breaker.failure(102.0)
        breaker.allow(106.0)
        breaker.success(106.0)
        assert breaker.state == "closed"
        assert breaker.retry_at() is None
        breaker.failure(107.0)
        assert breaker.retry_at() == 109.0

    def test_failed_probes_double_the_pause_up_to_the_bound(self):
        breaker = opened()
        pauses = []
        for _ in range(5):
            now = breaker.retry_at()
            assert now is not None
            assert breaker.allow(now)
            breaker.failure(now)
            pauses.append(breaker.retry_at() - now)
        assert pauses == [4.0, 8.0, 10.0, 10.0, 10.0]

    def test_a_probe_that_never_reports_is_replaced(self):
        breaker = opened()
        assert breaker.allow(102.0)
        assert not breaker.allow(106.9)
        assert breaker.allow(107.0)


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"backoff_s": 0.0}, {"backoff_s": 2.0, "backoff_max_s": 1.0}, {"probe_s": 0.0}]
)
def test_refuses_settings_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="breaker needs"):
        Breaker(**wrong)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["allow", "success", "failure"]),
        st.floats(min_value=0.0, max_value=200.0, allow_nan=False),
    ),
    max_size=80,
)


@given(steps=STEPS, failures=st.integers(1, 4))
def test_whatever_happens_it_never_stays_shut_longer_than_its_bounds(steps, failures):
    breaker = Breaker(failures=failures, backoff_s=1.0, backoff_max_s=30.0, probe_s=20.0)
    now = 0.0
    for what, pause in steps:
        now += pause
        if what == "allow":
            promised = breaker.retry_at()
            assert breaker.allow(now) == (promised is None or now >= promised)
        elif what == "success":
            breaker.success(now)
        else:
            breaker.failure(now)
        retry_at = breaker.retry_at()
        assert (retry_at is None) == (breaker.state == "closed")
        assert retry_at is None or retry_at <= now + 30.0
    assert breaker.allow(now + 30.0)


@given(down_s=st.floats(1.0, 5000.0), gap_s=st.floats(0.01, 5.0))
def test_a_dead_dependency_is_asked_rarely_and_a_live_one_is_found(down_s, gap_s):
    breaker = Breaker(failures=3, backoff_s=1.0, backoff_max_s=60.0)
    now, asked = 0.0, 0
    for _ in range(2000):
        if breaker.allow(now):
            asked += 1
            if now >= down_s:
                breaker.success(now)
                break
            breaker.failure(now)
        now = max(now + gap_s, breaker.retry_at() or 0.0)
    assert breaker.state == "closed"
    assert now <= down_s + 60.0 + gap_s
    assert asked <= 3 + 7 + down_s / 60.0
