import numpy as np
import pytest

from models.columns import COLUMNS
from models.training.sequences import sequence
from models.training.trees import FOLDS, PLANS, Trees, TreesPlan, chosen, cross_fitted, summaries
from workers.datasets.stay import Stay

NAN = np.nan
QUICK = TreesPlan(rounds=20, rate=0.3, least=3, share=1.0, by_stay=False)


def events(name, pulses, label=0.0, step_h=1.0):
    values = np.full((len(pulses), len(COLUMNS)), NAN, np.float32)
    values[:, 3], values[:, 0] = pulses, 16
    time_h = (np.arange(len(pulses)) * step_h).astype(np.float32)
    return sequence(Stay(name, time_h, values, np.full(len(pulses), label, np.float32), 60.0, 1.0))


def some(count, seed=0, length=6):
    """Stays in which a fast pulse is what the label says."""
    random = np.random.default_rng(seed)
    return [events(str(i), random.normal(80 + 40 * (i % 2), 5, length), float(i % 2)) for i in range(count)]


class TestSummaries:
    def test_are_what_is_known_at_each_event(self):
        stay = events("1", [80, NAN, 100, 60], step_h=2.0)
        found = summaries(stay, np.array([3]))
        expected = [
            # last, hours since, change, mean, lowest, highest; age, male, hours, events
            [80, 0, NAN, 80, 80, 80, 60, 1, 0, 1],
            [80, 2, NAN, 80, 80, 80, 60, 1, 2, 2],
            [100, 0, 20, 90, 80, 100, 60, 1, 4, 3],
            [60, 0, -40, 80, 60, 100, 60, 1, 6, 4],
        ]
        np.testing.assert_allclose(found, expected)

    def test_know_nothing_of_what_comes_later(self):
        pulses = np.random.default_rng(0).normal(80, 9, 9)
        whole = summaries(events("1", pulses), np.array([3, 0]))
        np.testing.assert_array_equal(summaries(events("1", pulses[:5]), np.array([3, 0])), whole[:5])

    def test_a_column_never_measured_stays_unknown(self):
        assert np.isnan(summaries(events("1", [80, 90]), np.array([9]))[:, :6]).all()


class TestChosen:
    def test_a_stay_with_sepsis_has_all_rows_and_any_other_a_share(self):
        assert len(chosen(events("1", [80] * 200, 1.0), PLANS[0], 0)) == 200
        rows = chosen(events("1", [80] * 200), PLANS[0], 0)
        assert 50 < len(rows) < 110
        assert rows[-1] == 199

    def test_for_death_every_stay_has_a_share(self):
        assert len(chosen(events("1", [80] * 200, 1.0), PLANS[1], 0)) < 40


class TestTrees:
    def test_tell_apart_what_they_were_shown(self):
        trees = Trees(some(20), np.array([0, 3]), QUICK)
        quiet, fast = trees.probability([events("a", [80, 81]), events("b", [121, 119, 120])])
        assert quiet.shape, fast.shape == ((2,), (3,))
        assert quiet.max() < 0.2
        assert fast.min() > 0.8

    def test_without_two_classes_they_give_the_mean(self):
        trees = Trees([events("1", [80, 90]), events("2", [70])], np.array([3]), QUICK)
        assert trees.probability([events("3", [200, 10])])[0].tolist() == [0, 0]


class TestCrossFitting:
    def test_every_row_has_a_probability_from_others(self):
        """One stay contradicts all others: trees that had seen it would know, cross-fitted ones cannot."""
        stays = some(40)
        stays[0] = events("0", [121, 119, 120, 122, 120, 118], 0.0)
        own = Trees(stays, np.array([3]), TreesPlan(rounds=200, rate=0.3, least=1, share=1.0, by_stay=False))
        told = []
        found = cross_fitted(
            stays, np.array([3]), QUICK, lambda what, done, total: told.append((what, done, total)), "t"
        )
        assert [len(one) for one in found] == [len(stay.label) for stay in stays]
        assert found[0].min() > 0.8
        assert own.probability(stays[:1])[0].mean() < found[0].mean()
        assert told == [("vitals, t", k, FOLDS) for k in range(1, FOLDS + 1)]

    @pytest.mark.parametrize("count", [0, 3])
    def test_too_few_patients_have_their_labels_for_a_teacher(self, count):
        stays = some(count)
        for one, stay in zip(cross_fitted(stays, np.array([3]), QUICK), stays, strict=True):
            np.testing.assert_array_equal(one, stay.label)
