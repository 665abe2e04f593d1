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
TWO_GROUPS = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 30, axis=0).astype(np.float64)


class TestCollaborativeFiltering:
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=25, deadline=None)
    def test_fold_in_is_the_weighted_ridge_solution(self, seed):
        """Rows sqrt(c_i) v_i against sqrt(c_i) p_i, and sqrt(regularisation) I against 0, solved by least squares."""
        rng = np.random.default_rng(seed)
        factors = rng.normal(size=(10, 3))
        history = rng.integers(0, 3, (4, 10)) * rng.random((4, 10))
        model = CollaborativeFiltering(factors, alpha=3.0, regularisation=0.7)
        for row, folded in zip(history, model.fold_in(history), strict=True):
            root = np.sqrt(1 + 3.0 * row)
            left = np.vstack([root[:, None] * factors, np.sqrt(0.7) * np.eye(3)])
            right = np.concatenate([root * (row > 0), np.zeros(3)])
            np.testing.assert_allclose(folded, np.linalg.lstsq(left, right, rcond=None)[0], atol=1e-9)

    def test_scores_are_patient_times_action_factors(self):
        model = CollaborativeFiltering(RNG.normal(size=(6, 2)))
        history = TWO_GROUPS[:3]
        np.testing.assert_allclose(model.scores(history), model.fold_in(history) @ model.action_factors.T)

    def test_more_rounds_never_raise_the_loss(self):
        interactions = (RNG.random((40, 12)) < 0.3).astype(np.float64)
        losses = [
            CollaborativeFiltering.fit(interactions, factors=4, iterations=n).loss(interactions) for n in range(8)
        ]
        assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(losses))
        assert losses[-1] < losses[0]

    def test_an_unseen_patient_gets_what_went_together_in_others(self):
        model = CollaborativeFiltering.fit(TWO_GROUPS, factors=2)
        scores = model.scores(np.array([[1.0, 0, 0, 0, 0, 0]]))[0]
        assert scores[1:3].min() > 0.3
        assert abs(scores[3:]).max() < 0.1

    def test_factors_of_the_same_rank_rebuild_the_presence_of_actions(self):
        model = CollaborativeFiltering.fit(TWO_GROUPS, factors=2, regularisation=1e-3)
        np.testing.assert_allclose(model.scores(TWO_GROUPS), TWO_GROUPS, atol=0.01)

    def test_no_history_scores_nothing(self):
        model = CollaborativeFiltering.fit(TWO_GROUPS, factors=2)
        assert (model.scores(np.zeros((2, 6))) == 0).all()

    def test_the_same_seed_gives_the_same_factors(self):
        first, second = (CollaborativeFiltering.fit(TWO_GROUPS, factors=2, seed=3).action_factors for _ in range(2))
        assert (first == second).all()

    @pytest.mark.parametrize("bad", [np.array([[-1.0]]), np.array([[np.nan]]), np.array([1.0])])
    def test_interactions_that_are_no_strengths_are_refused(self, bad):
        with pytest.raises(ValueError, match="finite numbers >= 0"):
            CollaborativeFiltering.fit(bad)

    @pytest.mark.parametrize("bad", [{"alpha": 0}, {"regularisation": 0}])
    def test_a_problem_without_unique_solution_is_refused(self, bad):
        with pytest.raises(ValueError, match="above 0"):
            CollaborativeFiltering(np.zeros((2, 1)), **bad)


class TestContentFilter:
    def test_score_is_the_cosine_of_standardised_features_and_profile(self):
        model = ContentFilter(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([[3.0, 4.0]]))
        z = np.array([1.0, -1.0])  # (3 - 1) / 2, (-2 - 2) / 4
        expected = z @ [0.6, 0.8] / np.linalg.norm(z)
        np.testing.assert_allclose(model.scores(np.float32([[3.0, -2.0]])), [[expected]])

    def test_profiles_point_to_the_patients_of_an_action(self):
        features = np.float32([[120, 37], [125, np.nan], [70, 37], [75, 36.5]])
        indicated = np.float64([[1, 0], [1, 0], [0, 1], [0, 1]])
        scores = ContentFilter.fit(features, indicated).scores(np.float32([[130, np.nan]]))[0]
        assert scores[0] > 0.5 > -0.5 > scores[1]

    def test_standardised_features_have_mean_zero_and_deviation_one_where_known(self):
        features = RNG.normal(5, 3, (500, 2))
        features[::3, 1] = np.nan
        z = ContentFilter.fit(features, np.ones((500, 1))).standardise(features)
        known = ~np.isnan(features)
        for column in range(2):
            values = np.clip(z[known[:, column], column], -FARTHEST, FARTHEST)
            assert values.mean() == pytest.approx(0, abs=0.01)
            assert values.std() == pytest.approx(1, abs=0.02)

    def test_an_unknown_feature_says_nothing(self):
        model = ContentFilter(np.zeros(2), np.ones(2), np.eye(2))
        assert model.scores(np.float32([[1, np.nan]])).tolist() == [[1, 0]]
        assert model.scores(np.float32([[np.nan, np.nan]])).tolist() == [[0, 0]]

    def test_one_extreme_value_does_not_decide_alone(self):
        model = ContentFilter(np.zeros(2), np.ones(2), np.eye(2))
        assert (model.scores(np.float32([[1e30, 4]]))[0] > 0.5).all()

    def test_a_constant_or_never_known_feature_does_not_divide_by_zero(self):
        model = ContentFilter.fit(np.float32([[1, np.nan], [1, np.nan]]), np.ones((2, 1)))
        assert np.isfinite(model.scores(np.float32([[5, 5]]))).all()

    def test_a_scale_of_zero_is_refused(self):
        with pytest.raises(ValueError, match="scale above 0"):
            ContentFilter(np.zeros(1), np.zeros(1), np.zeros((1, 1)))


class TestHybrid:
    content = ContentFilter(np.zeros(2), np.ones(2), RNG.normal(size=(6, 2)))
    by_history = CollaborativeFiltering.fit(TWO_GROUPS, factors=2)

    def test_score_is_the_weighted_sum_of_both(self):
        hybrid = Hybrid(self.content, self.by_history, 0.25, 2.0)
        history, features = TWO_GROUPS[:4], RNG.normal(size=(4, 2))
        expected = 0.25 * self.content.scores(features) + 2.0 * self.by_history.scores(history)
        np.testing.assert_allclose(hybrid.scores(history, features), expected)

    def test_each_serves_alone_where_the_other_knows_nothing(self):
        hybrid = Hybrid(self.content, self.by_history)
        nothing_known, no_history = np.full((1, 2), np.nan), np.zeros((1, 6))
        assert (hybrid.scores(no_history, np.ones((1, 2))) != 0).any()
        assert (hybrid.scores(TWO_GROUPS[:1], nothing_known) != 0).any()
        assert (hybrid.scores(no_history, nothing_known) == 0).all()

    def test_the_collaborative_part_stays_within_its_weight(self):
        factors = np.array([[0.1], [5.0]])
        wild = CollaborativeFiltering(factors, alpha=1000.0)
        history = np.array([[1.0, 0.0]])
        assert abs(wild.scores(history)).max() > 1
        content = ContentFilter(np.zeros(1), np.ones(1), np.zeros((2, 1)))
        assert abs(Hybrid(content, wild, 1.0, 0.5).parts(history, np.zeros((1, 1)))[1]).max() == 0.5

    def test_recommenders_of_different_catalogues_are_refused(self):
        with pytest.raises(ValueError, match="content knows 6 actions, collaborative 2"):
            Hybrid(self.content, CollaborativeFiltering(np.zeros((2, 1))))
