"""Recall and NDCG against values worked out by hand; intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.ranking_figures import figures, gains


class TestGains:
    def test_by_hand(self):
        score = np.array([[9.0, 5, 4, 3, 2, 1]])
        candidate = np.array([[False, True, True, True, True, True]])
        wanted = np.array([[False, False, True, False, False, True]])
        got = gains(score, candidate, wanted, at=(1, 3, 5))  # order 1, 2, 3, 4, 5: the second and the fifth are wanted
        assert [got[f"recall@{k}"].tolist() for k in (1, 3, 5)] == [[0.0], [0.5], [1.0]]
        best = 1 + 1 / np.log2(3)
        assert got["ndcg@1"].tolist() == [0.0]
        assert got["ndcg@3"][0] == pytest.approx((1 / np.log2(3)) / best)
        assert got["ndcg@5"][0] == pytest.approx((1 / np.log2(3) + 1 / np.log2(6)) / best)

    def test_more_wanted_than_looked_at(self):
        wanted = np.array([[True, True, True, False]])
        got = gains(np.array([[4.0, 3, 2, 1]]), np.ones_like(wanted), wanted, at=(1, 2))
        assert got["recall@1"][0] == pytest.approx(1 / 3)
        assert got["recall@2"][0] == pytest.approx(2 / 3)
        assert got["ndcg@2"].tolist() == [1.0]  # no order of two could gain more

    def test_ties_go_to_the_earlier_column(self):
        wanted = np.array([[False, True], [True, False]])
        got = gains(np.ones((2, 2)), np.ones_like(wanted), wanted, at=(1,))
        assert got["recall@1"].tolist() == [0.0, 1.0]

    def test_fewer_items_than_looked_at(self):
        wanted = np.array([[False, True]])
        got = gains(np.array([[2.0, 1.0]]), np.ones_like(wanted), wanted, at=(5,))
        assert got["recall@5"].tolist() == [1.0]
        assert got["ndcg@5"][0] == pytest.approx(1 / np.log2(3))

    def test_the_best_order_gains_everything(self):
        random = np.random.default_rng(0)
        wanted = random.random((50, 9)) < 0.3
        wanted[:, 0] = True
        got = gains(wanted.astype(float), np.ones_like(wanted), wanted)
        assert got["ndcg@5"] == pytest.approx(np.ones(50))


class TestFigures:
    def test_intervals_are_over_patients_not_rows(self):
        random = np.random.default_rng(0)
        each = random.random(40)
        once = figures({"m": {"x": each}}, [str(i) for i in range(40)])["m"]["x"]
        often = figures({"m": {"x": np.repeat(each, 50)}}, [str(i) for i in range(40) for _ in range(50)])["m"]["x"]
        assert often == pytest.approx(once, abs=1e-9)

    def test_difference_and_ratio_are_of_the_means_on_the_same_patients(self):
        ours, theirs = np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.25, 0.0])
        found = figures({"a": {"x": ours}, "b": {"x": theirs}}, ["1", "2", "3"], against=("a", "b"))
        assert found["a minus b"]["x"][0] == 0.25
        assert found["a over b"]["x"] == [2.0, 2.0, 2.0]  # in every sample of patients

    def test_nothing_to_divide_by_gives_no_ratio(self):
        found = figures({"a": {"x": np.ones(2)}, "b": {"x": np.zeros(2)}}, ["1", "2"], against=("a", "b"))
        assert found["a over b"]["x"] == [None, None, None]
