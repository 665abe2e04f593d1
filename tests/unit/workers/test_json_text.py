"""JSON by the column says what serialising the values one by one would say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workers.json_text import SLOT, Patterns, instants, lists, numbers, template, text

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SLOT))


@given(ANY_TEXT, ANY_TEXT)
def test_a_filled_template_is_the_value(name, value):
    shape = {name + "1": "100 % %s %(x)s", name + "2": SLOT, name + "3": [SLOT, None]}
    filled = template(shape) % (text(value), text([value]))
    assert json.loads(filled) == {name + "1": "100 % %s %(x)s", name + "2": value, name + "3": [[value], None]}


@given(arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(0, 4))))
def test_numbers_are_told_apart_and_what_is_no_number_is_null(values):
    found = [json.loads(each) for each in numbers(values)]
    assert len(found) == values.size
    for said, value in zip(found, values.ravel(), strict=True):
        assert (said is None and not np.isfinite(value)) or np.float32(said) == value


def test_truth_values_and_integers():
    assert numbers(np.array([True, False])) == ["true", "false"]
    assert numbers(np.array([[-1, 300]], np.int16)) == ["-1", "300"]


FIRST, LAST = -62_135_596_800_000, 253_402_207_200_000  # the year 1 to the last day but one of 9999


@given(st.lists(st.integers(FIRST, LAST), max_size=5))
def test_instants_are_as_the_standard_library_has_them(moments):
    start = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [f'"{(start + timedelta(milliseconds=ms)).isoformat()}"' for ms in moments]
    assert instants(np.array(moments, np.int64)) == expected


@given(st.lists(st.integers(0, 4), max_size=6))
def test_lists_take_their_share_in_order(counts):
    entries = [str(k) for k in range(sum(counts))]
    made = [json.loads(each) for each in lists(entries, counts)]
    assert [len(each) for each in made] == counts
    assert [k for each in made for k in each] == list(range(sum(counts)))


class TestPatterns:
    def test_are_spelt_once(self):
        asked = []
        patterns = Patterns(lambda codes: asked.append(codes) or str(codes))
        assert patterns.of(np.array([[1, -2], [3, 4], [1, -2]])) == ["[1, -2]", "[3, 4]", "[1, -2]"]
        assert patterns.of(np.array([[3, 4]])) == ["[3, 4]"]
        assert asked == [[1, -2], [3, 4]]

    def test_are_forgotten_before_they_fill_the_memory(self):
        patterns = Patterns(str, most=10)
        for k in range(100):
            assert patterns.of(np.array([[k], [k]])) == [f"[{k}]"] * 2
        assert len(patterns._known) <= 11
