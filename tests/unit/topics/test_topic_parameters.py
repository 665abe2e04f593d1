"""Parameters and reasons: the tables agree with what they were made from and with each other."""

from __future__ import annotations

import pytest

from models.columns import ACVPU, COLUMNS, FLAGS
from topics.notes import NOTE_KINDS
from topics.override_reasons import OVERRIDE_REASONS
from topics.parameters import ACVPU_WORDS, CODES, FAHRENHEIT, FLAG_NAMES, PARAMETERS
from topics.reasons import DEAD_LETTER, GUIDE, Reason, markdown


def loinc_is_valid(code: str) -> bool:
    """Check digit of LOINC: mod 10 (Luhn) over the digits before the hyphen."""
    number, check = code.split("-")
    doubled = [int(digit) * (2 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(number))]
    return -sum(value - 9 if value > 9 else value for value in doubled) % 10 == int(check)


def test_parameters_and_flags_are_the_columns_of_the_clinical_table():
    assert [(p.name, p.unit) for p in PARAMETERS] == [(c.name, c.unit) for c in COLUMNS]
    assert FLAG_NAMES == FLAGS
    assert [ACVPU_WORDS[letter] for letter in ACVPU] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("code", [code for code in (*CODES, *NOTE_KINDS) if "-" in code])
def test_loinc_check_digits_are_right(code: str):
    assert loinc_is_valid(code)


def test_the_check_digit_test_tells_a_wrong_code():
    assert loinc_is_valid("3150-0")
    assert not loinc_is_valid("3150-6")


def test_no_code_stands_for_two_parameters():
    named = [code for p in PARAMETERS for code in (p.name, *p.loinc, *p.loinc_units)]
    assert len(named) == len(set(named)) == len(CODES)


@pytest.mark.parametrize("parameter", [p for p in PARAMETERS if p.units], ids=lambda p: p.name)
def test_the_canonical_unit_is_accepted_as_it_is_and_intervals_are_intervals(parameter):
    assert parameter.units[parameter.unit] == 1.0
    assert parameter.low <= parameter.high
    assert all(factor > 0 or factor == FAHRENHEIT for factor in parameter.units.values())


def test_a_unit_may_be_left_out_only_where_no_other_scale_could_be_meant():
    for parameter in PARAMETERS:
        if None in parameter.units:
            assert {factor for factor in parameter.units.values() if factor != FAHRENHEIT} == {1.0}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_with_advice(reason: Reason):
    assert reason.explanation.endswith(".")
    assert reason.advice.endswith(".")


def test_the_guide_has_no_reason_twice_or_too_many():
    assert set(GUIDE) == set(Reason)
    assert set(Reason) >= DEAD_LETTER


def test_the_producers_table_has_one_row_a_reason():
    lines = markdown().splitlines()
    assert len(lines) == len(Reason) + 2
    assert all(line.count("|") == 5 for line in lines)
    assert (
        markdown([Reason.NULL_VALUE])
        .splitlines()[2]
        .startswith("| `null_value` | dead letter | The record has no value;")
    )
    assert markdown([Reason.STALE]).splitlines()[2].startswith("| `stale` | flag |")


def test_override_reasons_have_the_twelve_codes_offered_to_clinicians_first():
    assert len(OVERRIDE_REASONS) == 35
    assert list(OVERRIDE_REASONS)[:12] == [
        "cds-not-applicable", "cds-suboptimal-context", "recipient-disagrees-evidence", "recipient-concerns-outcomes",
        "does-not-align-preferences", "not-convenient-feasible", "action-completed", "patient-contraindication",
        "patient-refuses", "too-costly-uncovered", "service-not-available", "recipient-does-not-understand",
    ]  # fmt: skip
