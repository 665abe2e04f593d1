"""How far answers move a ranker, and what they leave alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from models.bundle import ARTEFACTS, build_ranker
from models.clinical.actions import Catalogue, Evaluation
from models.clinical.truth import FALSE, TRUE
from models.columns import COLUMNS, INDEX
from models.recommend.ranker import Ranker
from models.recommend.recommenders import ACCEPTANCE
from models.training.answers import LEAST_PATIENTS, Answers, Strength, learn, learned_score
from models.training.learning import AFTER, BEFORE, GAIN, figures, learn_ranker
from models.training.split import TooFewError
from models.weights import WeightsError, load

CATALOGUE = Catalogue.load()
ACTIONS = len(CATALOGUE.actions)
STATE, MANIFEST = load(ARTEFACTS / "ranker")
SHIPPED = build_ranker(STATE, ARTEFACTS)
PULSE = INDEX["pulse"]
FILM, BLOODS, LACTATE = (CATALOGUE.index[name] for name in ("cxr-urgent", "bloods-core", "lactate"))
CULTURES = CATALOGUE.index["blood-cultures"]  # never indicated in training


def answers(rows: list[tuple[str, int, bool]], pulse: list[float] | None = None) -> Answers:
    """(patient, action, relevant), each of a recommendation of its own."""
    count = len(rows)
    features = np.full((count, len(COLUMNS)), np.nan, np.float32)
    if pulse is not None:
        features[:, PULSE] = pulse
    return Answers(
        np.array([row[0] for row in rows]), np.arange(count), np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]), np.zeros((count, ACTIONS), np.float32), features,
    )  # fmt: skip


def many(count: int, seed: int = 0) -> Answers:
    """Films are liked, bloods are not; lactate is with a quick pulse."""
    rng = np.random.default_rng(seed)
    pulse = rng.uniform(60, 140, count)
    action = rng.choice([FILM, BLOODS, LACTATE], count)
    likely = np.select([action == FILM, action == BLOODS], [0.9, 0.1], np.where(pulse > 100, 0.9, 0.1))
    relevant = rng.random(count) < likely
    rows = list(zip([f"bed-{n % 97}" for n in range(count)], action.tolist(), relevant.tolist(), strict=True))
    return answers(rows, pulse.tolist())


def acceptance(ranker: Ranker) -> np.ndarray:
    return ranker.recommenders.hybrid.acceptance


class TestLearning:
    def test_finds_a_planted_preference_and_what_it_depends_on(self):
        after = learn(SHIPPED, many(600))
        assert acceptance(after)[FILM] > 0.2
        assert acceptance(after)[BLOODS] < -0.2
        quick, slow = learned_score(after, answers([("a", LACTATE, True)] * 2, [135.0, 65.0]))
        quick_before, slow_before = learned_score(SHIPPED, answers([("a", LACTATE, True)] * 2, [135.0, 65.0]))
        assert quick - slow > quick_before - slow_before + 0.3

    def test_ranks_as_the_answers_said(self):
        rules = Evaluation(np.full((1, ACTIONS), FALSE), np.full((1, ACTIONS), FALSE))
        rules.indicated[0, [FILM, BLOODS]] = TRUE
        blank = np.zeros((1, ACTIONS), np.float32), np.full((1, len(COLUMNS)), np.nan, np.float32)
        for liked, disliked in ((FILM, BLOODS), (BLOODS, FILM)):
            rows = [(f"p{n}", action, action == liked) for n in range(30) for action in (liked, disliked)]
            order = learn(SHIPPED, answers(rows)).rank(rules, np.float32([np.nan]), *blank).order[0]
            assert order.tolist() == [liked, disliked]

    @pytest.mark.parametrize("action", [FILM, CULTURES])
    def test_few_answers_move_little_and_many_move_much(self, action):
        def moved(count: int) -> float:
            """One action is always relevant, another never: the average is a half."""
            rows = [(f"p{n}", each, each == action) for n in range(count) for each in (action, BLOODS)]
            return float(acceptance(learn(SHIPPED, answers(rows)))[action])

        assert 0 < moved(5) < moved(20) < moved(200) <= 0.51
        assert moved(5) == pytest.approx(0.5 * 5 / (5 + Strength().acceptance), abs=0.02)

    def test_an_action_moves_only_from_several_patients_on(self):
        rows = [(f"p{n % (LEAST_PATIENTS - 1)}", FILM, True) for n in range(50)]
        others = [(f"p{n}", BLOODS, False) for n in range(LEAST_PATIENTS)]
        after = learn(SHIPPED, answers(rows + others))
        assert acceptance(after)[FILM] == 0.0
        assert acceptance(after)[BLOODS] < 0.0

    def test_what_nobody_answered_stays_as_it_is_and_so_does_all_else(self):
        after = learn(SHIPPED, many(600)).state_dict()
        answered = np.isin(np.arange(ACTIONS), [FILM, BLOODS, LACTATE])
        before = SHIPPED.state_dict() | {ACCEPTANCE: after[ACCEPTANCE] * 0}
        assert before.keys() == after.keys()
        by_action = {"content.weights", "collaborative.item_factors", ACCEPTANCE}
        for name, tensor in after.items():
            same = (tensor.numpy() == before[name].numpy()).reshape(len(tensor), -1).all(axis=1)
            assert (same == ~answered).all() if name in by_action - {"collaborative.item_factors"} else same.all(), name

    def test_history_moves_the_factors_of_the_item(self):
        made = many(300)
        made.history[:, :6] = np.random.default_rng(1).random((300, 6)) < 0.5
        after = learn(SHIPPED, made).state_dict()["collaborative.item_factors"]
        moved = (after != STATE["collaborative.item_factors"]).any(dim=1).numpy()
        assert np.flatnonzero(moved).tolist() == sorted([FILM, BLOODS, LACTATE])

    def test_the_order_of_answers_changes_nothing_that_shows(self):
        made = many(200)
        turned = learn(SHIPPED, made.of(np.arange(200)[::-1]))
        np.testing.assert_allclose(acceptance(turned), acceptance(learn(SHIPPED, made)), atol=1e-12)

    def test_goes_on_from_what_was_learned_before(self):
        first = learn(SHIPPED, many(100))
        assert acceptance(learn(first, many(600, seed=1)))[FILM] > acceptance(first)[FILM]


class TestVersion:
    def test_is_measured_on_patients_that_it_did_not_learn_from(self):
        lesson = learn_ranker(SHIPPED, MANIFEST, many(900))
        metrics = lesson.trained.manifest.metrics
        assert metrics["answers_learned_from"] + metrics["answers_held_out"] == 900
        assert metrics[AFTER]["auroc"][0] > metrics[BEFORE]["auroc"][0] + 0.1
        value, low, high = metrics[GAIN]["auroc"]
        assert low < value < high
        assert value == pytest.approx(metrics[AFTER]["auroc"][0] - metrics[BEFORE]["auroc"][0], abs=2e-4)

    def test_is_a_ranker_that_loads_and_says_where_it_came_from(self):
        lesson = learn_ranker(SHIPPED, MANIFEST, many(300))
        loaded = build_ranker(lesson.trained.state, ARTEFACTS)
        assert (acceptance(loaded) == acceptance(lesson.ranker)).all()
        assert lesson.trained.manifest.config["learned"]["from"] == MANIFEST.version
        assert not lesson.trained.manifest.built_on  # it reads no other model's results

    def test_takes_a_pair_of_one_list_and_urgency_as_a_pair(self):
        made = answers([("a", FILM, True), ("a", BLOODS, False), ("a", CATALOGUE.index["med-review"], False)])
        one_list = Answers(
            *(np.zeros(3, np.int64) if f.name == "shown" else getattr(made, f.name) for f in fields(made))
        )
        after = learn(SHIPPED, many(300))
        found = figures(SHIPPED, after, one_list)
        assert found["pairs_held_out"] == 1  # medication review is of another urgency
        assert found[AFTER]["above"][0] == 1.0

    def test_too_few_answers_are_refused_with_numbers(self):
        with pytest.raises(TooFewError, match=r"there are 1\d answers, .*it takes 40 answers, 10 relevant"):
            learn_ranker(SHIPPED, MANIFEST, many(18))

    def test_a_tensor_of_acceptance_that_is_none_is_refused(self):
        for wrong in (STATE["content.usual"][:3], STATE["content.usual"] * 0 + 2.0):
            with pytest.raises(WeightsError, match="acceptance must be 46 numbers"):
                build_ranker(STATE | {ACCEPTANCE: wrong}, ARTEFACTS)
