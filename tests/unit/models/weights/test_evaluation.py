"""Evaluation: figures with intervals, baselines and subgroups beside them, on made data."""

import numpy as np
import pytest

from models.evaluation.figures import Question, figures, reliability
from models.training.bedside import bedside
from models.training.metrics import Draws, auroc, event_1, interval
from workers.datasets.stay import Stay


def question(count=400, **more):
    random = np.random.default_rng(0)
    label = (random.random(count) < 0.3).astype(float)
    probability = np.clip(0.3 + 0.3 * (label - 0.3) + random.normal(0, 0.1, count), 0, 1)
    return Question("x", label, probability, np.array([str(i // 4) for i in range(count)]), **more)


def test_the_interval_holds_the_value_and_is_wider_over_patients_than_over_rows():
    one = question()
    value, low, high = interval(auroc, one.label, one.probability, one.patient.tolist())
    assert low < value < high
    copies = [np.repeat(each, 4) for each in (one.label, one.probability)]
    by_row = interval(auroc, *copies, [str(i) for i in range(1600)])
    by_patient = interval(auroc, *copies, [str(i // 4) for i in range(1600)])
    assert by_patient[2] - by_patient[1] > by_row[2] - by_row[1]


def test_event_1_is_the_best_smaller_of_sensitivity_and_precision():
    label, probability = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    # thresholds: 1 hit of 1 flagged (sensitivity 1/2), 1 of 2, 2 of 3 (sensitivity 1), 2 of 4
    assert event_1(label, probability, np.ones(4)) == pytest.approx(2 / 3)


def test_reliability_compares_prediction_and_outcome():
    probability = np.repeat([0.1, 0.6], 100)
    label = np.concatenate([np.arange(100) < 10, np.arange(100) < 30]).astype(float)
    low, high = reliability(label, probability, Draws([str(i) for i in range(200)]))
    assert low["low"] < low["observed"] < low["high"] < high["low"]
    assert (low["predicted"], low["observed"], low["rows"]) == (0.1, 0.1, 100)
    assert (high["predicted"], high["observed"]) == (0.6, 0.3)


def test_a_useless_baseline_stands_beside_the_model():
    one = question()
    flat = figures(question(baselines={"flat": np.zeros(400)}))
    assert flat["auroc"][0] > 0.9
    assert flat["baselines"]["flat"]["auroc"][0] == 0.5
    assert flat["positives"] == one.label.sum()


def test_how_far_the_model_is_ahead_is_judged_on_the_same_patients():
    """A copy of the model is ahead by nothing in every sample, however wide its interval; a worse one lags."""
    one = question()
    noisy = one.probability + np.random.default_rng(1).normal(0, 0.1, 400)
    found = figures(question(baselines={"copy": one.probability, "noisy": noisy}))
    low, high = found["auroc"][1:]
    assert high - low > 0.01
    assert found["baselines"]["copy"]["auroc_ahead"] == [0, 0, 0]
    ahead, least, most = found["baselines"]["noisy"]["auroc_ahead"]
    assert ahead == pytest.approx(found["auroc"][0] - found["baselines"]["noisy"]["auroc"][0], abs=2e-4)
    assert 0 < least < ahead < most


def test_bands_say_what_acting_from_a_threshold_on_means():
    label, probability = np.array([1.0, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.1, 0.2])
    one = Question("x", label, probability, np.arange(5).astype(str))
    bands = figures(one, thresholds={"medium": 0.7, "high": 0.95})["bands"]
    medium = bands["medium"]
    assert [medium[name][0] for name in ("flagged", "sensitivity", "specificity")] == [0.6, 1.0, 0.6667]
    assert medium["positive predictive value"][0] == 0.6667
    assert bands["high"]["positive predictive value"] == [None, None, None]
    assert figures(one)["bands"] == {}


def test_the_interval_of_a_share_is_over_patients():
    draws = Draws(["a", "a", "b", "c"])
    share, low, high = draws.ratio(np.array([1.0, 1, 0, 0]), np.ones(4))
    assert share == 0.5
    assert (low, high) == (0.0, 1.0)


def test_subgroups_with_too_few_outcomes_are_not_shown():
    groups = np.where(np.arange(400) < 390, "many", "few")
    found = figures(question(strata={"size": groups}))["subgroups"]["size"]
    assert list(found) == ["many"]
    assert found["many"]["rows"] == 390


def test_bedside_scores_are_those_of_the_rules():
    values = np.full((2, 44), np.nan, np.float32)
    values[0, :5] = (25, 91, 90, 131, 35.0)  # three points each: 15 of NEWS2 without consciousness and oxygen
    values[1, 2:4] = (90, 80)
    stay = Stay("1", np.array([0, 1], np.float32), values, np.zeros(2, np.float32), 60.0, 1.0)
    (found,) = bedside([stay])
    assert found.news2.tolist() == [15, 12]
    assert found.qsofa.tolist() == [2, 2]
    assert found.shock_index[1] == pytest.approx(80 / 90)
