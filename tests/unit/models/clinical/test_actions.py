"""The catalogue's rules on patients, from readings to indicated and blocked actions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from clinical_rows import NORMAL, every, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.actions import UNCHECKED, UNKNOWN_BLOCK, Catalogue, Evaluation
from models.clinical.ageing import age_out
from models.clinical.news2 import news2
from models.clinical.qsofa import qsofa
from models.clinical.shock_index import shock_index
from models.clinical.truth import FALSE, TRUE, UNKNOWN, Interval
from models.clinical.variables import FLAG_VARIABLES, NAMES, Variables, build_variables
from models.columns import COLUMNS, FLAGS, INDEX

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
CATALOGUE = Catalogue.load()


def variables(patient, *, ages_h=None, flags=None, applicable=True, **others) -> Variables:
    """Variables of one patient; `ages_h` by column (else now), `flags` by name."""
    last_ms = np.full((1, len(COLUMNS)), NOW_MS, dtype=np.int64)
    for name, hours in (ages_h or {}).items():
        last_ms[0, INDEX[name]] -= round(hours * HOUR_MS)
    now_ms = every(1, NOW_MS, np.int64)
    values = age_out(rows(patient), last_ms, now_ms)
    known = sum(1 << FLAGS.index(flag) for flag in flags or {})
    true = sum(1 << FLAGS.index(flag) for flag, holds in (flags or {}).items() if holds)
    scale, applies = every(1, others.get("spo2_scale", 1), np.int8), every(1, applicable, np.bool_)
    return build_variables(
        values,
        last_ms,
        now_ms,
        every(1, known, np.uint32),
        every(1, true, np.uint32),
        news2=news2(values, scale, applies),
        qsofa=qsofa(values, applies),
        shock_index=shock_index(values, last_ms, applies),
        spo2_scale=scale,
        cxr_ms=every(1, others.get("cxr_ms", 0), np.int64),
        p_pneumothorax=every(1, others.get("p_pneumothorax", np.nan), np.float32),
        suspect=every(1, others.get("suspect", False), np.bool_),
        conflict=every(1, others.get("conflict", False), np.bool_),
        risk_band=every(1, others.get("risk_band", 0), np.int8),
        abstained=every(1, others.get("abstained", False), np.bool_),
    )


def evaluate(patient, **others) -> Evaluation:
    return CATALOGUE.evaluate(variables(patient, **others))


def indicated(patient, **others) -> set[str]:
    evaluation = evaluate(patient, **others)
    return {
        action.id for action, truth in zip(CATALOGUE.actions, evaluation.indicated[0], strict=True) if truth == TRUE
    }


def truth_of(action: str, patient, **others) -> tuple[int, int]:
    evaluation = evaluate(patient, **others)
    column = CATALOGUE.index[action]
    return int(evaluation.indicated[0, column]), int(evaluation.blocked[0, column])


class TestCatalogue:
    def test_it_has_forty_six_actions_with_rules_over_known_variables_only(self):
        assert len(CATALOGUE.actions) == len(CATALOGUE.index) == 46
        assert set(CATALOGUE.variables) == set(NAMES)

    def test_no_action_names_a_dose(self):
        assert not any(re.search(r"\d\s*(mg|mcg|mL|g|units)\b", action.text) for action in CATALOGUE.actions)

    @pytest.mark.parametrize(
        ("code", "display"),
        [
            ("281789004", "Antibiotic therapy"),
            ("713603004", "Advance care planning"),
            ("305351004", "Admission to intensive care unit"),
            ("182836005", "Review of medication"),
        ],
    )
    def test_codes_that_public_files_mislabel_carry_their_own_display(self, code, display):
        displays = {entry["display"] for action in CATALOGUE.actions for entry in action.codes if entry["code"] == code}
        assert len(displays) == 1
        assert displays.pop().startswith(display)

    def test_every_code_passes_its_check_digit(self):
        codes = [entry for action in CATALOGUE.actions for entry in action.codes]
        assert len(codes) > 30
        for entry in codes:
            check = loinc_passes if "loinc" in entry["system"] else verhoeff_passes
            assert check(entry["code"]), entry
        assert not loinc_passes("3150-6")
        assert not loinc_passes("11524-0")
        assert not verhoeff_passes("281789005")

    def test_contraindications_that_nobody_can_check_are_cautions(self):
        cautions = CATALOGUE.actions[CATALOGUE.index["niv-assess"]].cautions
        assert UNCHECKED + "undrained pneumothorax" in cautions
        assert len(cautions) == 4


def loinc_passes(code: str) -> bool:
    """LOINC's mod 10 check digit."""
    digits, check = code.split("-")
    doubled = str(int(digits[::-1][0::2][::-1]) * 2)
    total = sum(map(int, doubled + digits[::-1][1::2]))
    return (10 - total % 10) % 10 == int(check)


def verhoeff_passes(code: str) -> bool:
    """SNOMED CT's check digit: the dihedral group D5 and a permutation by place."""
    total = 0
    for place, digit in enumerate(map(int, reversed(code))):
        permuted = digit
        for _ in range(place % 8):
            permuted = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[permuted]
        low, rotation = total % 5, permuted % 5
        if total < 5:
            total = (low + rotation) % 5 + (5 if permuted >= 5 else 0)
        else:
            total = (low - rotation) % 5 + (0 if permuted >= 5 else 5)
    return total == 0


class TestFloor:
    """RCP Chart 4: what each score asks for."""

    def test_a_normal_full_set_asks_for_routine_observations_and_no_change(self):
        assert indicated(NORMAL) == {"obs-repeat-12h", "no-action-continue"}

    def test_one_to_four_asks_for_a_nurse(self):
        assert indicated({**NORMAL, "pulse": 95}) == {"obs-repeat-4h", "esc-nurse-assess"}

    def test_a_single_three_asks_for_a_doctor_within_the_hour(self):
        found = indicated({**NORMAL, "respiration_rate": 26})
        assert {"obs-repeat-1h", "esc-ward-doctor-review"} <= found
        assert "obs-repeat-4h" not in found

    def test_five_asks_for_urgent_and_seven_for_emergency_response(self):
        five = indicated({**NORMAL, "respiration_rate": 22, "pulse": 95, "systolic_bp": 95})
        assert {"esc-urgent-review", "sepsis-screen", "bloods-core"} <= five
        seven = indicated({**NORMAL, "respiration_rate": 22, "pulse": 115, "systolic_bp": 95, "temperature": 38.5})
        assert {"esc-emergency-team", "monitor-continuous"} <= seven
        assert not {"esc-urgent-review", "esc-nurse-assess"} & seven

    @pytest.mark.parametrize(
        ("patient", "action"),
        [
            ({"pulse": 95}, "esc-nurse-assess"),
            ({"respiration_rate": 30}, "esc-ward-doctor-review"),
            ({"respiration_rate": 22, "pulse": 120, "systolic_bp": 105}, "esc-urgent-review"),
            ({"respiration_rate": 30, "pulse": 140, "systolic_bp": 105}, "esc-emergency-team"),
        ],
    )
    def test_missing_readings_do_not_postpone_the_response_to_what_is_certain(self, patient, action):
        assert {action, "obs-complete-set"} <= indicated(patient)

    def test_missing_readings_are_never_reassuring(self):
        for name in NORMAL:
            found = indicated({**NORMAL, name: None})
            assert not {"obs-repeat-12h", "no-action-continue"} & found
            assert "obs-complete-set" in found

    def test_where_news2_does_not_apply_nothing_of_it_is_indicated(self):
        evaluation = evaluate({**NORMAL, "systolic_bp": 95, "respiration_rate": 22, "pulse": 115}, applicable=False)
        for action in (
            "obs-repeat-1h",
            "obs-repeat-12h",
            "esc-urgent-review",
            "esc-emergency-team",
            "obs-complete-set",
        ):
            assert evaluation.indicated[0, CATALOGUE.index[action]] == UNKNOWN

    def test_a_model_that_abstains_or_sees_risk_is_not_reassuring(self):
        for others in ({"abstained": True}, {"risk_band": 1}, {"risk_band": 2}, {"risk_band": -1}):
            assert "no-action-continue" not in indicated(NORMAL, **others)
            assert "obs-repeat-12h" in indicated(NORMAL, **others)


class TestContraindications:
    SHOCKED = {**NORMAL, "systolic_bp": 80, "pulse": 120, "respiration_rate": 26}

    @pytest.mark.parametrize(
        ("action", "patient", "flag"),
        [
            ("esc-critical-care-transfer", SHOCKED, "icu_not_appropriate"),
            ("esc-cardiac-arrest-call", {**NORMAL, "acvpu": "U"}, "dnacpr"),
            ("fluid-bolus", SHOCKED, "pulmonary_oedema"),
            ("o2-titrate-94-98", {**NORMAL, "spo2": 90}, "paraquat_or_bleomycin"),
        ],
    )
    def test_a_flag_blocks_lifts_or_stays_unknown(self, action, patient, flag):
        assert truth_of(action, patient, flags={flag: True}) == (TRUE, TRUE)
        assert truth_of(action, patient, flags={flag: False}) == (TRUE, FALSE)
        assert truth_of(action, patient) == (TRUE, UNKNOWN)

    def test_a_resuscitation_decision_stops_the_arrest_call_only(self):
        found = evaluate({**NORMAL, "acvpu": "U"}, flags={"dnacpr": True})
        blocked = {a.id for a, truth in zip(CATALOGUE.actions, found.blocked[0], strict=True) if truth == TRUE}
        assert blocked == {"esc-cardiac-arrest-call", "o2-titrate-88-92"}

    def test_the_scale_decides_the_oxygen_target(self):
        assert truth_of("o2-titrate-94-98", {**NORMAL, "spo2": 87}, spo2_scale=2)[1] == TRUE
        assert truth_of("o2-titrate-88-92", {**NORMAL, "spo2": 87}, spo2_scale=2) == (TRUE, FALSE)
        assert truth_of("o2-titrate-88-92", {**NORMAL, "spo2": 87}, spo2_scale=1) == (FALSE, TRUE)
        assert truth_of("o2-titrate-94-98", {**NORMAL, "spo2": 87}, spo2_scale=0)[0] == UNKNOWN

    @pytest.mark.parametrize(("hours", "blocked"), [(0, TRUE), (3.9, TRUE), (4, FALSE), (23, FALSE), (25, UNKNOWN)])
    def test_antibiotics_are_blocked_for_four_hours_after_a_dose(self, hours, blocked):
        patient = {**self.SHOCKED, "antibiotic_given": 1}
        ages = {"antibiotic_given": hours}
        assert truth_of("antibiotics-1h", patient, ages_h=ages, flags={"suspected_infection": True}) == (TRUE, blocked)

    @pytest.mark.parametrize(("hours", "blocked"), [(5, TRUE), (6, FALSE)])
    def test_the_newest_of_the_core_bloods_counts(self, hours, blocked):
        patient = {**NORMAL, "wbc": 9, "crp": 5}
        assert truth_of("bloods-core", patient, ages_h={"wbc": 20, "crp": hours})[1] == blocked
        assert truth_of("bloods-core", NORMAL)[1] == UNKNOWN

    def test_a_recent_chest_film_blocks_another(self):
        patient = {**NORMAL, "respiration_rate": 26}
        assert truth_of("cxr-urgent", patient, cxr_ms=NOW_MS - HOUR_MS) == (TRUE, TRUE)
        assert truth_of("cxr-urgent", patient, cxr_ms=NOW_MS - 5 * HOUR_MS) == (TRUE, FALSE)
        assert truth_of("cxr-urgent", patient) == (TRUE, UNKNOWN)

    def test_what_is_not_known_must_be_checked_by_who_reads_it(self):
        action = CATALOGUE.actions[CATALOGUE.index["esc-critical-care-transfer"]]
        assert action.cautions_for(FALSE) == ()
        assert action.cautions_for(UNKNOWN) == (UNKNOWN_BLOCK + action.contraindications[0],)


class TestVariables:
    def test_flags_are_three_valued_and_truth_needs_to_be_known(self):
        built = variables(NORMAL, flags={"syncope": True, "seizure": False})
        assert [float(bound[0]) for bound in built["flag.syncope"]] == [1, 1]
        assert [float(bound[0]) for bound in built["flag.seizure"]] == [0, 0]
        assert [float(bound[0]) for bound in built["flag.chest_pain"]] == [-np.inf, np.inf]

    def test_every_flag_of_the_table_reaches_the_rules(self):
        assert len(set(FLAG_VARIABLES)) == len(FLAGS) == 24
        assert set(FLAG_VARIABLES) <= set(CATALOGUE.variables)

    def test_mean_pressure_is_measured_or_formed_from_the_two_pressures(self):
        assert variables({**NORMAL, "map": 70, "diastolic_bp": 60})["map"].low[0] == 70
        assert variables({**NORMAL, "diastolic_bp": 60})["map"].low[0] == 80
        assert variables(NORMAL)["map"].high[0] == np.inf

    def test_staleness_is_the_age_of_the_newest_vital_sign(self):
        ages = dict.fromkeys(NORMAL, 2.0)
        assert "obs-complete-set" in indicated(NORMAL, ages_h=ages)
        assert "obs-complete-set" not in indicated(NORMAL, ages_h={**ages, "pulse": 0.5})

    def test_rules_read_charted_values_as_the_score_does(self):
        assert "rewarm" in indicated({**NORMAL, "temperature": 35.04})
        assert "rewarm" not in indicated({**NORMAL, "temperature": 35.05})
        assert "monitor-cardiac" in indicated({**NORMAL, "pulse": 130.5})

    @pytest.mark.parametrize(
        ("patient", "others", "action"),
        [
            (NORMAL, {"suspect": True}, "obs-verify-artefact"),
            (NORMAL, {"conflict": True}, "obs-verify-artefact"),
            (NORMAL, {"p_pneumothorax": 0.6}, "pneumothorax-review"),
            (NORMAL, {"flags": {"nurse_concern": True}}, "esc-carer-concern"),
            ({**NORMAL, "respiration_rate": 8}, {"flags": {"opioid_24h": True}}, "naloxone-consider"),
            ({**NORMAL, "acvpu": "C"}, {"flags": {"anticoagulant": True}}, "ct-head"),
            ({**NORMAL, "acvpu": "C"}, {}, "delirium-screen"),
            ({**NORMAL, "lactate": 4}, {}, "fluid-bolus"),
            ({**NORMAL, "potassium": 6.5}, {}, "monitor-cardiac"),
            ({**NORMAL, "ph": 7.3, "paco2_kpa": 7, "respiration_rate": 24}, {}, "niv-assess"),
            ({**NORMAL, "aki_stage": 1}, {}, "med-review"),
            ({**NORMAL, "urine_ml_kg_h": 0.4}, {}, "fluid-balance-hourly"),
            ({**NORMAL, "map": 60, "fluid_bolus_given": 1}, {}, "vasopressor-discuss"),
            ({**NORMAL, "pulse": 100, "systolic_bp": 100}, {}, "lactate"),
            ({**NORMAL, "spo2": 93}, {}, "cxr-urgent"),
        ],
    )
    def test_each_variable_reaches_its_rule(self, patient, others, action):
        assert action in indicated(patient, **others)
        assert action not in indicated(NORMAL)

    def test_a_name_that_is_missing_is_unknown(self):
        result = CATALOGUE.evaluate({"pulse": Interval(np.float32([140]), np.float32([140]))})
        assert result.indicated[0, CATALOGUE.index["monitor-cardiac"]] == TRUE
        assert result.indicated[0, CATALOGUE.index["obs-repeat-1h"]] == UNKNOWN


@st.composite
def narrowings(draw):
    """Intervals of all variables, and the same narrowed to points inside them."""
    wide, narrow = {}, {}
    for name in CATALOGUE.variables:
        low, high = sorted(draw(st.tuples(st.integers(0, 8), st.integers(0, 8))))
        point = draw(st.integers(low, high))
        wide[name] = Interval(np.float32([low]), np.float32([high]))
        narrow[name] = Interval(np.float32([point]), np.float32([point]))
    return wide, narrow


class TestMonotony:
    @given(narrowings())
    @settings(max_examples=50, deadline=None)
    def test_learning_more_never_contradicts_what_was_certain(self, drawn):
        wide, narrow = (CATALOGUE.evaluate(each) for each in drawn)
        for before, after in ((wide.indicated, narrow.indicated), (wide.blocked, narrow.blocked)):
            assert ((before == UNKNOWN) | (before == after)).all()
            assert (after != UNKNOWN).all()
