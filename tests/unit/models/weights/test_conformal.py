"""Prediction sets keep each class as often as they promise, and never leave out what they know nothing of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.conformal import YES_NO, Conformal, both, fit_yes_no
from models.weights import Manifest, load, save


def drawn(random, count, shares, spread):
    """Labels and softmax-like probabilities, better where spread is larger."""
    label = random.choice(len(shares), count, p=shares)
    logits = random.normal(size=(count, len(shares)))
    logits[np.arange(count), label] += spread
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True), label


class TestCoverage:
    """Of each class alone, at least the promised share is kept."""

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(
        seed=st.integers(0, 10_000),
        coverage=st.sampled_from([0.8, 0.9, 0.95]),
        spread=st.floats(0, 4),
        rare=st.floats(0.02, 0.3),
    )
    def test_is_kept_for_the_rare_class_as_for_the_common_one(self, seed, coverage, spread, rare):
        random = np.random.default_rng(seed)
        shares = [1 - rare - 0.2, 0.2, rare]
        kept = np.zeros(3)
        seen = np.zeros(3)
        for _ in range(200):
            made = Conformal.fit(*drawn(random, 400, shares, spread), ("a", "b", "c"), coverage)
            probability, label = drawn(random, 400, shares, spread)
            inside = made.sets(probability)[np.arange(400), label]
            kept += np.bincount(label[inside], minlength=3)
            seen += np.bincount(label, minlength=3)
        assert (kept / seen > coverage - 0.05).all()  # five standard errors of the rarest class' mean over 200 fits

    def test_follows_the_finite_sample_rule_exactly(self):
        probability = both(np.arange(1, 20) / 20)  # 19 inputs of yes: with 0.9, two of 20 places are unusual
        made = Conformal.fit(probability, np.ones(19, np.int64), YES_NO, 0.9)
        assert made.least["yes"] == pytest.approx(0.10)

    def test_the_input_that_set_the_limit_stays_inside_in_single_precision(self):
        score = np.random.default_rng(0).random(500).astype(np.float32)
        made = fit_yes_no(score, np.ones(500), 0.9)
        assert made.sets(both(score))[:, 1].sum() == 500 - np.floor(501 * 0.1) + 1


class TestSmallClasses:
    """What is too rare to say what is usual for it is never left out."""

    def test_a_class_with_too_few_inputs_always_stays(self):
        made = Conformal.fit(both(np.full(8, 0.9)), np.ones(8, np.int64), YES_NO, 0.9)
        assert made.least["yes"] == 0.0
        assert made.sets(both(np.array([1e-9]))).tolist() == [[True, True]]

    def test_a_class_without_inputs_always_stays(self):
        made = Conformal.fit(both(np.linspace(0, 1, 100)), np.ones(100, np.int64), YES_NO, 0.9)
        assert made.least["no"] == 0.0

    def test_one_input_more_is_enough_to_leave_it_out(self):
        made = Conformal.fit(both(np.full(9, 0.9)), np.ones(9, np.int64), YES_NO, 0.9)
        assert made.sets(both(np.array([0.8])))[0, 1].tolist() is False


class TestSets:
    """What an answer may look like."""

    made = Conformal(coverage=0.9, least={"no": 0.7, "yes": 0.1})

    def test_between_the_limits_both_stay(self):
        assert self.made.sets(both(np.array([0.05, 0.2, 0.8]))).tolist() == [[1, 0], [1, 1], [0, 1]]

    def test_an_input_like_no_class_has_an_empty_set(self):
        sharp = Conformal(coverage=0.9, least={"no": 0.9, "yes": 0.9})
        assert sharp.sets(both(np.array([0.5]))).tolist() == [[False, False]]

    def test_a_row_with_nan_keeps_every_class(self):
        probability = np.array([[0.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
        made = Conformal(coverage=0.9, least=dict.fromkeys("abc", 0.5))
        assert made.sets(probability).tolist() == [[True, True, True], [True, False, False]]

    def test_rows_with_nan_do_not_count_when_fitting(self):
        score = np.append(np.linspace(0.5, 1, 50), np.nan)
        assert fit_yes_no(score, np.ones(51)) == fit_yes_no(score[:50], np.ones(50))


def test_the_manifest_carries_it_through_a_file(tmp_path):
    made = {"sepsis_6h": Conformal(coverage=0.9, least={"no": 0.9871, "yes": 0.0123})}
    save(tmp_path, {}, Manifest(name="vitals", trained=True, conformal=made))
    _, manifest = load(tmp_path)
    assert manifest.conformal == made
    assert list(manifest.conformal["sepsis_6h"].least) == list(YES_NO)
