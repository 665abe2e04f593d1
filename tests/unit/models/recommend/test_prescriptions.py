"""Drugs newly prescribed on a day of a stay: cases, and patients left out of what they are scored by."""

from __future__ import annotations

import numpy as np

from models.training.prescriptions import Orders, left_out, prescription_cases, prescription_figures

DRUGS = ("a", "b", "c", "d")


def orders(*rows: tuple[str, int, int, str]) -> Orders:
    """Days of patients in order: patient, stay, day, drugs begun as a word."""
    count = len(rows)
    begun = np.array([[drug in word for drug in DRUGS] for *_, word in rows])
    some = np.ones(count)
    patient, stay, day = (np.array([row[place] for row in rows]) for place in range(3))
    return Orders(
        patient, stay, day.astype(float),
        begun, DRUGS, np.array([300.0] + [60.0] * (count - 1)), some, some, 0 * some,
    )  # fmt: skip


def words(rows: np.ndarray) -> list[str]:
    return ["".join(np.array(DRUGS)[row > 0]) for row in rows]


class TestCases:
    days = (
        ("p", 1, 0, "ab"),
        ("p", 1, 1, "bc"),
        ("p", 1, 3, "a"),
        ("p", 2, 0, "ad"),
        ("p", 2, 1, "c"),
        ("q", 3, 0, "b"),
    )
    found = prescription_cases(orders(*days))

    def test_new_is_what_the_stay_has_not_had_and_days_without_are_left_out(self):
        assert words(self.found.target) == ["ab", "c", "ad", "c", "b"]
        assert words(self.found.candidate) == ["abcd", "cd", "abcd", "bc", "abcd"]

    def test_history_is_of_this_stay_and_of_earlier_ones_of_the_same_patient(self):
        assert words(self.found.history[:, :4]) == ["", "ab", "", "ad", ""]
        assert words(self.found.history[:, 4:8]) == ["", "", "abc", "abc", ""]
        assert self.found.cold.tolist() == [True, False, False, False, True]

    def test_the_oldest_have_an_age_that_the_set_does_not_shift(self):
        assert self.found.features[:2, 0].tolist() == [90.0, 60.0]


def made(patients: int = 200, seed: int = 0) -> Orders:
    """On the second day `c` follows `a`, and `d` follows `b`."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        first = random.choice(["a", "b"])
        rows += [(f"p{number:03}", number, 0, first), (f"p{number:03}", number, 1, "c" if first == "a" else "d")]
    return orders(*rows)


class TestFigures:
    def test_nobody_is_scored_by_what_was_fitted_on_them(self):
        cases = prescription_cases(made())
        everyone = np.ones(len(cases.patient), bool)
        seen = [set(own.patient.tolist()) for _, own in left_out(cases, everyone)]
        assert len(seen) == 10
        assert set().union(*seen) == set(cases.patient.tolist())
        assert sum(map(len, seen)) == 200
        # A drug that only one patient had is never foreseen for that patient.
        only = prescription_cases(orders(*[("p00", 0, 0, "d"), *[(f"p{i:02}", i, 0, "a") for i in range(1, 20)]]))
        recommenders, own = next(left_out(only, only.patient == "p00"))
        assert own.patient.tolist() == ["p00"]
        assert recommenders.popularity.without_history[DRUGS.index("d")] == 0

    def test_what_follows_is_foreseen_and_cold_starts_are_apart(self):
        cases = prescription_cases(made())
        found = prescription_figures(cases, np.ones(len(cases.patient), bool))
        later, cold = found["drugs newly prescribed"], found["drugs prescribed at a cold start"]
        assert later["collaborative"]["recall@1"][0] == 1.0
        assert later["popularity"]["recall@1"][0] < 0.8
        assert (later["rows"], cold["rows"], cold["patients"]) == (200, 200, 200)

    def test_only_the_asked_for_are_judged(self):
        cases = prescription_cases(made())
        found = prescription_figures(cases, np.isin(cases.patient, ["p001", "p002"]))
        assert found["drugs newly prescribed"]["patients"] == 2

    def test_nobody_to_judge_or_to_learn_from_gives_no_figures(self):
        cases = prescription_cases(made(40))
        nobody, alone = np.zeros(len(cases.patient), bool), cases.of(cases.patient == "p001")
        assert prescription_figures(cases, nobody) == {}
        assert prescription_figures(alone, np.ones(len(alone.patient), bool)) == {}
        assert prescription_figures(cases.of(nobody), nobody[:0]) == {}
