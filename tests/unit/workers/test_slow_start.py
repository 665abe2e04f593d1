"""Slow start after an unclean end: care for the head, then a window that doubles."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.slow_start import Care, SlowStart, decode_attempts, encode_attempts


@given(st.integers(0, 999_999))
def test_the_count_survives_the_commit(attempts):
    assert decode_attempts(encode_attempts(attempts)) == attempts


def test_a_clean_end_writes_no_metadata():
    assert encode_attempts(0) == ""


@given(st.text())
def test_whatever_others_wrote_reads_as_a_count(metadata):
    assert decode_attempts(metadata) >= 0


@pytest.mark.parametrize(
    "foreign",
    [None, "", "{", "[1]", "7", '"x"', "null", '{"attempts": -1}', '{"attempts": "3"}', '{"attempts": 1.5}',
     '{"attempts": null}', '{"attempts": 1000000}', '{"tries": 3}', "[" * 100_000, '{"attempts": true}'],
)  # fmt: skip
def test_what_this_system_did_not_write_counts_as_a_clean_end(foreign):
    assert decode_attempts(foreign) == 0


@pytest.mark.parametrize(
    ("attempts", "care"),
    [
        (1, Care.ALONE), (2, Care.ALONE), (3, Care.WITHOUT_MODELS), (4, Care.WITHOUT_MODELS), (5, Care.UNDECODED),
        (50, Care.UNDECODED),
    ],
)  # fmt: skip
def test_the_head_is_treated_by_how_often_somebody_died_here(attempts, care):
    assert SlowStart(attempts).care() is care


def test_only_the_head_is_under_suspicion():
    start = SlowStart(5)
    start.progressed()
    assert start.care() is Care.NORMAL


def test_the_window_opens_by_doubling_until_it_is_forgotten():
    start = SlowStart(1)
    windows = []
    while not start.over:
        windows.append(start.window)
        start.progressed()
    assert windows == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


@given(poison=st.integers(0, 3000), head=st.integers(0, 500))
def test_a_poison_anywhere_ends_as_the_head_and_alone(poison, head):
    """Each worker dies on the poison, having committed all that ended; the next starts there."""
    committed, attempts, deaths = head, 0, 0
    poison += head
    while True:
        deaths += 1
        found = attempts
        start = SlowStart(found) if found else None
        attempts = found + 1
        position = committed
        while True:
            window = start.window if start and not start.over else 1024
            if start and position == poison and start.care() is Care.UNDECODED:
                assert deaths <= 40
                return
            if position <= poison < position + window:
                break  # died: nothing of this window is committed
            position += window
            committed, attempts = position, 1
            if start:
                start.progressed()
        assert deaths <= 40
        assert json.loads(encode_attempts(attempts)) == {"attempts": attempts}
