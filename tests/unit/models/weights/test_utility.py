"""Values worked by hand from the definition in Reyna et al. 2020."""

import numpy as np
import pytest

from models.evaluation.utility import best_threshold, every_hour, interval, normalised, worth
from workers.datasets.stay import Stay

NEVER = np.zeros(5, np.float32)
ONSET_AT_20 = (np.arange(30) >= 14).astype(np.float32)  # labels turn 1 six hours before onset


@pytest.mark.parametrize(
    ("hour", "alarm", "silence"),
    [(0, -0.05, 0), (7, -0.05, 0), (8, 0, 0), (11, 0.5, 0), (14, 1, 0), (17, 6 / 9, -6 / 9), (20, 3 / 9, -12 / 9),
     (23, 0, -2), (24, 0, 0), (29, 0, 0)],
)  # fmt: skip
def test_an_hour_is_worth_by_its_distance_from_onset(hour, alarm, silence):
    value = worth([ONSET_AT_20])
    assert value.alarm[hour] == pytest.approx(alarm)
    assert value.silence[hour] == pytest.approx(silence)


def test_an_alarm_without_sepsis_costs_a_twentieth_and_silence_nothing():
    value = worth([NEVER])
    assert value.alarm.tolist() == [-0.05] * 5
    assert value.silence.tolist() == [0] * 5


def test_silence_is_0_and_alarms_from_twelve_hours_before_to_three_after_are_1():
    value = worth([NEVER, ONSET_AT_20])
    best = np.zeros(35, bool)
    best[5 + 8 : 5 + 24] = True
    assert normalised(value, np.zeros(35, bool)) == 0
    assert normalised(value, best) == pytest.approx(1)


def test_the_gain_of_one_alarm_is_its_share_of_the_best():
    value = worth([NEVER, ONSET_AT_20])
    # Alarms instead of silence gain 1/6 ... 5/6, 1 before label hour 15, then 8/9 + 2/9 ... 0 + 2 after it.
    best = sum(k / 6 for k in range(7)) + sum((9 - k) / 9 + 2 * k / 9 for k in range(1, 10))
    alarm = np.zeros(35, bool)
    alarm[5 + 14] = True
    assert normalised(value, alarm) == pytest.approx(1 / best)
    alarm[0] = True
    assert normalised(value, alarm) == pytest.approx((1 - 0.05) / best)


def test_an_onset_in_the_first_hours_counts_from_the_first_row():
    value = worth([np.ones(4, np.float32)])
    assert value.alarm.tolist() == pytest.approx([1, 8 / 9, 7 / 9, 6 / 9])


def test_without_any_onset_there_is_no_utility():
    assert np.isnan(normalised(worth([NEVER]), np.ones(5, bool)))
    assert interval(worth([NEVER]), np.ones(5, bool)) == [None, None, None]


def test_the_threshold_is_where_alarms_pay_most():
    value = worth([NEVER, ONSET_AT_20])
    probability = np.concatenate((np.full(5, 0.2), np.where(np.arange(30) < 8, 0.1, 0.6)))
    assert best_threshold(value, probability) == 0.6
    assert normalised(value, probability >= 0.6) == pytest.approx(1)


def test_an_hour_without_an_event_carries_the_last_prediction_of_its_stay():
    def stay(name, *pulses):
        values = np.array(pulses, np.float32)[:, None]
        return Stay(name, np.arange(len(values), dtype=np.float32), values, np.zeros(len(values), np.float32), 60, 1)

    stays = [stay("1", np.nan, 80, np.nan, 90), stay("2", np.nan, np.nan, 70), stay("3", np.nan)]
    risk = {"1": np.array([0.3, 0.5]), "2": np.array([0.7])}
    assert every_hour(stays, risk).tolist() == [0, 0.3, 0.3, 0.5, 0, 0, 0.7, 0]


def test_the_interval_holds_the_value():
    value = worth([NEVER, ONSET_AT_20, NEVER, ONSET_AT_20] * 5)
    alarm = np.random.default_rng(0).random(len(value.stay)) < 0.4
    middle, low, high = interval(value, alarm)
    assert low < middle < high
