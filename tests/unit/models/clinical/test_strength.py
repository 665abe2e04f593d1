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
