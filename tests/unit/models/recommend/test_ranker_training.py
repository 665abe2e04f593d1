"""What the ranker is fitted on: replayed rules, next actions."""

from __future__ import annotations

import numpy as np
import pytest

from models.clinical.actions import Catalogue
from models.columns import COLUMNS, INDEX
from models.training.cases import Grid
from models.training.ranker import RankerPlan, train_ranker
from models.training.replay import examples, newly_within
from models.training.split import part_of
from workers.datasets.stay import Stay

CATALOGUE = Catalogue.load()
GRID = Grid((2,), (1.0,), (1.0,), (10.0,), content_weights=(0.1,), collaborative_weights=(0.9,))
PLAN = RankerPlan(care=GRID, iterations=3)


def stay(patient: str, readings: dict[str, list[float]], hours: list[float] | None = None, age: float = 60.0) -> Stay:
    length = len(next(iter(readings.values())))
    values = np.full((length, len(COLUMNS)), np.nan, np.float32)
    for name, column in readings.items():
        values[:, INDEX[name]] = column
    time_h = np.array(hours or range(1, length + 1), np.float32)
    return Stay(patient, time_h, values, np.zeros(length, np.float32), age, 1.0)


def random_stays(count: int, seed: int = 0) -> list[Stay]:
    random = np.random.default_rng(seed)
    ranges = {"respiration_rate": (10, 30), "pulse": (50, 135), "systolic_bp": (85, 140), "spo2": (88, 100)}
    return [
        stay(f"made-{i}", {name: random.uniform(*ends, 12).round().tolist() for name, ends in ranges.items()})
        for i in range(count)
    ]


def replay(*stays: Stay, horizon_h: float = 6.0, hours: int = 100):
    return examples(stays, CATALOGUE, horizon_h=horizon_h, hours_a_stay=hours, seed=0)


def ids(row: np.ndarray) -> set[str]:
    return {CATALOGUE.actions[i].id for i in np.flatnonzero(row)}


class TestReplay:
    def test_an_action_is_the_target_before_its_reading_and_history_after_it(self):
        got = replay(stay("a", {"spo2": [97, 97, 97, 90, 90, 90]}))
        oxygen = CATALOGUE.index["o2-titrate-94-98"]
        assert got.target[:, oxygen].tolist() == [True, True, False, False]  # hours 2 to 5
        assert got.present[:, oxygen].tolist() == [False, False, True, True]
        assert got.history[:, oxygen].tolist() == [False, False, False, True]

    def test_a_value_is_carried_forward_until_it_is_too_old(self):
        nan = np.nan
        got = replay(stay("a", {"spo2": [90] + [nan] * 6, "pulse": [80] * 7}))
        spo2 = got.features[:, INDEX["spo2"]]
        assert spo2[:4].tolist() == [90, 90, 90, 90]  # one to four hours old
        assert np.isnan(spo2[4:]).all()
        assert (got.features[:, INDEX["pulse"]] == 80).all()

    def test_hours_without_any_reading_are_no_events(self):
        nan = np.nan
        got = replay(stay("a", {"spo2": [97, nan, 90, nan, 97, 97]}))
        assert "o2-titrate-94-98" in ids(got.present[0])  # hour 3, the second event
        assert "o2-titrate-94-98" not in ids(got.history[0])
        assert len(got.patient) == 2

    def test_scores_for_adults_are_not_applied_to_children(self):
        sick = {"respiration_rate": [26.0] * 4, "pulse": [135.0] * 4, "systolic_bp": [88.0] * 4, "spo2": [90.0] * 4}
        adult, child = replay(stay("a", sick)), replay(stay("c", sick, age=8.0))
        assert "esc-emergency-team" in ids(adult.present[0])
        assert "esc-emergency-team" not in ids(child.present[0])

    def test_stays_do_not_leak_into_one_another(self):
        stays = random_stays(5)
        together, alone = replay(*stays), replay(stays[3])
        rows = np.flatnonzero(together.patient == "made-3")
        for name in ("features", "history", "present", "target"):
            np.testing.assert_array_equal(getattr(together, name)[rows], getattr(alone, name))

    def test_no_stay_gives_more_than_its_share_of_hours(self):
        got = replay(*random_stays(3), hours=4)
        assert np.unique(got.patient, return_counts=True)[1].tolist() == [4, 4, 4]

    def test_stays_too_short_to_have_a_before_and_an_after_are_refused(self):
        with pytest.raises(ValueError, match="three events"):
            replay(stay("a", {"spo2": [97, 90]}), stay("b", {"spo2": [97]}))

    def test_next_ends_with_the_horizon_and_leaves_out_what_was_indicated_before(self):
        hour = np.array([0.0, 1, 2, 8])
        indicated = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]], bool)
        new = newly_within(hour, indicated, 6.0)
        assert new.tolist() == [[False] * 3, [False] * 3, [False, True, True], [False] * 3]
        assert newly_within(hour, indicated, 7.0)[1].tolist() == [False, True, True]  # 0 was indicated just before


class TestTraining:
    def test_the_same_seed_gives_the_same_state_and_figures(self):
        stays = random_stays(60)
        first, again = train_ranker(stays, PLAN), train_ranker(stays, PLAN)
        assert first.manifest == again.manifest
        assert all((first.state[name] == again.state[name]).all() for name in first.state)

    def test_held_out_patients_do_not_touch_what_is_learned(self):
        stays = random_stays(60)
        other = random_stays(60, seed=9)
        mixed = [b if part_of(a.patient_id) == "test" else a for a, b in zip(stays, other, strict=True)]
        several = Grid(
            (2,), (1.0,), (1.0,), (10.0, 100.0), content_weights=(0.1, 0.5), collaborative_weights=(0.5, 0.9)
        )
        plan = RankerPlan(care=several, iterations=3, hours_a_stay=100)
        first, second = train_ranker(stays, plan), train_ranker(mixed, plan)
        assert first.manifest.metrics != second.manifest.metrics
        assert all((first.state[name] == second.state[name]).all() for name in first.state)

    def test_the_chosen_weights_are_those_of_the_ranker(self):
        trained = train_ranker(random_stays(60), PLAN)
        assert trained.manifest.config["content_weight"] == 0.1
        assert trained.state["hybrid.weights"].tolist() == [0.1, 0.9]

    def test_the_loss_of_each_round_is_handed_back(self):
        history = train_ranker(random_stays(60), PLAN).history
        assert [one["epoch"] for one in history] == [1, 2, 3]
        assert history[0]["loss"] > history[-1]["loss"] > 0

    def test_actions_of_which_nothing_was_learned_are_named_and_have_no_learned_score(self):
        trained = train_ranker(random_stays(60), PLAN)
        unseen = str(trained.manifest.metrics["never_indicated_in_training"]).split(", ")
        assert "ct-head" in unseen  # its rule reads a flag
        assert "o2-titrate-94-98" not in unseen
        rows = [CATALOGUE.index[name] for name in unseen]
        assert (trained.state["content.weights"][rows] == 0).all()
        assert trained.state["collaborative.item_factors"][rows].abs().max() < 1e-6

    def test_a_part_in_which_nothing_happens_is_named(self):
        calm = [stay(f"made-{i}", {"pulse": [80.0] * 8}) for i in range(60)]
        with pytest.raises(ValueError, match="too few stays: nothing new is indicated in the training part"):
            train_ranker(calm, PLAN)
