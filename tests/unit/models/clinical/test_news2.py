"""NEWS2 against the published chart, worked examples and the mistakes that public copies make."""

from __future__ import annotations

import itertools
import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from clinical_rows import NORMAL, every, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.news2 import MAX_TOTAL, RISK_BANDS, SUB_SCORES, News2, news2, risk_band
from models.clinical.tables import load_table
from models.clinical.truth import FALSE, TRUE, UNKNOWN

VECTORS = json.loads((Path(__file__).parent / "news2_worked_examples.json").read_text())
NAMES = {"rr": "respiration_rate", "o2": "on_oxygen", "sbp": "systolic_bp", "hr": "pulse", "temp": "temperature"}


def score(*patients: dict, scale: int = 1, applicable: bool = True) -> News2:
    size = len(patients)
    return news2(rows(*patients), every(size, scale, np.int8), every(size, applicable, np.bool_))


def sub(name: str, value: object, scale: int = 1, **others: object) -> int:
    result = score({**NORMAL, name: value, **others}, scale=scale)
    column = {"acvpu": "consciousness", "on_oxygen": "air_or_oxygen"}.get(name, name)
    return int(result.sub[0, SUB_SCORES.index(column)])


class TestWorkedExamples:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"total-{vector['expect']['total']}")
    def test_total_sub_scores_and_risk_are_those_of_the_example(self, vector):
        given_values = {NAMES.get(name, name): value for name, value in vector["input"].items() if name != "scale"}
        result = score(given_values, scale=vector["input"]["scale"])
        expected = vector["expect"]
        assert result.low[0] == result.high[0] == expected["total"]
        assert dict(zip(SUB_SCORES, result.sub[0].tolist(), strict=True)) == expected["sub"]
        assert RISK_BANDS[risk_band(result)[0]] == expected["risk"]
        assert result.single_three[0] == (TRUE if 3 in expected["sub"].values() else FALSE)
        assert not result.missing.any()


# Points of every charted value, written from RCP Chart 1 as (first value, points) steps, not from the shipped table.
CHART = {
    "respiration_rate": [(0, 3), (9, 1), (12, 0), (21, 2), (25, 3)],
    "systolic_bp": [(0, 3), (91, 2), (101, 1), (111, 0), (220, 3)],
    "pulse": [(0, 3), (41, 1), (51, 0), (91, 1), (111, 2), (131, 3)],
    "temperature": [(0, 3), (351, 1), (361, 0), (381, 1), (391, 2)],  # tenths
}
SPO2 = {
    (1, 0): [(0, 3), (92, 2), (94, 1), (96, 0)],
    (1, 1): [(0, 3), (92, 2), (94, 1), (96, 0)],
    (2, 0): [(0, 3), (84, 2), (86, 1), (88, 0)],
    (2, 1): [(0, 3), (84, 2), (86, 1), (88, 0), (93, 1), (95, 2), (97, 3)],
}


def step(steps: list[tuple[int, int]], value: int) -> int:
    return [points for first, points in steps if first <= value][-1]


class TestBands:
    @pytest.mark.parametrize("name", CHART)
    def test_every_charted_value_scores_as_the_chart_prints(self, name):
        charted = range(300, 451) if name == "temperature" else range(301)
        unit = 10 if name == "temperature" else 1
        result = score(*({**NORMAL, name: value / unit} for value in charted))
        assert result.sub[:, SUB_SCORES.index(name)].tolist() == [step(CHART[name], value) for value in charted]

    @pytest.mark.parametrize(("scale", "oxygen"), SPO2)
    def test_every_saturation_scores_as_the_chart_prints(self, scale, oxygen):
        result = score(*({**NORMAL, "spo2": value, "on_oxygen": oxygen} for value in range(101)), scale=scale)
        expected = [step(SPO2[scale, oxygen], value) for value in range(101)]
        assert result.sub[:, SUB_SCORES.index("spo2")].tolist() == expected
        assert (result.low == np.array(expected) + 2 * oxygen).all()

    @pytest.mark.parametrize(("level", "points"), [("A", 0), ("C", 3), ("V", 3), ("P", 3), ("U", 3)])
    def test_anything_but_alert_scores_three(self, level, points):
        assert sub("acvpu", level) == points


class TestRounding:
    @pytest.mark.parametrize(("value", "points"), [(8.49, 3), (8.5, 1), (11.5, 0), (20.5, 2), (24.5, 3)])
    def test_halves_of_whole_numbers_are_charted_up(self, value, points):
        assert sub("respiration_rate", value) == points

    def test_every_hundredth_of_a_degree_is_charted_half_up_although_float32_cannot_hold_it(self):
        hundredths = range(3300, 4300)
        result = score(*({**NORMAL, "temperature": value / 100} for value in hundredths))
        tenths = [int((Decimal(v) / 10).quantize(Decimal(1), rounding=ROUND_HALF_UP)) for v in hundredths]
        expected = [step(CHART["temperature"], value) for value in tenths]
        assert result.sub[:, SUB_SCORES.index("temperature")].tolist() == expected

    @pytest.mark.parametrize("edge", [35.05, 36.05, 38.05, 39.05])
    def test_the_next_float32_below_a_half_is_charted_down(self, edge):
        below = np.nextafter(np.float32(edge), np.float32(0))
        assert sub("temperature", float(below)) != sub("temperature", edge)


class TestPublicMistakes:
    """Each was found in a public copy of the score; the right value stands here."""

    def test_respiration_nine_to_eleven_is_one_and_twenty_one_to_twenty_four_is_two(self):
        assert [sub("respiration_rate", rate) for rate in (9, 11, 21, 24)] == [1, 1, 2, 2]

    def test_scale_two_on_oxygen_rises_by_steps_and_is_not_three_at_once(self):
        assert [sub("spo2", value, 2, on_oxygen=1) for value in (93, 94, 95, 96, 97)] == [1, 1, 2, 2, 3]

    def test_oxygen_is_two_points_and_not_one(self):
        assert sub("on_oxygen", 1) == 2

    @pytest.mark.parametrize("oxygen", [0, 1])
    def test_scale_two_target_range_is_zero_whatever_the_oxygen(self, oxygen):
        assert [sub("spo2", value, 2, on_oxygen=oxygen) for value in (88, 92)] == [0, 0]

    def test_scale_two_on_oxygen_above_target_is_not_zero(self):
        assert sub("spo2", 93, 2, on_oxygen=1) == 1

    def test_oxygen_adds_two_on_scale_two_as_well(self):
        assert score({**NORMAL, "spo2": 90, "on_oxygen": 1}, scale=2).low[0] == 2

    def test_scale_two_on_air_above_target_is_zero(self):
        assert [sub("spo2", value, 2, on_oxygen=0) for value in (93, 96, 100)] == [0, 0, 0]

    def test_scale_one_is_strict_between_eighty_five_and_ninety_one(self):
        assert [sub("spo2", value) for value in (85, 89, 91, 92, 93, 94, 95)] == [3, 3, 3, 2, 2, 1, 1]

    @pytest.mark.parametrize("scale", [0, 1, -1])
    def test_scale_two_is_used_only_when_it_is_named(self, scale):
        assert sub("spo2", 88, scale) == 3

    def test_pulse_and_temperature_have_no_two_on_the_low_side(self):
        low_pulse = [sub("pulse", value) for value in range(30, 51)]
        low_temperature = [sub("temperature", value / 10) for value in range(330, 361)]
        assert set(low_pulse) == set(low_temperature) == {1, 3}

    def test_a_missing_parameter_is_not_scored_as_normal(self):
        result = score({**NORMAL, "respiration_rate": None})
        assert result.sub[0, 0] == -1
        assert (result.low[0], result.high[0]) == (0, 3)


class TestMissing:
    def test_nothing_known_leaves_every_total_open(self):
        result = score({})
        assert (result.low[0], result.high[0], result.single_three[0]) == (0, MAX_TOTAL, UNKNOWN)
        assert result.missing.all()

    @pytest.mark.parametrize("name", [n for n in SUB_SCORES if n not in ("consciousness", "air_or_oxygen")])
    @pytest.mark.parametrize("value", [-1, -0.6, 501, np.inf, -np.inf, 1e30])
    def test_what_no_chart_holds_is_missing(self, name, value):
        result = score({**NORMAL, name: value})
        assert result.missing[0, SUB_SCORES.index(name)]
        assert result.sub[0, SUB_SCORES.index(name)] == -1

    @pytest.mark.parametrize(("name", "value"), [("spo2", 101), ("acvpu", 5), ("acvpu", -1), ("on_oxygen", 2)])
    def test_a_code_or_share_outside_its_range_is_missing_and_not_normal(self, name, value):
        result = score({**NORMAL, name: value})
        assert result.missing.sum() == 1
        assert result.high[0] > result.low[0] == 0

    def test_a_certain_three_is_certain_whatever_is_missing(self):
        assert score({"respiration_rate": 30}).single_three[0] == TRUE

    def test_missing_oxygen_alone_cannot_hide_a_three_on_scale_one(self):
        assert score({**NORMAL, "on_oxygen": None}).single_three[0] == FALSE

    def test_scale_two_with_unknown_oxygen_counts_both_cases_together(self):
        result = score({**NORMAL, "spo2": 97, "on_oxygen": None}, scale=2)
        assert (result.low[0], result.high[0]) == (0, 5)
        assert (result.spo2_low[0], result.spo2_high[0]) == (0, 3)
        assert result.sub[0, SUB_SCORES.index("spo2")] == -1
        assert result.missing[0].nonzero()[0].tolist() == [SUB_SCORES.index("air_or_oxygen")]
        assert result.single_three[0] == UNKNOWN

    def test_scale_two_in_the_target_range_needs_no_oxygen_to_be_scored(self):
        result = score({**NORMAL, "spo2": 90, "on_oxygen": None}, scale=2)
        assert (result.low[0], result.high[0]) == (0, 2)
        assert result.sub[0, SUB_SCORES.index("spo2")] == 0

    def test_a_patient_to_whom_it_does_not_apply_is_not_scored(self):
        result = score({**NORMAL, "respiration_rate": 30}, applicable=False)
        assert (result.low[0], result.high[0], result.single_three[0]) == (0, MAX_TOTAL, UNKNOWN)
        assert (result.sub == -1).all()
        assert not result.applicable[0]

    def test_not_applicable_does_not_touch_the_neighbour(self):
        patient = {**NORMAL, "respiration_rate": 30}
        result = news2(rows(patient, patient), every(2, 1, np.int8), np.array([False, True]))
        assert result.low.tolist() == [0, 3]


# One value for every set of points a parameter can have; completing a missing parameter from these is exhaustive.
COMPLETIONS = {
    "respiration_rate": (8, 10, 16, 22, 30),
    "spo2": (80, 84, 86, 90, 92, 93, 95, 96, 97, 99),
    "systolic_bp": (80, 95, 105, 120, 230),
    "pulse": (40, 45, 75, 100, 120, 140),
    "temperature": (34.0, 35.5, 37.0, 38.5, 40.0),
    "acvpu": ("A", "C", "U"),
    "on_oxygen": (0, 1),
}


@st.composite
def partial_patients(draw):
    patient = {name: draw(st.sampled_from(values)) for name, values in COMPLETIONS.items()}
    missing = draw(st.sets(st.sampled_from(sorted(COMPLETIONS)), max_size=4))
    return {name: value for name, value in patient.items() if name not in missing}, draw(st.sampled_from([1, 2]))


class TestInterval:
    @given(partial_patients())
    @settings(max_examples=60, deadline=None)
    def test_bounds_and_single_three_are_those_over_all_completions(self, drawn):
        patient, scale = drawn
        missing = [name for name in COMPLETIONS if name not in patient]
        completed = [
            {**patient, **dict(zip(missing, values, strict=True))}
            for values in itertools.product(*(COMPLETIONS[name] for name in missing))
        ]
        full = score(*completed, scale=scale)
        partial = score(patient, scale=scale)
        assert (full.low == full.high).all()
        assert (partial.low[0], partial.high[0]) == (full.low.min(), full.low.max())
        threes = set(full.single_three.tolist())
        assert partial.single_three[0] == (threes.pop() if len(threes) == 1 else UNKNOWN)
        for column in range(len(SUB_SCORES)):
            points = set(full.sub[:, column].tolist())
            assert partial.sub[0, column] == (points.pop() if len(points) == 1 else -1)

    @given(st.lists(partial_patients(), min_size=2, max_size=8))
    @settings(max_examples=30, deadline=None)
    def test_a_patient_scores_alone_as_in_any_batch(self, drawn):
        patients = [patient for patient, _ in drawn]
        scales = np.array([scale for _, scale in drawn], dtype=np.int8)
        together = news2(rows(*patients), scales, every(len(patients), True, np.bool_))
        for i, patient in enumerate(patients):
            alone = score(patient, scale=int(scales[i]))
            assert (alone.low[0], alone.high[0]) == (together.low[i], together.high[i])
            assert (alone.sub[0] == together.sub[i]).all()


class TestRiskBand:
    def test_missing_readings_do_not_lower_what_is_certain(self):
        partial = score({"respiration_rate": 30, "systolic_bp": 80, "pulse": 100})
        assert RISK_BANDS[risk_band(partial)[0]] == "high"

    def test_bands_begin_where_chart_four_says(self):
        patients = [
            {},
            {"respiration_rate": 30},
            {"respiration_rate": 22, "systolic_bp": 95},
            {"respiration_rate": 22, "systolic_bp": 95, "pulse": 100},
            {"respiration_rate": 22, "systolic_bp": 95, "pulse": 120},
            {"respiration_rate": 22, "systolic_bp": 95, "pulse": 140},
        ]
        result = score(*({**NORMAL, **patient} for patient in patients))
        assert result.low.tolist() == [0, 3, 4, 5, 6, 7]
        bands = [RISK_BANDS[band] for band in risk_band(result)]
        assert bands == ["low", "low-medium", "low", "medium", "medium", "high"]

    def test_an_empty_batch_is_scored(self):
        assert news2(np.empty((0, 44), np.float32), np.empty(0, np.int8), np.empty(0, np.bool_)).low.shape == (0,)


def test_the_shipped_table_names_its_source():
    assert "Royal College of Physicians" in load_table("news2")["citation"]
