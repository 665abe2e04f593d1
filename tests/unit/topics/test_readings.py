"""Readings: units, plausibility, coded values, oxygen, flags."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.topics.made import as_bytes, observed, vitals
from topics.parameters import CODES, FLAG_NAMES, INDEX, PARAMETERS
from topics.readings import Readings, Suspect, read_flags, readings
from topics.reasons import Reason
from topics.vitals import VitalsEvent


def read(*observations: dict, **fields: object) -> Readings:
    return readings(VitalsEvent.model_validate_json(as_bytes(vitals(observations=list(observations), **fields))))


def values(said: Readings) -> dict[str, float]:
    return {PARAMETERS[index].name: value for index, value in said.values.items()}


SUSPECT, UNIT = Reason.SUSPECT_VALUE, Reason.UNIT_UNKNOWN


class TestUnits:
    @pytest.mark.parametrize(
        ("code", "value", "unit", "name", "expected"),
        [
            ("8310-5", 100.4, "[degF]", "temperature", 38.0),
            ("8310-5", 95.0, "[degF]", "temperature", 35.0),
            ("paco2_kpa", 45, "mm[Hg]", "paco2_kpa", 5.9995),
            ("2019-8", 6.5, "kPa", "paco2_kpa", 6.5),
            ("etco2", 5.0, "kPa", "etco2", 37.503),
            ("2345-7", 180, "mg/dL", "glucose", 9.991),
            ("14749-6", 10, "mmol/L", "glucose", 10.0),
            ("2160-0", 1.0, "mg/dL", "creatinine", 88.40),
            ("22664-7", 7.1, "mmol/L", "urea", 7.1),
            ("3094-0", 28.0, "mg/dL", "urea", 9.995),
            ("3091-6", 60.056, "mg/dL", "urea", 10.0),
            ("1975-2", 1.0, "mg/dL", "bilirubin", 17.10),
            ("lactate", 18, "mg/dL", "lactate", 1.998),
            ("haemoglobin", 7.1, "g/dL", "haemoglobin", 71.0),
            ("haematocrit", 0.42, "L/L", "haematocrit", 42.0),
            ("calcium", 2.4, "mmol/L", "calcium", 9.619),
            ("magnesium", 2.0, "meq/L", "magnesium", 1.0),
            ("phosphate", 1.0, "mmol/L", "phosphate", 3.097),
            ("troponin", 40, "ng/L", "troponin", 0.040),
            ("crp", 12, "mg/dL", "crp", 120.0),
            ("albumin", 3.5, "g/dL", "albumin", 35.0),
            ("potassium", 4.1, "meq/L", "potassium", 4.1),
            ("wbc", 11.2, "10*3/uL", "wbc", 11.2),
            ("pulse", 80, None, "pulse", 80.0),
            ("pulse", "80", None, "pulse", 80.0),
            ("spo2", "95.5", "%", "spo2", 95.5),
        ],
    )
    def test_values_become_canonical(self, code: str, value: object, unit: str | None, name: str, expected: float):
        said = read(observed(code, value, unit))
        assert values(said) == {name: pytest.approx(expected, rel=1e-3)}
        assert said.suspects == []

    def test_fahrenheit_on_the_edge_of_a_band_is_exact(self):
        assert values(read(observed("temperature", 100.4, "[degF]"))) == {"temperature": 38.0}

    @pytest.mark.parametrize(
        ("code", "value", "unit"),
        [
            ("pulse", 80, "bpm"),
            ("temperature", 310, "K"),
            ("glucose", 9, None),  # 9 mmol/L or 9 mg/dL? the patient's life may hang on it
            ("2160-0", 90, None),
            ("lactate", 2, None),
            ("paco2_kpa", 6, None),
            ("urea", 28, "mg/dL"),  # of urea, or of urea nitrogen?
        ],
    )
    def test_a_unit_that_cannot_be_known_makes_the_value_missing(self, code: str, value: float, unit: str | None):
        said = read(observed(code, value, unit))
        assert said.values == {}
        assert said.suspects == [Suspect(PARAMETERS[CODES[code].column].name, UNIT)]


class TestPlausibility:
    @pytest.mark.parametrize("parameter", [p for p in PARAMETERS if p.units], ids=lambda p: p.name)
    def test_limits_belong_to_the_interval_and_beyond_is_suspect(self, parameter):
        low, high = parameter.low, parameter.high
        for inside in (low, high):
            said = read(observed(parameter.name, inside, parameter.unit))
            assert values(said)[parameter.name] == inside
            assert said.suspects == []
        for outside in (low - 0.5, high + 0.5):
            said = read(observed(parameter.name, outside, parameter.unit))
            if parameter.name == "fio2" and outside == low - 0.5:
                assert outside > 1  # not taken for a fraction
            assert said.values == {}
            assert said.suspects == [Suspect(parameter.name, SUSPECT)]

    @pytest.mark.parametrize("value", [[], {}, True, "", "abc", "<5", "1e2", "4_0", "nan", " 80", "٨٠", 10**400, -1])
    def test_what_is_no_plausible_number_is_missing_and_named(self, value: object):
        said = read(observed("pulse", value), observed("spo2", 95))
        assert values(said) == {"spo2": 95.0}
        assert said.suspects == [Suspect("pulse", SUSPECT)]

    def test_nan_and_infinity_are_missing_and_named(self):
        event = as_bytes(
            vitals(observations=[observed("pulse", math.nan), observed("temperature", -math.inf, "[degF]")])
        )
        said = readings(VitalsEvent.model_validate_json(event))
        assert (said.values, said.suspects) == ({}, [Suspect("pulse", SUSPECT), Suspect("temperature", SUSPECT)])

    def test_null_says_nothing(self):
        assert read(observed("pulse", None)) == ({}, [], False, 0, 0, 0)

    def test_an_unknown_code_is_reported_without_repeating_it(self):
        assert read(observed("3150-6", 40, "%")).suspects == [Suspect("unrecognised", Reason.CODE_UNKNOWN)]

    def test_an_unusable_age_is_named(self):
        assert read(subject={"age_years": 999}).suspects == [Suspect("age_years", SUSPECT)]
        assert read(subject={"age_years": 67}).suspects == []


class TestConflict:
    def test_of_different_values_the_last_is_kept(self):
        said = read(observed("pulse", 80), observed("spo2", 95), observed("8867-4", 120, "/min"))
        assert values(said) == {"pulse": 120.0, "spo2": 95.0}
        assert said.conflict is True

    def test_the_same_value_twice_is_none(self):
        assert read(observed("temperature", 38.0, "Cel"), observed("8310-5", 100.4, "[degF]")).conflict is False

    def test_a_suspect_value_does_not_displace_a_good_one(self):
        said = read(observed("pulse", 80), observed("pulse", 999))
        assert (values(said), said.conflict, said.suspects) == ({"pulse": 80.0}, False, [Suspect("pulse", SUSPECT)])


class TestCodedValues:
    @pytest.mark.parametrize(
        ("word", "index"),
        [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4), ("LA6560-2", 1), ("450847001", 3), ("255373000", 2)],
    )
    def test_consciousness_is_the_index_in_acvpu(self, word: str, index: int):
        assert values(read(acvpu=word)) == {"acvpu": index}
        assert values(read(observed("67775-7", word))) == {"acvpu": index}

    @pytest.mark.parametrize("word", ["a", "X", 2, ["A"], True])
    def test_consciousness_in_other_words_is_suspect(self, word: object):
        assert read(acvpu=word) == ({}, [Suspect("acvpu", SUSPECT)], False, 0, 0, 0)
        assert read(observed("acvpu", word)).suspects == [Suspect("acvpu", SUSPECT)]

    def test_two_statements_on_consciousness_may_conflict(self):
        said = read(observed("acvpu", "A"), acvpu="V")
        assert (values(said), said.conflict) == ({"acvpu": 2.0}, True)

    @pytest.mark.parametrize(("stated", "scale"), [(1, 1), (2, 2), (None, 0)])
    def test_spo2_scale_is_zero_where_not_stated(self, stated: int | None, scale: int):
        assert read(spo2_scale=stated) == ({}, [], False, 0, 0, scale)

    @pytest.mark.parametrize("stated", [0, 3, True, "2", 1.5])
    def test_any_other_spo2_scale_is_suspect(self, stated: object):
        assert read(spo2_scale=stated) == ({}, [Suspect("spo2_scale", SUSPECT)], False, 0, 0, 0)

    @pytest.mark.parametrize("given_now", [1, True])
    def test_a_dose_that_was_given_is_stored(self, given_now: object):
        assert values(read(observed("antibiotic_given", given_now))) == {"antibiotic_given": 1.0}

    @pytest.mark.parametrize("not_given", [0, False])
    def test_a_dose_that_was_not_given_leaves_no_trace(self, not_given: object):
        assert read(observed("antibiotic_given", not_given)) == ({}, [], False, 0, 0, 0)


class TestOxygen:
    @pytest.mark.parametrize(
        ("oxygen", "expected"),
        [
            (None, None),
            ({}, None),
            ({"delivery": "unknown"}, None),
            ({"delivery": "air"}, 0.0),
            ({"delivery": "oxygen"}, 1.0),
            ({"delivery": "371825009"}, 1.0),
            ({"flow_l_min": 0}, 0.0),
            ({"flow_l_min": 2}, 1.0),
            ({"fio2": 0.21}, 0.0),
            ({"fio2": 21}, 0.0),
            ({"fio2": 0.28}, 1.0),
            ({"fio2": 40}, 1.0),
            ({"fio2": 1}, 1.0),
            ({"flow_l_min": 0, "fio2": 0.4}, 1.0),
            ({"flow_l_min": 200}, None),
            ({"fio2": 0.1}, None),
        ],
    )
    def test_is_inferred_only_from_what_is_known(self, oxygen: dict | None, expected: float | None):
        said = read(oxygen=oxygen)
        assert values(said).get("on_oxygen") == expected
        assert said.conflict is False

    @pytest.mark.parametrize(
        "observation",
        [
            observed("o2_flow", 2, "L/min"),
            observed("3150-0", 0.28),
            observed("on_oxygen", True),
            observed("on_oxygen", "oxygen"),
        ],
    )
    def test_is_inferred_from_observations_too(self, observation: dict):
        assert values(read(observation))["on_oxygen"] == 1.0

    @pytest.mark.parametrize(("unit", "percent"), [(None, 28.0), ("%", 28.0), ("1", 28.0), ("{fraction}", 28.0)])
    def test_fraction_becomes_percent_whatever_the_unit_says(self, unit: str | None, percent: float):
        assert values(read(observed("3150-0", 0.28, unit)))["fio2"] == percent

    @pytest.mark.parametrize(
        "oxygen",
        [
            {"delivery": "air", "flow_l_min": 4},
            {"delivery": "oxygen", "flow_l_min": 0},
            {"delivery": "air", "fio2": 0.5},
        ],
    )
    def test_of_contradicting_statements_oxygen_wins_and_the_conflict_is_said(self, oxygen: dict):
        said = read(oxygen=oxygen)
        assert (values(said)["on_oxygen"], said.conflict) == (1.0, True)

    def test_what_cannot_be_used_is_suspect(self):
        said = read(oxygen={"delivery": "mask", "flow_l_min": "low", "fio2": []})
        assert said.values == {}
        assert said.suspects == [Suspect("o2_flow", SUSPECT), Suspect("fio2", SUSPECT), Suspect("on_oxygen", SUSPECT)]


class TestFlags:
    def test_stated_is_known_and_unstated_is_not(self):
        said = read(flags={"dnacpr": True, "seizure": False, "syncope": None})
        dnacpr, seizure = 1 << FLAG_NAMES.index("dnacpr"), 1 << FLAG_NAMES.index("seizure")
        assert (said.flags_known, said.flags_true, said.suspects) == (dnacpr | seizure, dnacpr, [])

    def test_what_cannot_be_used_is_named_or_counted(self):
        suspects: list[Suspect] = []
        assert read_flags({"seizure": "yes", "fits": True}, suspects) == (0, 0)
        assert suspects == [Suspect("seizure", SUSPECT), Suspect("unrecognised", Reason.CODE_UNKNOWN)]

    @given(st.dictionaries(st.sampled_from(FLAG_NAMES), st.sampled_from([True, False, None])))
    def test_what_holds_is_known(self, flags: dict[str, bool | None]):
        known, true = read_flags(flags, [])
        assert true & ~known == 0
        assert [bool(true >> i & 1) for i in range(len(FLAG_NAMES))] == [flags.get(name) is True for name in FLAG_NAMES]


anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)
some_code = st.sampled_from(sorted(CODES)) | st.text(max_size=5)
some_unit = st.sampled_from(sorted({unit for code in CODES.values() for unit in code.units if unit})) | st.text(
    max_size=3
)


class TestAnything:
    @given(
        observations=st.lists(st.builds(observed, some_code, anything, st.none() | some_unit), max_size=8),
        oxygen=st.none()
        | st.fixed_dictionaries({}, optional={"delivery": anything, "flow_l_min": anything, "fio2": anything}),
        acvpu=anything,
        scale=anything,
        flags=st.dictionaries(st.sampled_from(FLAG_NAMES) | st.text(max_size=3), anything, max_size=4),
    )
    def test_never_raises_and_every_value_is_plausible_and_single(self, observations, oxygen, acvpu, scale, flags):
        said = read(*observations, oxygen=oxygen, acvpu=acvpu, spo2_scale=scale, flags=flags)
        columns = list(said.values)
        assert len(columns) == len(set(columns))
        for index, value in said.values.items():
            assert type(value) in {int, float}
            assert PARAMETERS[index].low <= value <= PARAMETERS[index].high
        assert said.spo2_scale in {0, 1, 2}
        assert said.flags_true & ~said.flags_known == 0
        assert {suspect.parameter for suspect in said.suspects} <= {*INDEX, *FLAG_NAMES, "unrecognised", "spo2_scale"}
