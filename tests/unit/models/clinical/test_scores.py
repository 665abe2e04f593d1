"""qSOFA, shock index, ageing, charting and three-valued truth."""

from __future__ import annotations

import numpy as np
import pytest
from clinical_rows import NORMAL, every, rows

from models.clinical.ageing import age_out
from models.clinical.charting import charted
from models.clinical.qsofa import qsofa
from models.clinical.shock_index import SAME_SET_MS, shock_index
from models.clinical.truth import FALSE, TRUE, UNKNOWN, both, either, negate, truth
from models.columns import COLUMNS, INDEX

NOW_MS = 1_800_000_000_000


class TestTruth:
    VALUES = np.array([FALSE, UNKNOWN, TRUE], dtype=np.int8)

    def test_tables_are_those_of_kleene(self):
        a, b = np.meshgrid(self.VALUES, self.VALUES, indexing="ij")
        assert both(a, b).tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
        assert either(a, b).tolist() == [[0, 1, 2], [1, 1, 2], [2, 2, 2]]
        assert negate(self.VALUES).tolist() == [TRUE, UNKNOWN, FALSE]

    def test_what_is_not_known_is_neither_true_nor_false(self):
        result = truth(np.array([True, False, True]), np.array([True, True, False]))
        assert result.tolist() == [TRUE, FALSE, UNKNOWN]


class TestQsofa:
    def score(self, patient, *, applicable=True):
        result = qsofa(rows(patient), every(1, applicable, np.bool_))
        return int(result.low[0]), int(result.high[0]), int(result.positive[0])

    def test_limits_belong_to_the_positive_side(self):
        """Public copies use > 22 and < 100."""
        assert self.score({**NORMAL, "respiration_rate": 22, "systolic_bp": 100}) == (2, 2, TRUE)
        assert self.score({**NORMAL, "respiration_rate": 21, "systolic_bp": 101}) == (0, 0, FALSE)

    @pytest.mark.parametrize("mentation", [{"acvpu": "C"}, {"acvpu": "U"}, {"gcs_total": 14}, {"gcs_total": 3}])
    def test_altered_mentation_counts_on_either_scale(self, mentation):
        assert self.score({**NORMAL, **mentation})[0] == 1

    def test_one_normal_mentation_scale_is_enough_to_know(self):
        assert self.score({**NORMAL, "gcs_total": None}) == (0, 0, FALSE)
        assert self.score({**NORMAL, "acvpu": None, "gcs_total": 15}) == (0, 0, FALSE)

    def test_missing_readings_leave_the_total_open(self):
        assert self.score({}) == (0, 3, UNKNOWN)
        assert self.score({**NORMAL, "acvpu": None}) == (0, 1, FALSE)
        assert self.score({**NORMAL, "respiration_rate": 24, "acvpu": None}) == (1, 2, UNKNOWN)

    def test_a_certain_two_is_positive_whatever_is_missing(self):
        assert self.score({"respiration_rate": 24, "systolic_bp": 90}) == (2, 3, TRUE)

    def test_it_is_not_scored_where_it_does_not_apply(self):
        assert self.score({**NORMAL, "respiration_rate": 40, "systolic_bp": 60}, applicable=False) == (0, 3, UNKNOWN)


class TestShockIndex:
    def index(self, pulse, systolic, *, apart_ms=0, applicable=True):
        last_ms = np.full((1, len(COLUMNS)), NOW_MS, dtype=np.int64)
        last_ms[0, INDEX["pulse"]] -= apart_ms
        return float(shock_index(rows({"pulse": pulse, "systolic_bp": systolic}), last_ms, np.array([applicable]))[0])

    def test_it_is_pulse_over_systolic_pressure(self):
        assert self.index(120, 100) == pytest.approx(1.2)
        assert self.index(100, 100) == 1.0

    @pytest.mark.parametrize(("pulse", "systolic"), [(None, 100), (100, None), (100, 0), (100, -5), (-1, 100)])
    def test_without_a_usable_pulse_and_pressure_there_is_none(self, pulse, systolic):
        assert np.isnan(self.index(pulse, systolic))

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_readings_of_different_sets_are_not_combined(self, sign):
        assert self.index(100, 100, apart_ms=sign * SAME_SET_MS) == 1.0
        assert np.isnan(self.index(100, 100, apart_ms=sign * (SAME_SET_MS + 1)))

    def test_it_is_not_formed_for_children(self):
        assert np.isnan(self.index(100, 100, applicable=False))


class TestAgeOut:
    def test_each_column_counts_up_to_its_own_age_and_no_longer(self):
        values = np.ones((2, len(COLUMNS)), dtype=np.float32)
        ages_ms = np.array([round(column.max_age_min * 60_000) for column in COLUMNS])
        last_ms = NOW_MS - np.stack([ages_ms, ages_ms + 1])
        result = age_out(values, last_ms, every(2, NOW_MS, np.int64))
        assert (result[0] == 1).all()
        assert np.isnan(result[1]).all()

    def test_each_patient_is_judged_at_the_own_time(self):
        last_ms = np.full((2, len(COLUMNS)), NOW_MS, dtype=np.int64)
        result = age_out(rows(NORMAL, NORMAL), last_ms, np.array([NOW_MS, NOW_MS + 5 * 3_600_000]))
        assert result[0, INDEX["pulse"]] == 75
        assert np.isnan(result[1, INDEX["pulse"]])

    def test_a_value_newer_than_the_judgement_stays(self):
        last_ms = np.full((1, len(COLUMNS)), NOW_MS + 60_000, dtype=np.int64)
        assert age_out(rows(NORMAL), last_ms, every(1, NOW_MS, np.int64))[0, INDEX["pulse"]] == 75

    def test_it_keeps_the_type_and_leaves_the_input_alone(self):
        values = rows(NORMAL)
        result = age_out(values, np.zeros((1, len(COLUMNS)), dtype=np.int64), every(1, NOW_MS, np.int64))
        assert result.dtype == np.float32
        assert values[0, INDEX["pulse"]] == 75


class TestCharting:
    def test_readings_are_rounded_half_up_to_what_a_chart_holds(self):
        result = charted(rows({**NORMAL, "temperature": 35.05, "pulse": 130.5, "spo2": 93.4}))[:, 0]
        assert result.dtype == np.float32
        assert result.tolist() == [16, 93, 120, 131, np.float32(35.1), 0, 0]

    def test_unknown_stays_unknown(self):
        assert np.isnan(charted(rows({}))).all()
