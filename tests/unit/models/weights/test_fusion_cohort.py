"""The constructed cohort tells no more than its stated chances, and fusing it is never worse than its best part."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from models.bundle import load_bundle
from models.evaluation.figures import Question
from models.evaluation.fusion import CASES, fusion_questions
from models.fusion import LateFusion
from models.training.cohort import EARLIER, Hours, Pool, pair
from models.training.fusion import FusionPlan, train_fusion
from models.training.metrics import auroc

EQUAL = (0.5, 0.5)


def pool(seed: int, *, told: float = 1.0, noise: float = 0.5, count: int = 300) -> Pool:
    """Embeddings whose first number says whether they are raised, if `told` is above 0."""
    random = np.random.default_rng(seed)
    raised = random.random(count) < 0.5
    embedding = random.normal(0, noise, (count, 32)).astype(np.float32)
    embedding[:, 0] += told * raised
    return Pool(embedding, raised)


def hours(seed: int, stays: int = 600, length: int = 10) -> Hours:
    random = np.random.default_rng(seed)
    label = (np.arange(stays) % 10 == 0).astype(np.float32)
    logit = np.repeat(-2.7 + label + random.normal(0, 0.8, stays), length) + random.normal(0, 0.5, stays * length)
    name = np.repeat([f"p{i}" for i in range(stays)], length)
    return Hours(logit.astype(np.float32), np.repeat(label, length), name)


def trained(notes: float, films: float):
    parts = ("training", "validation", "test")
    made = train_fusion(
        {part: hours(i) for i, part in enumerate(parts)},
        {part: pool(10 + i, told=notes) for i, part in enumerate(parts)},
        {part: pool(20 + i, told=films) for i, part in enumerate(parts)},
        FusionPlan(repeats=2, steps=6),
    )
    network = LateFusion().eval().requires_grad_(False)
    network.load_state_dict(made.state)
    return made, network


@cache
def of_useless_notes():
    return trained(notes=0.0, films=1.5)


class TestPairing:
    def test_is_the_same_for_the_same_seed_and_another_for_another(self):
        one, same, other = (pair(hours(0), pool(1), pool(2), 500, seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(one.note, same.note)
        np.testing.assert_array_equal(one.image, same.image)
        assert (one.logit != other.logit).any()

    def test_draws_by_the_label_with_the_stated_chances(self):
        made = pair(hours(0), pool(1, told=100), pool(2, told=100), 6000, 0, note_if=(0.2, 0.7), image_if=(0.4, 0.6))
        for embedding, chances in ((made.note, (0.2, 0.7)), (made.image, (0.4, 0.6))):
            raised = embedding[:, 0] > 50
            for label in (0, 1):
                assert raised[made.label == label].mean() == pytest.approx(chances[label], abs=0.08)

    @pytest.mark.parametrize("seed", range(5))
    def test_of_equal_chances_tells_nothing_of_the_label(self, seed):
        made = pair(hours(seed), pool(1, told=5), pool(2, told=5), 6000, seed, note_if=EQUAL, image_if=EQUAL)
        for embedding in (made.note, made.image):
            for column in range(3):
                told = auroc(made.label.astype(float), embedding[:, column].astype(float), np.ones(len(made.label)))
                assert told == pytest.approx(0.5, abs=0.06)  # 600 positives: a standard error of 0.012

    def test_refuses_a_pool_of_one_kind(self):
        flat = Pool(np.zeros((5, 32), np.float32), np.ones(5, bool))
        with pytest.raises(ValueError, match="films of both kinds"):
            pair(hours(0), pool(1), flat, 10, 0)

    def test_stale_vitals_are_those_of_the_same_stay(self):
        one = hours(0, stays=2, length=10)
        before = one.earlier()
        assert np.isnan(before[[0, EARLIER - 1, 10, 10 + EARLIER - 1]]).all()
        np.testing.assert_array_equal(before[EARLIER:10], one.logit[: 10 - EARLIER])


class TestGates:
    def test_a_modality_that_does_not_help_weighs_nothing(self):
        made, network = of_useless_notes()
        gates = made.manifest.metrics["gates"]
        assert gates["notes"]["scale"] == 0.0
        assert gates["imaging"]["scale"] > 0.0
        assert gates["imaging"]["validation_auroc_gain"][1] > 0.0
        cohort = pair(hours(7), pool(8), pool(9), 500, 0)
        logit, shares = network(*cohort.inputs(np.array([True, True, False])))
        np.testing.assert_allclose(logit.numpy(), cohort.logit, atol=1e-5)
        np.testing.assert_array_equal(shares.numpy()[:, 1], 0)

    def test_one_that_helps_raises_the_held_out_figure(self):
        figures = of_useless_notes()[0].manifest.metrics
        fused, alone = (figures[f"constructed_cohort_{name}"]["auroc"][0] for name in ("fused", "vitals_only"))
        assert fused > alone + 0.003

    def test_of_films_read_too_surely_in_training_the_evidence_is_tempered(self):
        noise = {"training": 0.5, "validation": 0.8, "test": 0.8}
        parts = {part: pool(20 + i, told=4.0, noise=width) for i, (part, width) in enumerate(noise.items())}
        same = {part: pool(10 + i) for i, part in enumerate(parts)}
        made = train_fusion(
            {part: hours(i) for i, part in enumerate(parts)}, same, parts, FusionPlan(repeats=2, steps=6)
        )
        assert 0 < made.manifest.metrics["gates"]["imaging"]["scale"] < 1
        assert made.manifest.metrics["constructed_cohort_fused"]["ece"][0] < 0.03

    def test_bands_and_prediction_sets_follow_the_risk(self):
        manifest = of_useless_notes()[0].manifest
        assert manifest.conformal["sepsis_6h"].least["yes"] > 0
        assert 0 < manifest.thresholds["sepsis_6h"].medium < manifest.thresholds["sepsis_6h"].high < 1


class TestEvaluation:
    def test_asks_for_every_case_and_is_never_worse_than_the_best_single_modality(self):
        made, network = of_useless_notes()
        manifests = load_bundle().manifests | {"fusion": made.manifest}
        bundle = replace(load_bundle(), fusion=network, manifests=manifests)
        *questions, summary = fusion_questions(bundle, pair(hours(7), pool(8, told=0), pool(9, told=1.5), 4000, 0))
        assert [q.name for q in questions if isinstance(q, Question)] == [
            f"constructed cohort, {case.name}" for case in CASES
        ]
        assert "constructed cohort" in summary.name
        for question in questions:
            difference = question.extra["AUROC, fused minus best single"]
            assert difference[0] >= 0
            assert difference[0] == summary.figures[question.name]["AUROC, fused minus best single"][0]
        alone = questions[0]
        assert alone.extra["AUROC, fused minus best single"] == [0.0, 0.0, 0.0]
