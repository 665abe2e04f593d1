import numpy as np
import pytest

from workers.datasets.urine import USUAL_KG, urine_rate


def rate(*volumes, weights=((0, 50.0),)):
    minute, ml = (np.array(column) for column in zip(*volumes, strict=True))
    at, kg = (np.array(column) for column in zip(*weights, strict=True))
    return urine_rate(minute, ml.astype(np.float32), at, kg.astype(np.float32))


def test_a_volume_counts_for_the_time_since_the_one_before():
    np.testing.assert_allclose(rate((0, 900), (60, 50), (180, 50)), [np.nan, 1.0, 0.5])


def test_two_bags_at_one_minute_add_up():
    np.testing.assert_allclose(rate((0, 0), (60, 30), (60, 20)), [np.nan, np.nan, 1.0])


def test_volumes_close_together_count_with_the_next():
    np.testing.assert_allclose(rate((0, 0), (10, 20), (60, 30)), [np.nan, np.nan, 1.0])


def test_after_a_long_gap_the_rate_is_unknown():
    np.testing.assert_allclose(rate((0, 0), (14 * 60, 900), (15 * 60, 50)), [np.nan, np.nan, 1.0])


def test_a_weight_counts_from_when_it_was_noted():
    found = rate((0, 0), (60, 100), (120, 100), weights=((90, 50.0),))
    np.testing.assert_allclose(found, [np.nan, 100 / USUAL_KG, 2.0])


@pytest.mark.parametrize("kg", [-1.0, 4.0, 472.0])
def test_an_impossible_weight_counts_as_none(kg):
    assert rate((0, 0), (60, 80), weights=((0, kg),))[1] == pytest.approx(1.0)


@pytest.mark.parametrize("ml", [-10, 20_000])
def test_an_impossible_volume_gives_no_rate(ml):
    assert np.isnan(rate((0, 0), (60, ml))).all()
