"""What no score may do: drop, demote or hide a rule's action, or list a blocked one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.actions import Catalogue, Evaluation
from models.clinical.truth import FALSE, TRUE, UNKNOWN
from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.hybrid import Hybrid
from models.recommend.ranker import ADDED_BY_RISK, NO_CHANGE, Ranker, RankerWeights
from models.recommend.recommenders import Recommenders

CATALOGUE = Catalogue.load()
ACTIONS = len(CATALOGUE.actions)
FEATURES = 5
URGENCY = np.array([action.urgency_rank for action in CATALOGUE.actions])
NO_CHANGE_COLUMN = CATALOGUE.index[NO_CHANGE]
ADDED = [CATALOGUE.index[name] for name in ADDED_BY_RISK]


def fitted(history: np.ndarray, target: np.ndarray, features: np.ndarray, *weights: float) -> Recommenders:
    content = ContentFilter.fit(features, target)
    hybrid = Hybrid(content, CollaborativeFiltering.fit(history, target), *weights)
    return Recommenders.of(hybrid, history, target, np.ones_like(target))


def learned(seed: int = 0, weights: RankerWeights | None = None) -> Ranker:
    rng = np.random.default_rng(seed)
    history = (rng.random((300, ACTIONS)) < 0.2).astype(np.float64)
    target = rng.random((300, ACTIONS)) < 0.2
    recommenders = fitted(history, target, rng.normal(size=(300, FEATURES)), *rng.random(2).tolist())
    return Ranker(CATALOGUE, recommenders, weights or RankerWeights())


RANKER = learned()
UNFITTED = Ranker.unfitted(CATALOGUE, FEATURES)


def evaluation(*indicated: str, blocked: tuple[str, ...] = ()) -> Evaluation:
    result = Evaluation(np.zeros((1, ACTIONS), np.int8), np.zeros((1, ACTIONS), np.int8))
    result.indicated[0, [CATALOGUE.index[name] for name in indicated]] = TRUE
    result.blocked[0, [CATALOGUE.index[name] for name in blocked]] = TRUE
    return result


def names(ranker: Ranker, rules: Evaluation, risk: float = np.nan, **others) -> list[str]:
    nothing = np.zeros((1, ACTIONS), np.float32), np.full((1, FEATURES), np.nan, np.float32)
    ranking = ranker.rank(rules, np.float32([risk]), *nothing, **others)
    return [CATALOGUE.actions[i].id for i in ranking.order[0] if i >= 0]


@st.composite
def batches(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 6))
    truths = lambda: rng.choice([FALSE, UNKNOWN, TRUE], (size, ACTIONS), p=[0.6, 0.2, 0.2]).astype(np.int8)
    risk = np.where(rng.random(size) < 0.3, np.nan, rng.random(size)).astype(np.float32)
    history = (rng.random((size, ACTIONS)) * (rng.random((size, ACTIONS)) < 0.2)).astype(np.float32)
    features = np.where(rng.random((size, FEATURES)) < 0.3, np.nan, rng.normal(size=(size, FEATURES)))
    weights = RankerWeights(*rng.random(5).tolist())
    indicated = truths()
    met = np.where(indicated == TRUE, rng.integers(1, 4, indicated.shape), 0).astype(np.int8)
    return Evaluation(indicated, truths(), met), risk, history, features.astype(np.float32), learned(size, weights)


def floor_of(rules: Evaluation, row: int) -> set[int]:
    """What the rules list, written again from the promise: indicated, not blocked, "no change" only if nothing else."""
    indicated = set(np.flatnonzero(rules.indicated[row] == TRUE).tolist())
    floor = {i for i in indicated if rules.blocked[row, i] != TRUE}
    if any(URGENCY[i] < URGENCY[NO_CHANGE_COLUMN] for i in indicated):
        floor.discard(NO_CHANGE_COLUMN)
    return floor


class TestPromises:
    @given(batches())
    @settings(max_examples=40, deadline=None)
    def test_blocked_is_never_listed_and_the_floor_never_dropped_nor_behind_less_urgent(self, batch):
        rules, risk, history, features, ranker = batch
        ranking = ranker.rank(rules, risk, history, features)
        for row, order in enumerate(ranking.order.tolist()):
            listed = [i for i in order if i >= 0]
            assert order == listed + [-1] * (len(order) - len(listed))
            assert len(set(listed)) == len(listed)
            assert not [i for i in listed if rules.blocked[row, i] == TRUE]
            floor = {i for i, is_floor in zip(order, ranking.floor[row], strict=True) if is_floor}
            assert floor == floor_of(rules, row)
            assert set(listed) - floor <= set(ADDED)
            tiers = [(URGENCY[i], i not in floor) for i in listed]
            assert tiers == sorted(tiers)

    @given(batches())
    @settings(max_examples=40, deadline=None)
    def test_within_a_tier_the_score_decides_and_then_the_catalogue(self, batch):
        rules, risk, history, features, ranker = batch
        ranking = ranker.rank(rules, risk, history, features)
        for row, order in enumerate(ranking.order.tolist()):
            keys = [
                (URGENCY[i], not ranking.floor[row, k], -ranking.score[row, k], i)
                for k, i in enumerate(order)
                if i >= 0
            ]
            assert keys == sorted(keys)

    @given(batches())
    @settings(max_examples=40, deadline=None)
    def test_parts_sum_to_the_score_exactly_in_any_order(self, batch):
        rules, risk, history, features, ranker = batch
        ranking = ranker.rank(rules, risk, history, features)
        assert ranking.parts.dtype == ranking.score.dtype == np.float32
        assert (ranking.parts.sum(axis=-1) == ranking.score).all()
        assert (ranking.parts[..., ::-1].sum(axis=-1) == ranking.score).all()
        padded = ranking.order < 0
        assert (ranking.parts[padded] == 0).all()
        assert not ranking.floor[padded].any()

    @given(batches())
    @settings(max_examples=30, deadline=None)
    def test_a_patient_is_ranked_alone_as_in_any_batch(self, batch):
        rules, risk, history, features, ranker = batch
        together = ranker.rank(rules, risk, history, features)
        for row in range(len(risk)):
            one = slice(row, row + 1)
            part = Evaluation(rules.indicated[one], rules.blocked[one], rules.met[one])
            alone = ranker.rank(part, risk[one], history[one], features[one])
            width = alone.order.shape[1]
            assert (alone.order[0] == together.order[row, :width]).all()
            assert (together.order[row, width:] == -1).all()
            assert (alone.score[0] == together.score[row, :width]).all()
            assert (alone.parts[0] == together.parts[row, :width]).all()

    @given(batches(), st.floats(0, 1), st.sampled_from([-1, 0, 1, 2]))
    @settings(max_examples=40, deadline=None)
    def test_no_model_risk_removes_an_action(self, batch, risk, band):
        rules, _, history, features, ranker = batch
        size = len(history)
        without = ranker.rank(rules, np.full(size, np.nan, np.float32), history, features)
        bands = np.full(size, band, np.int8)
        with_risk = ranker.rank(rules, np.full(size, risk, np.float32), history, features, bands)
        for before, after in zip(without.order.tolist(), with_risk.order.tolist(), strict=True):
            assert set(before) - {-1} <= set(after)


class TestRisk:
    def test_high_risk_adds_what_no_rule_indicates_and_marks_it(self):
        rules = evaluation("obs-repeat-12h")
        nothing = np.zeros((1, ACTIONS), np.float32), np.full((1, FEATURES), np.nan, np.float32)
        ranking = UNFITTED.rank(rules, np.float32([0.5]), *nothing)
        listed = [CATALOGUE.actions[i].id for i in ranking.order[0]]
        assert listed == ["obs-repeat-1h", "sepsis-screen", "obs-repeat-12h"]
        assert ranking.floor[0].tolist() == [False, False, True]
        assert (ranking.parts[0, :2, 0] == 0).all()
        assert (ranking.parts[0, :2, 3] > 0).all()

    def test_from_the_threshold_on_risk_is_high(self):
        at = UNFITTED.weights.add_at_risk
        assert len(names(UNFITTED, evaluation("obs-repeat-12h"), at - 0.01)) == 1
        assert len(names(UNFITTED, evaluation("obs-repeat-12h"), at + 0.01)) == 3
        assert len(names(UNFITTED, evaluation("obs-repeat-12h"), np.nan)) == 1

    def test_a_band_given_by_policy_replaces_the_threshold(self):
        rules = evaluation("obs-repeat-12h")
        assert len(names(UNFITTED, rules, 0.9, risk_band=np.int8([1]))) == 1
        assert len(names(UNFITTED, rules, 0.01, risk_band=np.int8([2]))) == 3

    def test_a_blocked_action_is_not_added(self):
        rules = evaluation("obs-repeat-12h", blocked=("sepsis-screen",))
        assert names(UNFITTED, rules, 0.9) == ["obs-repeat-1h", "obs-repeat-12h"]

    def test_an_addition_stands_behind_the_floor_of_its_urgency(self):
        assert names(UNFITTED, evaluation("rewarm"), 0.9)[0] == "rewarm"

    def test_risk_speaks_for_and_against_within_an_urgency(self):
        rules = evaluation("bloods-core", "fluid-balance-hourly")  # the second is monitoring
        assert names(UNFITTED, rules, 0.07) == ["bloods-core", "fluid-balance-hourly"]
        assert names(UNFITTED, rules, 0.9, risk_band=np.int8([0])) == ["fluid-balance-hourly", "bloods-core"]


class TestOrder:
    def test_ties_are_broken_by_catalogue_order(self):
        tied = ["monitor-continuous", "monitor-cardiac", "esc-emergency-team", "ecg-12"]
        alike = Ranker.unfitted(CATALOGUE, FEATURES, RankerWeights(diversity=0.0))
        assert names(alike, evaluation(*reversed(tied))) == tied

    def test_no_change_is_said_only_beside_routine_observations(self):
        assert names(UNFITTED, evaluation("obs-repeat-12h", NO_CHANGE)) == ["obs-repeat-12h", NO_CHANGE]
        assert names(UNFITTED, evaluation(NO_CHANGE)) == [NO_CHANGE]
        assert NO_CHANGE not in names(UNFITTED, evaluation("med-review", NO_CHANGE))

    def test_no_change_is_not_said_when_what_is_indicated_is_blocked(self):
        assert names(UNFITTED, evaluation("bloods-core", NO_CHANGE, blocked=("bloods-core",))) == []

    def test_history_moves_an_action_within_its_urgency(self):
        before, after = np.zeros((ACTIONS, 1)), np.zeros((ACTIONS, 1))
        before[0] = after[CATALOGUE.index["ecg-12"]] = 1.0
        content = ContentFilter.unfitted(FEATURES, ACTIONS)
        hybrid = Hybrid(content, CollaborativeFiltering(before, after, np.zeros(1)))
        nothing = np.zeros((1, ACTIONS))
        recommenders = Recommenders.of(hybrid, nothing, nothing > 0, nothing > 0)
        ranker = Ranker(CATALOGUE, recommenders, RankerWeights())
        history = np.zeros((1, ACTIONS), np.float32)
        history[0, 0] = 1.0
        ranking = ranker.rank(
            evaluation("monitor-cardiac", "ecg-12"), np.float32([np.nan]), history, np.zeros((1, FEATURES), np.float32)
        )
        assert CATALOGUE.actions[ranking.order[0, 0]].id == "ecg-12"
        assert ranking.parts[0, 0, 2] > 0

    def test_an_action_that_no_data_knew_is_average_and_not_last(self):
        rng = np.random.default_rng(3)
        history, target = (rng.random((300, ACTIONS)) < 0.3).astype(np.float64), rng.random((300, ACTIONS)) < 0.3
        never = CATALOGUE.index["antibiotics-1h"]
        history[:, never], target[:, never] = 0, False
        recommenders = fitted(history, target, rng.normal(size=(300, FEATURES)))
        ranker = Ranker(CATALOGUE, recommenders, RankerWeights())
        past = (rng.random((200, ACTIONS)) < 0.3).astype(np.float32)
        everything = Evaluation(np.full((200, ACTIONS), TRUE, np.int8), np.zeros((200, ACTIONS), np.int8))
        ranking = ranker.rank(everything, np.full(200, np.nan, np.float32), past, np.zeros((200, FEATURES), np.float32))
        peers = {i for i in range(ACTIONS) if URGENCY[i] == URGENCY[never]}
        places = [[a for a in row if a in peers].index(never) / len(peers) for row in ranking.order.tolist()]
        assert 0.25 < np.mean(places) < 0.75

    def test_nothing_listed_and_an_empty_batch_are_empty_rankings(self):
        assert names(UNFITTED, evaluation()) == []
        none = np.zeros((0, ACTIONS), np.int8)
        empty = RANKER.rank(
            Evaluation(none, none),
            np.zeros(0, np.float32),
            none.astype(np.float32),
            np.zeros((0, FEATURES), np.float32),
        )
        assert empty.order.shape == (0, 0)


class TestState:
    def test_a_ranker_built_from_its_state_ranks_the_same(self):
        rng = np.random.default_rng(1)
        truths = rng.choice([FALSE, TRUE], (8, ACTIONS)).astype(np.int8)
        rules = Evaluation(truths, np.zeros_like(truths))
        given_args = (
            rules,
            rng.random(8).astype(np.float32),
            rng.random((8, ACTIONS)).astype(np.float32),
            rng.normal(size=(8, FEATURES)).astype(np.float32),
        )
        weights = RankerWeights(rule=2.0, add_at_risk=0.3)
        ranker = learned(5, weights)
        restored = Ranker.from_state_dict(CATALOGUE, ranker.state_dict())
        assert restored.weights == weights
        first, second = ranker.rank(*given_args), restored.rank(*given_args)
        assert (first.order == second.order).all()
        assert (first.parts == second.parts).all()

    def test_a_state_of_another_catalogue_is_refused(self):
        state = RANKER.state_dict()
        state["catalogue"] = state["catalogue"] + 1
        with pytest.raises(ValueError, match="fitted for another catalogue"):
            Ranker.from_state_dict(CATALOGUE, state)

    def test_recommenders_of_another_size_are_refused(self):
        with pytest.raises(ValueError, match="the recommenders know 2, 46 actions, the catalogue 46"):
            Ranker(CATALOGUE, Recommenders.unfitted(ACTIONS, FEATURES, 2), RankerWeights())

    @pytest.mark.parametrize("value", [-0.1, 17.0, float("nan"), float("inf")])
    def test_weights_outside_their_range_are_refused(self, value):
        with pytest.raises(ValueError, match="ranker weight rule"):
            RankerWeights(rule=value)
        recommenders = RANKER.recommenders
        hybrid = Hybrid(recommenders.hybrid.content, recommenders.hybrid.collaborative, value)
        with pytest.raises(ValueError, match="ranker weight content"):
            Ranker(CATALOGUE, replace(recommenders, hybrid=hybrid), RankerWeights())


def adversarial(rng: np.random.Generator) -> Ranker:
    """Tensors as large as they may be, of any sign."""
    huge = lambda *shape: rng.choice([-1e6, 1e6], shape)
    content = ContentFilter(np.zeros(FEATURES), np.ones(FEATURES), huge(ACTIONS, 3 * FEATURES), huge(ACTIONS))
    by_history = CollaborativeFiltering(huge(ACTIONS, 3), huge(ACTIONS, 3), huge(3))
    hybrid = Hybrid(content, by_history, 16.0, 16.0, rng.choice([-1.0, 1.0], ACTIONS))
    blank = Recommenders.unfitted(ACTIONS, FEATURES, ACTIONS)
    weights = RankerWeights(*rng.choice([0.0, 16.0], 2), rng.random(), *rng.choice([0.0, 16.0], 2))
    return Ranker(CATALOGUE, Recommenders(hybrid, blank.popularity, blank.neighbours), weights)


class TestGuidelineAndDiversity:
    @given(batches())
    @settings(max_examples=40, deadline=None)
    def test_no_tensor_lists_a_blocked_action_drops_a_rule_or_turns_an_urgency_round(self, batch):
        rules, risk, history, features, _ = batch
        ranking = adversarial(np.random.default_rng(len(risk))).rank(rules, risk, history, features)
        for row, order in enumerate(ranking.order.tolist()):
            listed = [i for i in order if i >= 0]
            floor = {i for i, is_floor in zip(order, ranking.floor[row], strict=True) if is_floor}
            assert not [i for i in listed if rules.blocked[row, i] == TRUE]
            assert floor == floor_of(rules, row)
            assert set(listed) - floor <= set(ADDED)
            tiers = [(URGENCY[i], i not in floor) for i in listed]
            assert tiers == sorted(tiers)

    @given(batches())
    @settings(max_examples=40, deadline=None)
    def test_each_further_action_of_a_kind_and_urgency_steps_back_by_the_penalty(self, batch):
        rules, risk, history, features, ranker = batch
        ranking = ranker.rank(rules, risk, history, features)
        step = np.rint(ranker.weights.diversity * 4096) / 4096
        for row, order in enumerate(ranking.order.tolist()):
            seen: dict[tuple, list[float]] = {}
            for place, action in enumerate(i for i in order if i >= 0):
                kind = (CATALOGUE.actions[action].category, URGENCY[action], ranking.floor[row, place])
                seen.setdefault(kind, []).append(float(ranking.parts[row, place, 4]))
            for penalties in seen.values():
                assert penalties == [pytest.approx(-step * n) for n in range(len(penalties))]

    def test_a_second_of_a_kind_steps_behind_another_kind_by_its_penalty_alone(self):
        rules = evaluation("lactate", "sepsis-screen", "fluid-bolus")  # two of sepsis, all of one urgency
        apart = Ranker.unfitted(CATALOGUE, FEATURES, RankerWeights(diversity=0.1))
        together = Ranker.unfitted(CATALOGUE, FEATURES, RankerWeights(diversity=0.0))
        assert names(together, rules) == ["sepsis-screen", "lactate", "fluid-bolus"]
        assert names(apart, rules) == ["sepsis-screen", "fluid-bolus", "lactate"]

    def test_more_reasons_that_hold_stand_earlier_and_show_in_content(self):
        rules = evaluation("fluid-bolus", "cxr-urgent")
        met = np.zeros((1, ACTIONS), np.int8)
        for strong, weak in (("fluid-bolus", "cxr-urgent"), ("cxr-urgent", "fluid-bolus")):
            met[0, [CATALOGUE.index[strong], CATALOGUE.index[weak]]] = 3, 1
            counted = replace(rules, met=met)
            assert names(UNFITTED, counted) == [strong, weak]
            nothing = np.zeros((1, ACTIONS), np.float32), np.full((1, FEATURES), np.nan, np.float32)
            parts = UNFITTED.rank(counted, np.float32([np.nan]), *nothing).parts[0]
            assert parts[:, 1].tolist() == [0.5 * 0.875, 0.5 * 0.5]

    def test_a_ranker_from_before_takes_the_weights_of_this_release(self):
        state = UNFITTED.state_dict()
        before = Ranker.from_state_dict(CATALOGUE, state | {"weights": state["weights"][:3]})
        assert before.weights == RankerWeights()
        with pytest.raises(ValueError, match="not 3 or more"):
            Ranker.from_state_dict(CATALOGUE, state | {"weights": state["weights"][:2]})
