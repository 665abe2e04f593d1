import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.training.metrics import Draws
from models.training.notes_figures import Organs, best_threshold, one_of, prediction_sets, several

ORGANS = Organs(("Urology", "Neurology", "Podiatry"), ("Urology", "Neurology"))


def test_macro_f1_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    truth, said = random.integers(0, 4, 80), random.integers(0, 4, 80)
    found = one_of(truth, said, Draws([str(i) for i in range(80)]), ("a", "b", "c", "d"))
    assert found["macro_f1"][0] == pytest.approx(f1_score(truth, said, average="macro"), abs=1e-4)
    assert found["accuracy"][0] == pytest.approx((truth == said).mean(), abs=1e-4)
    assert found["macro_f1"][1] < found["macro_f1"][0] < found["macro_f1"][2]
    assert sum(found["rows_of_each"].values()) == 80


def test_prediction_sets_are_judged_over_all_labels_of_all_notes():
    # Both labels: no is left up to 0.6, yes from 0.3.
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], float)
    probability = np.array([[0.9, 0.1], [0.4, 0.7], [0.5, 0.2], [0.1, 0.1]])
    found = prediction_sets(truth, probability, np.array([[0.6, 0.6], [0.3, 0.3]]), list("abcd"))
    assert found["coverage_of_yes"][0] == pytest.approx(2 / 3, abs=1e-4)  # not the one at 0.2
    assert found["coverage_of_no"][0] == pytest.approx(4 / 5, abs=1e-4)  # not the one at 0.7
    assert found["notes_without_a_certain_label"][0] == 0.5
    assert found["certain_labels_that_hold"][0] == 0.5


def test_figures_of_several_labels_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    truth = (random.random((60, 3)) < 0.3).astype(float)
    probability = np.clip(0.4 * truth + random.random((60, 3)) * 0.6, 0, 1)
    least = np.array([0.4, 0.5, 0.6])
    found = several(truth, probability, least, [str(i) for i in range(60)])
    for name in ("macro", "micro"):
        expected = f1_score(truth, probability >= least, average=name)
        assert found[f"{name}_f1"][0] == pytest.approx(expected, abs=1e-4)


def test_a_note_counts_as_of_one_organ_only_without_any_other_organ_system():
    rows, number = ORGANS.single(
        [("Surgery", "Neurology"), ("Urology", "Neurology"), ("Podiatry",), ("Urology", "Podiatry"), ("Urology",)]
    )
    assert rows.tolist() == [0, 4]
    assert number.tolist() == [1, 0]


def test_the_organ_chosen_is_never_one_that_the_model_does_not_know():
    probability = np.array([[0.9, 0.1], [0.1, 0.0]])
    assert ORGANS.chosen(probability, ("Surgery", "Neurology")).tolist() == [1, 1]


def test_the_threshold_is_where_f1_is_best():
    probability = np.linspace(0, 1, 101)
    assert best_threshold((probability >= 0.6).astype(float), probability) == pytest.approx(0.6, abs=0.026)
