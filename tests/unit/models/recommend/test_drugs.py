"""Which drugs change at the next encounter: cases, views, baselines, and what is fitted on them."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from models.recommend.baselines import ItemNeighbours, Popularity
from models.recommend.recommenders import METHODS, Recommenders
from models.training.cases import Cases, Grid
from models.training.drugs import (
    DRUGS,
    FEATURES,
    HISTORY,
    Encounters,
    TrainedDrugs,
    drug_cases,
    drug_figures,
    train_drugs,
    views,
)
from models.training.split import part_of

METFORMIN, GLIPIZIDE, INSULIN = (DRUGS.index(name) for name in ("metformin", "glipizide", "insulin"))
NO, STEADY, UP, DOWN = range(4)
GRID = Grid((2,), (1.0,), (1.0,), (10.0,))


def encounters(*rows: tuple[str, dict[int, int]]) -> Encounters:
    """Encounters of patients in order, each with the drugs that are not "No"."""
    count = len(rows)
    dose = np.zeros((count, len(DRUGS)), np.int8)
    for row, (_, given) in enumerate(rows):
        for drug, code in given.items():
            dose[row, drug] = code
    some, none = np.full(count, 60.0), np.full(count, np.nan)
    return Encounters(
        np.array([patient for patient, _ in rows]), dose, some, np.ones(count), none, none,
        np.zeros((count, 3)), np.zeros((count, 6)), np.zeros((count, 9)), np.zeros((count, 3)),
    )  # fmt: skip


def names(row: np.ndarray, of: tuple[str, ...] = DRUGS) -> set[str]:
    return {of[i] for i in np.flatnonzero(row)}


class TestCases:
    found = drug_cases(
        encounters(
            ("a", {METFORMIN: STEADY, INSULIN: UP}),
            ("a", {METFORMIN: STEADY, INSULIN: STEADY, GLIPIZIDE: STEADY}),
            ("a", {INSULIN: DOWN}),
            ("b", {METFORMIN: STEADY}),
            ("a2", {}),
            ("a2", {METFORMIN: STEADY}),
        )
    )

    def test_changed_is_raised_lowered_or_newly_given_and_not_stopped(self):
        assert names(self.found.target[1]) == {"glipizide"}
        assert names(self.found.target[2]) == {"insulin"}
        assert names(self.found.target[5]) == {"metformin"}

    def test_at_the_first_encounter_nothing_can_be_called_new(self):
        assert names(self.found.target[0]) == {"insulin"}
        assert names(self.found.target[3]) == set()

    def test_history_is_of_earlier_encounters_of_the_same_patient(self):
        assert self.found.cold.tolist() == [True, False, False, True, True, False]
        assert names(self.found.history[1], HISTORY) == {
            "taken at the last encounter: metformin", "taken at the last encounter: insulin", "raised there: insulin",
            "taken at any: metformin", "taken at any: insulin", "changed at any: insulin", "an earlier encounter",
        }  # fmt: skip
        assert names(self.found.history[5], HISTORY) == {"an earlier encounter"}
        third = names(self.found.history[2], HISTORY)
        assert {"changed at any: insulin", "changed at any: glipizide"} <= third
        assert "raised there: insulin" not in third

    def test_the_encounter_itself_is_in_neither_history_nor_features(self):
        other = drug_cases(encounters(("a", {METFORMIN: STEADY}), ("a", {INSULIN: UP})))
        same = drug_cases(encounters(("a", {METFORMIN: STEADY}), ("a", {GLIPIZIDE: DOWN, INSULIN: STEADY})))
        np.testing.assert_array_equal(other.history, same.history)
        np.testing.assert_array_equal(other.features, same.features)

    def test_columns_have_names(self):
        assert self.found.history.shape == (6, len(HISTORY))
        assert self.found.features.shape == (6, len(FEATURES))
        assert self.found.features[:, FEATURES.index("first_encounter")].tolist() == [1, 0, 0, 1, 1, 0]

    def test_views_keep_cold_starts_apart_and_offer_only_what_is_not_taken_as_new(self):
        of = views(self.found)
        changed, started, others, cold = of.values()
        assert changed.patient.tolist() == ["a", "a", "a2"]
        assert cold.patient.tolist() == ["a", "b", "a2"]
        assert [names(row) for row in started.target] == [{"glipizide"}, {"metformin"}]
        assert not (started.candidate & (started.history[:, : len(DRUGS)] > 0)).any()
        assert not others.candidate[:, INSULIN].any()
        assert [names(row) for row in others.target] == [{"glipizide"}, {"metformin"}]


class TestBaselines:
    history = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]], float)
    target = np.array([[1, 1], [0, 1], [1, 0], [0, 1], [0, 1]], bool)
    candidate = np.array([[1, 1], [1, 1], [1, 1], [1, 0], [1, 1]], bool)
    popularity = Popularity.fit(history, target & candidate, candidate)

    def test_popularity_is_the_share_of_rows_where_the_item_could_come(self):
        scores = self.popularity.scores(self.history)
        assert scores[0] == pytest.approx([2 / 3, 2 / 3])
        assert scores[4] == pytest.approx([0, 1])  # of those without history; the fourth row is no candidate

    def test_popularity_by_possession_tells_who_had_the_item(self):
        scores = self.popularity.scores_by_possession(self.history)
        assert scores[0] == pytest.approx([1 / 2, 1])  # had the first: one of two; had not the second: two of two
        assert scores[2] == pytest.approx([1, 0])
        assert scores[4] == pytest.approx([0, 1])

    def test_neighbours_are_cosines_and_ties_go_by_popularity(self):
        neighbours = ItemNeighbours.fit(self.history, self.target, self.popularity)
        expected = np.array([[1, 2], [1, 0]]) / np.sqrt([[2 * 2, 2 * 4], [1 * 2, 1 * 4]])
        np.testing.assert_allclose(neighbours.similarity, expected)
        scores = neighbours.scores(self.history)
        np.testing.assert_allclose(scores[0], expected[0], atol=1e-5)
        assert scores[4, 1] > scores[4, 0] >= 0


def made(count: int, seed: int = 0) -> Encounters:
    """Patients of three encounters: who takes metformin is given glipizide next, the others metformin."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        first, second = (METFORMIN, GLIPIZIDE) if random.random() < 0.5 else (GLIPIZIDE, METFORMIN)
        noise = {INSULIN: int(random.choice([NO, UP]))}
        rows += [(f"p{number}", {first: UP}), (f"p{number}", {first: STEADY, second: STEADY, **noise})]
        rows += [(f"p{number}", {first: STEADY, second: STEADY, INSULIN: DOWN})]
    return encounters(*rows)


def learned(of: Encounters) -> TrainedDrugs:
    """On one BLAS thread: the last bit depends on how many there are, and another test may have set a limit."""
    with threadpool_limits(1, user_api="blas"):
        return train_drugs(of, grid=GRID, iterations=3)


class TestTraining:
    trained = learned(made(200))

    def test_history_beats_popularity_where_it_decides(self):
        found = self.trained.metrics["drugs other than insulin changed"]
        assert found["hybrid"]["recall@1"][0] == 1.0
        assert found["popularity"]["recall@1"][0] < 0.7
        assert found["hybrid over popularity"]["recall@1"][0] > 1.4
        assert found["collaborative"]["recall@1"][0] == 1.0

    def test_every_method_is_measured_in_every_view(self):
        assert len(self.trained.metrics) == 4
        for name, found in self.trained.metrics.items():
            same = {"popularity by possession"} if "cold" in name else set()  # nobody possesses anything there
            assert set(METHODS) - same <= found.keys()
            assert found["best possible"]["recall@5"][0] == found["best possible"]["ndcg@1"][0] == 1.0
            assert found["hybrid"]["recall@1"][0] <= found["best possible"]["recall@1"][0]

    def test_scores_survive_the_file(self):
        restored = Recommenders.from_bytes(self.trained.recommenders.to_bytes())
        cases = drug_cases(made(20, seed=5))
        first, second = (one.scores(cases.history, cases.features) for one in (self.trained.recommenders, restored))
        for method in METHODS:
            np.testing.assert_array_equal(first[method], second[method])

    def test_unseen_patients_are_scored_without_fitting_alone_as_in_any_batch(self):
        cases = drug_cases(made(20, seed=5))
        together = self.trained.recommenders.scores(cases.history, cases.features)
        alone = self.trained.recommenders.scores(cases.history[7:8], cases.features[7:8])
        for method in METHODS:
            np.testing.assert_allclose(alone[method][0], together[method][7], atol=1e-9)

    def test_held_out_patients_do_not_touch_what_is_learned(self):
        whole = made(200)
        test = np.array([part_of(name) == "test" for name in whole.patient.tolist()])
        whole.dose[test] = 0
        whole.dose[test, INSULIN] = UP
        again = learned(whole)
        assert again.recommenders.to_bytes() == self.trained.recommenders.to_bytes()
        assert again.metrics != self.trained.metrics

    def test_a_part_without_a_change_is_named(self):
        with pytest.raises(ValueError, match="no drug is changed in the training part"):
            train_drugs(encounters(*[(f"p{i}", {METFORMIN: STEADY}) for i in range(60)]), grid=GRID)

    def test_a_view_without_rows_has_counts_alone(self):
        cold_only = drug_cases(encounters(("a", {INSULIN: UP}), ("b", {INSULIN: UP})))
        found = drug_figures(self.trained.recommenders, cold_only)
        assert found["drugs changed"] == {"rows": 0, "patients": 0, "rows_without": 0}
        assert found["drugs adjusted at a cold start"]["rows"] == 2


def test_fewer_candidates_leave_out_rows_that_want_nothing_of_them():
    cases = Cases(np.array(["a", "b"]), np.zeros((2, 2)), np.zeros((2, 1)), np.ones((2, 2), bool), np.eye(2) > 0)
    narrowed = cases.among(np.array([True, False]))
    assert narrowed.patient.tolist() == ["a"]
    assert narrowed.candidate.tolist() == [[True, False]]
