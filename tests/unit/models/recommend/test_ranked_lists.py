"""Judging lists as they are shown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.clinical.actions import Catalogue, Evaluation
from models.clinical.truth import TRUE
from models.columns import COLUMNS, INDEX
from models.evaluation.ranked_lists import Lists, list_figures, lists
from models.recommend.ranker import Ranker, RankerWeights

CATALOGUE = Catalogue.load()
ACTIONS = len(CATALOGUE.actions)
RANKER = Ranker.unfitted(CATALOGUE, len(COLUMNS), RankerWeights(diversity=0.0))
LISTED = ("fluid-bolus", "lactate", "sepsis-screen")  # as the unfitted ranker lists them: sepsis-screen first


def one_list(*lasting: str) -> Lists:
    indicated, lasts = np.zeros((1, ACTIONS), np.int8), np.zeros((1, ACTIONS), np.bool_)
    indicated[0, [CATALOGUE.index[name] for name in LISTED]] = TRUE
    lasts[0, [CATALOGUE.index[name] for name in lasting]] = True
    blank = np.full((1, len(COLUMNS)), np.nan, np.float32), np.zeros((1, ACTIONS), np.float32)
    return Lists(np.array(["a"]), *blank, Evaluation(indicated, np.zeros_like(indicated)), lasts)


def figure(found: Lists, name: str) -> float:
    return list_figures({"one": RANKER, "two": RANKER}, found, against=("one", "two"))["one"][name][0]


def stay(patient: str, pressures: list[float]) -> SimpleNamespace:
    values = np.full((len(pressures), len(COLUMNS)), np.nan, np.float32)
    values[:, INDEX["systolic_bp"]] = pressures
    return SimpleNamespace(
        patient_id=patient, time_h=np.arange(len(pressures), dtype=np.float64), values=values, age_years=60.0
    )  # fmt: skip


def test_what_lasts_is_looked_for_in_the_order_of_the_list():
    assert figure(one_list("sepsis-screen"), "recall@1") == 1.0
    assert figure(one_list("fluid-bolus"), "recall@1") == 0.0
    assert figure(one_list("fluid-bolus"), "recall@3") == 1.0


def test_kinds_are_categories_among_the_first_five():
    assert figure(one_list("fluid-bolus"), "kinds@5") == 2  # sepsis twice, circulation


def test_hours_with_something_that_lasts_and_something_that_does_not_are_taken():
    """At the second hour fluids and a review are asked for; at the third the pressure needs no fluids any more."""
    found = lists([stay("a", [120, 85, 95, 120])], CATALOGUE, horizon_h=6.0, hours_a_stay=4, seed=0)
    lasting = [{CATALOGUE.actions[i].id for i in np.flatnonzero(row)} for row in found.lasts]
    assert "med-review" in lasting[0]
    assert "fluid-bolus" not in lasting[0]
    assert found.evaluation.indicated[0, CATALOGUE.index["fluid-bolus"]] == TRUE
    assert found.patient.tolist() == ["a"] * len(found.patient)


def test_without_such_an_hour_it_says_so():
    with pytest.raises(ValueError, match="no list can be judged"):
        lists([stay("a", [120])], CATALOGUE, horizon_h=6.0, hours_a_stay=4, seed=0)
