from __future__ import annotations

import math

import pytest

from bench.schedule import Delays, Schedule, delays, growth_per_million, steady_rate


def test_send_times_are_fixed_by_the_rate_alone():
    schedule = Schedule(rate=100, seconds=2)

    assert schedule.count == 200
    assert [schedule.due_s(n) for n in (0, 1, 199)] == [0.0, 0.01, 1.99]


def test_a_record_is_due_at_its_own_time_and_not_before():
    schedule = Schedule(rate=100, seconds=2)

    assert [schedule.due(s) for s in (-0.1, 0.0, 0.0099, 0.01, 1.99, 50)] == [0, 1, 1, 2, 200, 200]


@pytest.mark.parametrize("rate", [3.0, 7.0, 1234.5, 9999.9])
def test_every_record_is_due_exactly_when_due_s_says(rate):
    schedule = Schedule(rate=rate, seconds=3)

    for number in range(0, schedule.count, max(1, schedule.count // 500)):
        assert schedule.due(schedule.due_s(number)) == number + 1
        if number:
            assert schedule.due(schedule.due_s(number) - 1e-5) == number


def test_records_of_the_warm_up_do_not_count():
    schedule = Schedule(rate=10, seconds=2, warm_up_s=1)
    received = {n: schedule.due_s(n) + (5.0 if n < 10 else 0.25) for n in range(20)}

    found = delays(schedule, received)

    assert len(found.sorted_s) == 10
    assert found.percentile(100) == pytest.approx(0.25)


def test_a_stalled_sender_counts_against_every_record_that_was_due_meanwhile():
    schedule = Schedule(rate=100, seconds=1)  # nothing leaves for the last half second, then all of it at once
    received = {n: max(schedule.due_s(n), 1.0 if n >= 50 else 0.0) for n in range(100)}

    found = delays(schedule, received)

    assert found.percentile(50) == pytest.approx(0.0)
    assert found.percentile(75) == pytest.approx(0.25)
    assert found.percentile(100) == pytest.approx(0.5)


def test_a_record_that_never_came_is_missing_and_worse_than_any_other():
    schedule = Schedule(rate=10, seconds=1)
    received = {n: schedule.due_s(n) + 0.1 for n in range(9)}

    found = delays(schedule, received)

    assert found.missing == 1
    assert found.percentile(90) == pytest.approx(0.1)
    assert found.percentile(100) == math.inf


def test_percentiles_are_of_nearest_rank():
    found = Delays([float(n) for n in range(1, 1001)], 0)

    assert [found.percentile(p) for p in (0, 50, 99, 99.9, 100)] == [1.0, 500.0, 990.0, 999.0, 1000.0]
    assert math.isnan(Delays([], 0).percentile(50))


@pytest.mark.parametrize(("rate", "seconds", "warm_up"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (1, 1, -1)])
def test_a_schedule_that_sends_or_counts_nothing_is_refused(rate, seconds, warm_up):
    with pytest.raises(ValueError, match="above 0"):
        Schedule(rate, seconds, warm_up)


def test_growth_is_the_slope_over_records():
    samples = [(0, 100), (1_000, 1_100), (2_000, 2_100), (4_000, 4_100)]

    assert growth_per_million(samples) == pytest.approx(1e6)
    assert growth_per_million([(5, 1), (5, 2)]) == 0.0


def test_a_steady_rate_does_not_count_the_burst_it_begins_with():
    bursts = [ms for ms in range(0, 5_000, 250) for _ in range(100)]  # 100 results each quarter of a second

    assert steady_rate(bursts) == pytest.approx(400)
    assert steady_rate(list(reversed(bursts))) == pytest.approx(400)


def test_a_slow_start_does_not_count():
    assert steady_rate([0, *range(10_000, 11_000)]) == pytest.approx(1_000, rel=0.01)


def test_a_single_burst_has_no_rate():
    assert math.isnan(steady_rate([7, 7, 7]))
    assert math.isnan(steady_rate([]))
