"""How strongly a rule is met."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.actions import Catalogue
from models.clinical.strength import STEPS, parts_of
from models.clinical.tables import load_table
from models.clinical.truth import TRUE, Interval

CATALOGUE = Catalogue.load()


def near_thresholds() -> dict[str, np.ndarray]:
    """By variable, values at, just above and just below each of its thresholds, moved ones too."""
    found: dict[str, set[float]] = {name: {0.0, 1.0} for name in CATALOGUE.variables}
    for entry in load_table("care_actions")["actions"]:
        for leaf in (leaf for part in parts_of(entry["indications"]) for term in part for leaf in term):
            found[leaf.variable] |= {bound for bound in (leaf.first, leaf.last) if np.isfinite(bound)}
    return {
        name: np.float32([bound + by for bound in sorted(bounds) for by in (-0.01, 0, 0.01)])
        for name, bounds in found.items()
    }


NEAR = near_thresholds()


def moved_thresholds() -> set[tuple[str, str, float, float]]:
    """Variable, operator, threshold and the threshold a step on, of all rules of the catalogue."""
    found: set[tuple[str, str, float, float]] = set()

    def walk(predicate: object) -> None:
        if isinstance(predicate, list):
            variable, operator, constant = predicate
            if variable in STEPS and operator in {"<", "<=", ">", ">="}:
                low, high, _ = STEPS[variable]
                step = -low if operator.startswith("<") else high
                found.add((variable, operator, constant, round(constant + step, 6)))
            return
        assert isinstance(predicate, dict)
        for word, operand in predicate.items():
            for each in operand if word != "not" else []:
                walk(each)

    for entry in load_table("care_actions")["actions"]:
        walk(entry["indications"])
    return found


PUBLISHED = {
    ("abg.ph", "<", 7.35, 7.25),
    ("lab.aki_stage", ">=", 1, 2),
    ("lab.lactate", ">=", 2, 4),
    ("news2.sub.spo2", ">=", 2, 3),
    ("news2.total", ">=", 5, 7),
    ("pulse", "<=", 50, 40),
    ("respiration_rate", "<=", 11, 8),
    ("shock_index", ">=", 1.0, 1.4),
    ("spo2", "<", 88, 86),  # scale 2: 87 and less, 85 and less
    ("spo2", "<", 94, 92),  # scale 1: 93 and less, 91 and less
    ("spo2", ">", 92, 94),  # scale 2 on oxygen: from 93, from 95
    ("spo2", ">=", 93, 95),
    ("systolic_bp", "<=", 100, 90),
    ("urine_ml_kg_h", "<", 0.5, 0.3),
}
"""Steps from one published threshold to another, each read in its source."""

POLICY = {
    ("abg.paco2_kpa", ">", 6.5, 8.0),
    ("lab.lactate", ">=", 4, 6),
    ("lab.potassium", "<=", 2.5, 2.0),
    ("lab.potassium", ">=", 6.5, 7.0),
    ("map", "<", 65, 55),
    ("news2.total", ">=", 7, 9),
    ("pulse", "<=", 20, 10),
    ("pulse", "<=", 40, 30),
    ("pulse", ">=", 131, 151),
    ("qsofa.total", ">=", 2, 3),
    ("respiration_rate", "<=", 4, 1),
    ("respiration_rate", "<=", 8, 5),
    ("respiration_rate", ">", 23, 27),
    ("respiration_rate", ">=", 25, 29),
    ("spo2", "<", 85, 83),
    ("spo2", "<", 92, 90),
    ("spo2", ">", 98, 100),
    ("systolic_bp", "<=", 90, 80),
    ("temperature", "<=", 35.0, 34.0),
    ("temperature", ">=", 39.1, 40.1),
}
"""Steps to where nothing published lies: as wide as the last band, or as we chose."""


def met(action: str, **values: float | tuple[float, float]) -> int:
    """By variable what is known of it, a number or bounds; `__` stands for the dot of a name."""
    bounds = {
        name.replace("__", "."): value if isinstance(value, tuple) else (value, value) for name, value in values.items()
    }
    found = CATALOGUE.evaluate({name: Interval(*np.float32([[low], [high]])) for name, (low, high) in bounds.items()})
    assert found.met is not None
    return int(found.met[0, CATALOGUE.index[action]])


class TestReasons:
    def test_those_that_read_different_things_count_each(self):
        assert met("med-review", systolic_bp=120, pulse=75) == 0
        assert met("med-review", systolic_bp=98, pulse=75) == 1
        assert met("med-review", systolic_bp=98, pulse=48) == 2
        assert met("med-review", systolic_bp=98, pulse=48, lab__aki_stage=1) == 3

    def test_those_that_share_a_reading_are_one(self):
        assert met("fluid-bolus", systolic_bp=88) == 1
        assert met("fluid-bolus", systolic_bp=88, shock_index=1.1) == 1  # shock index beside pressure
        assert met("fluid-bolus", systolic_bp=88, shock_index=1.1, lab__lactate=5) == 2

    def test_a_rule_of_flags_has_no_steps(self):
        assert met("esc-carer-concern", flag__carer_concern=1) == 1
        assert met("chest-physio", flag__sputum_retention=1) == 1


class TestSteps:
    @pytest.mark.parametrize(
        ("action", "variable", "just", "by_a_step"),
        [
            ("rewarm", "temperature", 35.0, 34.0),
            ("antipyretic-comfort", "temperature", 39.1, 40.1),
            ("med-review", "systolic_bp", 91, 90),
            ("med-review", "pulse", 41, 40),
            ("monitor-cardiac", "pulse", 150, 151),
            ("monitor-continuous", "news2__total", 8, 9),
            ("abg", "spo2", 90, 89),  # the rule asks for less than 92
            ("lactate", "shock_index", 1.39, 1.41),
            ("fluid-balance-hourly", "urine_ml_kg_h", 0.31, 0.29),
        ],
    )
    def test_a_reading_a_step_beyond_the_threshold_counts_again(self, action, variable, just, by_a_step):
        assert met(action, **{variable: just}) == 1
        assert met(action, **{variable: by_a_step}) == 2

    def test_what_must_hold_together_is_a_step_on_only_together(self):
        ventilation = {"abg__ph": 7.2, "abg__paco2_kpa": 8.5}
        assert met("niv-assess", **ventilation, respiration_rate=25) == 1
        assert met("niv-assess", **ventilation, respiration_rate=28) == 2

    def test_alternatives_of_one_reason_move_each_by_themselves(self):
        assert met("o2-titrate-88-92", spo2_scale=2, spo2=86) == 1
        assert met("o2-titrate-88-92", spo2_scale=2, spo2=85) == 2
        assert met("o2-titrate-88-92", spo2_scale=2, spo2=94, on_oxygen=1) == 1
        assert met("o2-titrate-88-92", spo2_scale=2, spo2=95, on_oxygen=1) == 2

    def test_bands_have_no_steps_and_limits_do_not_move_to_the_normal_side(self):
        assert met("esc-urgent-review", news2__at_least=6) == 1
        assert met("esc-ward-doctor-review", news2__any_single_3=1, news2__at_least=0) == 1

    def test_every_step_belongs_to_a_threshold_of_the_catalogue(self):
        assert set(STEPS) <= set(CATALOGUE.variables)


class TestSources:
    def test_each_moved_threshold_is_published_or_known_as_policy(self):
        """A new rule or another step has to be put into one of the two."""
        assert moved_thresholds() == PUBLISHED | POLICY

    def test_a_step_without_any_published_threshold_is_called_policy_and_no_other(self):
        beyond = {name for name, *_ in POLICY} - {name for name, *_ in PUBLISHED}
        widths = {"temperature", "lab.potassium"}  # of published bands, though our rules begin at the outermost ones
        assert {name for name, step in STEPS.items() if "policy" in step.source} == beyond - widths

    @pytest.mark.parametrize(
        ("name", "table", "low", "high"),
        [
            ("respiration_rate", "respiration_rate", (9, 11), (21, 24)),
            ("spo2", "spo2_scale1", (92, 93), None),
            ("spo2", "spo2_scale2", (86, 87), (95, 96)),
            ("systolic_bp", "systolic_bp", (91, 100), None),
            ("pulse", "pulse", (41, 50), (111, 130)),
            ("temperature", "temperature", (35.1, 36.0), (38.1, 39.0)),
        ],
    )
    def test_steps_of_vital_signs_are_as_wide_as_bands_of_news2(self, name, table, low, high):
        bands = {(band["min"], band["max"]) for band in load_table("news2")["parameters"][table]["bands"]}
        finest = 0.1 if name == "temperature" else 1  # the bounds of a band count both
        for band, step in ((low, STEPS[name].low), (high, STEPS[name].high)):
            if band is not None:
                assert band in bands
                assert step == pytest.approx(band[1] - band[0] + finest)


class TestUnknown:
    def test_what_is_unknown_or_not_certain_never_counts(self):
        assert met("rewarm", pulse=75) == 0
        assert met("rewarm", temperature=(34.9, 35.1)) == 0
        assert met("rewarm", temperature=(33.0, 35.0)) == 1  # cold for certain, by a step or not
        assert met("rewarm", temperature=(33.0, 34.0)) == 2

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_something_counts_exactly_where_the_rule_certainly_holds(self, seed):
        """On values at and around every threshold, moved or not: no step loosens a rule, and to know more adds only."""
        rng = np.random.default_rng(seed)
        low = {name: rng.choice(NEAR[name], 16) for name in CATALOGUE.variables}
        high = {name: np.where(rng.random(16) < 0.7, at, rng.choice(NEAR[name], 16)) for name, at in low.items()}
        wide = CATALOGUE.evaluate({name: Interval(at, np.maximum(at, high[name])) for name, at in low.items()})
        assert ((wide.met > 0) <= (wide.indicated == TRUE)).all()
        points = CATALOGUE.evaluate({name: Interval(at, at) for name, at in low.items()})
        assert ((points.met > 0) == (points.indicated == TRUE)).all()
        assert (wide.met <= points.met).all()
