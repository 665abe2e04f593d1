"""Alerts told about made stays: burden, PPV, sensitivity and lead time, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.columns import COLUMNS
from models.evaluation.alerting import (
    NEAR_H,
    Told,
    alert_figures,
    beside,
    burden,
    counts,
    median,
    onset_h,
    sensitivity,
    time_figures,
)
from models.training.metrics import Draws
from workers.datasets.stay import Stay


def stay(name, hours, label_from=None):
    """One row an hour from 1; the label is 1 from that hour on."""
    time = np.arange(1, hours + 1, dtype=np.float32)
    label = np.zeros(hours, np.float32) if label_from is None else (time >= label_from).astype(np.float32)
    return Stay(name, time, np.full((hours, len(COLUMNS)), np.nan, np.float32), label, 60.0, 1.0)


def told(hours, raised=None, reached=0, suppressed=0):
    return Told(hours if raised is None else raised, hours, reached, suppressed)


def value(figure):
    return figure[0]


def test_onset_is_six_hours_after_the_label_turns():
    assert onset_h(stay("a", 30, 10)) == 16
    assert np.isnan(onset_h(stay("a", 30)))


@pytest.mark.parametrize(
    ("hour", "true", "found"),
    [(11.9, 0, 0), (12, 1, 1), (60, 1, 1), (60.5, 1, 0), (63, 1, 0), (63.1, 0, 0)],
)
def test_the_window_reaches_from_48_hours_before_onset_to_3_after(hour, true, found):
    made = counts([stay("a", 64, 54)], [told([hour])])  # onset at 60
    assert (made.told_true[0], made.raised_true[0], made.found[0]) == (true, true, found)


def test_lead_time_runs_from_the_first_alert_within_the_window():
    made = counts([stay("a", 64, 54)], [told([2.0, 20.0, 50.0], raised=[2.0])])
    assert (made.lead_h[0], made.first_h[0]) == (40, 1)
    assert (made.told_true[0], made.raised_true[0]) == (2, 0)
    near = counts([stay("a", 64, 54)], [told([2.0, 20.0, 50.0])], NEAR_H)
    assert (near.lead_h[0], near.told_true[0]) == (10, 1)


STAYS = [stay("sick", 24, 10), stay("missed", 24, 10), stay("well", 48), stay("calm", 24)]  # onsets at 16; 5 days
TOLD = [told([6.0, 14.0], raised=[6.0], reached=9, suppressed=7), told([22.0], reached=1), told([5.0], reached=2,
    suppressed=1), told([])]  # fmt: skip


def test_figures_of_a_ward():
    made, near = counts(STAYS, TOLD), counts(STAYS, TOLD, NEAR_H)
    draws = Draws([one.patient_id for one in STAYS])
    found = alert_figures(made, near, draws)
    assert value(found["raised /100 days"]) == 60  # three in five days
    assert value(found["told /100 days"]) == burden(made) == 80
    assert value(found["PPV raised"]) == 0.3333
    assert value(found["PPV told"]) == 0.5
    assert value(found["sensitivity"]) == sensitivity(made) == 0.5
    assert value(found["PPV told, 12 h"]) == 0.5
    times = time_figures(made, draws)
    assert value(times["lead h, median"]) == 10
    assert value(times["first alert h, median"]) == 5  # of 5, 21 and 4 hours after the first row
    assert times["first alert h, quartiles"] == "4.5 to 13.0"
    assert value(times["stays with an alert"]) == 0.75
    assert value(times["suppressed"]) == 0.6667  # eight of twelve events that reached a tier


def test_two_policies_are_compared_on_the_same_patients():
    other = [told([10.0]), told([4.0]), told([5.0]), told([])]
    found = beside(counts(STAYS, other), counts(STAYS, TOLD), Draws([one.patient_id for one in STAYS]))
    assert value(found["alerts told, as share of the other's"]) == 0.75
    assert value(found["sensitivity ahead by"]) == 0.5
    assert value(found["median lead longer by, h"]) == -1  # of 6 and 12 hours, beside 10


def test_nothing_told_and_nobody_septic_gives_no_figures_but_no_error():
    made = counts([stay("a", 24)], [told([])])
    draws = Draws(["a"])
    found = alert_figures(made, made, draws) | time_figures(made, draws)
    assert found["sensitivity"] == found["PPV told"] == found["lead h, median"] == [None, None, None]
    assert found["lead h, quartiles"] is None
    assert np.isnan(sensitivity(made))


def test_a_median_takes_each_value_as_often_as_it_is_drawn():
    assert median(np.array([1.0, np.nan, 9.0]), np.array([1.0, 5.0, 2.0])) == 9
    assert np.isnan(median(np.array([np.nan]), np.ones(1)))
