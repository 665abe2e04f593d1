"""Collaborative, content and hybrid filtering against their closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import FARTHEST, ContentFilter
from models.recommend.hybrid import Hybrid

RNG = np.random.default_rng(7)
TWO_GROUPS = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 30, axis=0).astype(np.float64)
FOLLOWS = np.repeat([[1, 0, 0], [0, 1, 1]], 30, axis=0).astype(np.float64)
"""What came next to the patients of `TWO_GROUPS`."""


def factorised(seed: int = 0, items: int = 6) -> CollaborativeFiltering:
    rng = np.random.default_rng(seed)
    shapes = (10, 3), (items, 3), (3,)
    return CollaborativeFiltering(*(rng.normal(size=shape) for shape in shapes), alpha=3.0, regularisation=0.7)


class TestCollaborativeFiltering:
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=25, deadline=None)
    def test_fold_in_is_the_weighted_ridge_solution(self, seed):
        """Rows sqrt(c_i) v_i against sqrt(c_i) p_i, and sqrt(regularisation) I against 0, solved by least squares."""
        rng = np.random.default_rng(seed)
        model = factorised(seed)
        history = rng.integers(0, 3, (4, 10)) * rng.random((4, 10))
        factors = np.vstack((model.everyone, model.history_factors))
        for row, folded in zip(history, model.fold_in(history), strict=True):
            strength = np.concatenate(([1.0], row))
            root = np.sqrt(1 + 3.0 * strength)
            left = np.vstack([root[:, None] * factors, np.sqrt(0.7) * np.eye(3)])
            right = np.concatenate([root * (strength > 0), np.zeros(3)])
            np.testing.assert_allclose(folded, np.linalg.lstsq(left, right, rcond=None)[0], atol=1e-9)

    def test_scores_are_patient_times_item_factors(self):
        model = factorised()
        history = (RNG.random((3, 10)) < 0.4).astype(float)
        np.testing.assert_allclose(model.scores(history), model.fold_in(history) @ model.item_factors.T)

    def test_more_patients_and_columns_than_are_solved_at_once_change_nothing(self, monkeypatch):
        history = (RNG.random((50, 10)) < 0.4).astype(float)
        whole = factorised().scores(history)
        monkeypatch.setattr("models.recommend.collaborative._BLOCK", 7)
        np.testing.assert_allclose(factorised().scores(history), whole, atol=1e-12)

    def test_more_rounds_never_raise_the_loss(self):
        history, target = ((RNG.random((40, width)) < 0.3).astype(float) for width in (12, 7))
        candidate = RNG.random((40, 7)) < 0.8
        rounds = CollaborativeFiltering.rounds(history, target, candidate, factors=4, iterations=8)
        losses = [model.loss(history, target, candidate) for model in rounds]
        assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(losses))
        assert losses[-1] < losses[0]

    def test_what_could_not_come_next_teaches_nothing(self):
        history, target = (RNG.random((40, 5)) < 0.3).astype(float), RNG.random((40, 4)) < 0.3
        candidate = RNG.random((40, 4)) < 0.7
        plan = {"factors": 2, "item_regularisation": 1.0}
        with_it = CollaborativeFiltering.fit(history, target, candidate, **plan)
        without = CollaborativeFiltering.fit(history, target & candidate, candidate, **plan)
        as_absent = CollaborativeFiltering.fit(history, target & candidate, **plan)
        np.testing.assert_array_equal(with_it.scores(history), without.scores(history))
        assert abs(with_it.scores(history) - as_absent.scores(history)).max() > 1e-3

    def test_an_unseen_patient_gets_what_followed_in_others(self):
        model = CollaborativeFiltering.fit(TWO_GROUPS, FOLLOWS, factors=2, item_regularisation=1.0, regularisation=1.0)
        scores = model.scores(np.array([[1.0, 0, 0, 0]]))[0]
        assert scores[0] > 0.5 > scores[1:].max()

    def test_without_history_the_common_item_goes_first(self):
        target = np.array([[1, 0], [1, 0], [1, 0], [0, 1]] * 20, float)
        model = CollaborativeFiltering.fit(np.zeros((80, 3)), target, factors=2)
        usual = model.scores(np.zeros((1, 3)))[0]
        assert usual[0] > usual[1] > 0
        np.testing.assert_allclose(model.usual, usual)

    def test_the_same_seed_gives_the_same_factors(self):
        fit = lambda: CollaborativeFiltering.fit(TWO_GROUPS, FOLLOWS, factors=2, seed=3)
        assert (fit().item_factors == fit().item_factors).all()
        assert (fit().history_factors == fit().history_factors).all()

    @pytest.mark.parametrize("bad", [np.array([[-1.0]]), np.array([[np.nan]])])
    def test_histories_that_are_no_strengths_are_refused(self, bad):
        with pytest.raises(ValueError, match="finite numbers >= 0"):
            CollaborativeFiltering.fit(bad, np.ones((1, 1)))

    @pytest.mark.parametrize("bad", [{"alpha": 0}, {"regularisation": 0}])
    def test_a_problem_without_unique_solution_is_refused(self, bad):
        with pytest.raises(ValueError, match="above 0"):
            CollaborativeFiltering(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(1), **bad)


class TestContentFilter:
    def test_terms_are_the_standardised_feature_and_its_excess_on_either_side(self):
        model = ContentFilter(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.zeros((1, 6)), np.zeros(1))
        terms = model.terms(np.float32([[6.0, -6.0]]))[0]  # 2.5 deviations above, 2 below
        assert terms.tolist() == [2.5, -2.0, 1.5, 0.0, 0.0, 1.0]

    def test_score_is_the_usual_chance_and_what_the_terms_add(self):
        model = ContentFilter(np.zeros(1), np.ones(1), np.array([[0.1, 0.2, 0.4]]), np.array([0.3]))
        np.testing.assert_allclose(model.scores(np.float32([[2.0], [-3.0]])), [[0.3 + 0.2 + 0.2], [0.3 - 0.3 + 0.8]])

    def test_weights_are_the_ridge_solution_over_those_for_whom_the_item_could_come(self):
        features, target = RNG.normal(size=(60, 2)), RNG.random((60, 2)) < 0.4
        candidate = RNG.random((60, 2)) < 0.7
        model = ContentFilter.fit(features, target & candidate, candidate, regularisation=2.0)
        terms = model.terms(features)
        for item in range(2):
            rows = candidate[:, item]
            design = np.column_stack((terms[rows], np.ones(rows.sum())))
            penalty = np.sqrt(2.0) * np.eye(7)[:6]
            left, right = np.vstack((design, penalty)), np.concatenate((target[rows, item], np.zeros(6)))
            solution = np.linalg.lstsq(left, right, rcond=None)[0]
            np.testing.assert_allclose([*model.weights[item], model.usual[item]], solution, atol=1e-9)

    def test_features_point_to_the_items_they_precede(self):
        features = np.float32([[120, 37], [125, np.nan], [70, 37], [75, 36.5]] * 20)
        came = np.float64([[1, 0], [1, 0], [0, 1], [0, 1]] * 20)
        scores = ContentFilter.fit(features, came, regularisation=1.0).scores(np.float32([[130, np.nan]]))[0]
        assert scores[0] > 0.8 > 0.2 > scores[1]

    def test_standardised_features_have_mean_zero_and_deviation_one_where_known(self):
        features = RNG.normal(5, 3, (500, 2))
        features[::3, 1] = np.nan
        z = ContentFilter.fit(features, np.ones((500, 1))).terms(features)[:, :2]
        known = ~np.isnan(features)
        for column in range(2):
            values = np.clip(z[known[:, column], column], -FARTHEST, FARTHEST)
            assert values.mean() == pytest.approx(0, abs=0.01)
            assert values.std() == pytest.approx(1, abs=0.02)

    def test_an_unknown_feature_says_nothing(self):
        model = ContentFilter(np.zeros(2), np.ones(2), np.hstack((np.eye(2), np.zeros((2, 4)))), np.zeros(2))
        assert model.parts(np.float32([[1, np.nan]])).tolist() == [[1, 0]]
        assert model.parts(np.float32([[np.nan, np.nan]])).tolist() == [[0, 0]]

    def test_one_extreme_value_does_not_decide_alone(self):
        model = ContentFilter(np.zeros(2), np.ones(2), np.hstack((np.eye(2), np.zeros((2, 4)))), np.zeros(2))
        assert model.parts(np.float32([[1e30, 4]])).tolist() == [[FARTHEST, FARTHEST]]

    def test_a_constant_or_never_known_feature_does_not_divide_by_zero(self):
        model = ContentFilter.fit(np.float32([[1, np.nan], [1, np.nan]]), np.ones((2, 1)))
        assert np.isfinite(model.scores(np.float32([[5, 5]]))).all()

    def test_an_item_that_never_came_has_no_score(self):
        target = np.column_stack((np.ones(20), np.zeros(20)))
        model = ContentFilter.fit(RNG.normal(size=(20, 2)), target, RNG.random((20, 2)) < 0.9)
        assert (model.scores(RNG.normal(size=(5, 2)))[:, 1] == 0).all()

    def test_a_scale_of_zero_is_refused(self):
        with pytest.raises(ValueError, match="scale above 0"):
            ContentFilter(np.zeros(1), np.zeros(1), np.zeros((1, 3)), np.zeros(1))

    def test_weights_of_another_shape_are_refused(self):
        with pytest.raises(ValueError, match="shape"):
            ContentFilter(np.zeros(2), np.ones(2), np.zeros((1, 3)), np.zeros(1))


class TestHybrid:
    content = ContentFilter(np.zeros(2), np.ones(2), RNG.normal(0, 0.05, size=(6, 6)), RNG.random(6))
    by_history = factorised()
    history = (np.random.default_rng(1).random((4, 10)) < 0.5).astype(float)

    def test_score_is_what_is_usual_and_the_weighted_parts(self):
        hybrid = Hybrid(self.content, self.by_history, 0.25, 2.0)
        features = RNG.normal(size=(4, 2))
        by_history = np.clip(self.by_history.scores(self.history) - self.by_history.scores(np.zeros((1, 10))), -1, 1)
        expected = self.content.usual + 0.25 * self.content.parts(features) + 2.0 * by_history
        np.testing.assert_allclose(hybrid.scores(self.history, features), expected)

    def test_each_serves_alone_where_the_other_knows_nothing(self):
        hybrid = Hybrid(self.content, self.by_history)
        nothing_known, no_history = np.full((1, 2), np.nan), np.zeros((1, 10))
        by_content, by_history = hybrid.parts(no_history, np.ones((1, 2)))
        assert (by_content != 0).any()
        assert (by_history == 0).all()
        by_content, by_history = hybrid.parts(self.history[:1], nothing_known)
        assert (by_content == 0).all()
        assert (by_history != 0).any()
        assert (hybrid.scores(no_history, nothing_known) == self.content.usual).all()

    def test_each_part_stays_within_its_weight(self):
        wild = CollaborativeFiltering(
            np.array([[0.1]]), np.array([[9.0], [-9.0]]), np.zeros(1), alpha=1e3, regularisation=0.01
        )
        history = np.ones((1, 1))
        assert abs(wild.scores(history)).max() > 1
        content = ContentFilter(np.zeros(1), np.ones(1), np.array([[5.0, 0, 0], [-5.0, 0, 0]]), np.zeros(2))
        by_content, by_history = Hybrid(content, wild, 0.25, 0.5).parts(history, np.ones((1, 1)))
        assert by_content.tolist() == [[0.25, -0.25]]
        assert by_history.tolist() == [[0.5, -0.5]]

    def test_recommenders_of_different_catalogues_are_refused(self):
        with pytest.raises(ValueError, match="content knows 6 items, collaborative 2"):
            Hybrid(self.content, factorised(items=2))
