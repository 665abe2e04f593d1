"""Slow start after an unclean end: care for the head, then a window that doubles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.slow_start import CLEAN, Care, Mark, SlowStart, decode_mark


@given(st.integers(1, 999_999), st.integers(0, 2**63 - 1))
def test_a_mark_survives_the_commit(attempts, until):
    assert decode_mark(Mark(attempts, until).encode()) == Mark(attempts, until)


def test_a_clean_end_writes_no_metadata():
    assert CLEAN.encode() == ""


def test_a_count_alone_is_read():
    assert decode_mark('{"attempts": 2}') == Mark(2, 0)


@given(st.text())
def test_whatever_others_wrote_reads_as_a_mark(metadata):
    assert decode_mark(metadata).attempts >= 0


@pytest.mark.parametrize(
    "foreign",
    [None, "", "{", "[1]", "7", '"x"', "null", '{"attempts": -1}', '{"attempts": "3"}', '{"attempts": 1.5}',
     '{"attempts": null}', '{"attempts": 1000000}', '{"tries": 3}', "[" * 100_000, '{"attempts": true}',
     '{"until": 7}'],
)  # fmt: skip
def test_what_this_system_did_not_write_counts_as_a_clean_end(foreign):
    assert decode_mark(foreign) == CLEAN


@pytest.mark.parametrize("until", ["-1", '"9"', "1.5", "true", str(2**63)])
def test_a_span_that_cannot_be_is_no_span(until):
    assert decode_mark(f'{{"attempts": 1, "until": {until}}}') == Mark(1, 0)


@pytest.mark.parametrize(
    ("attempts", "care"),
    [
        (1, Care.ALONE), (2, Care.ALONE), (3, Care.WITHOUT_MODELS), (4, Care.WITHOUT_MODELS), (5, Care.UNDECODED),
        (50, Care.UNDECODED),
    ],
)  # fmt: skip
def test_the_head_is_treated_by_how_often_somebody_died_here(attempts, care):
    assert SlowStart(0, attempts).care() is care


def test_only_the_head_is_under_suspicion():
    start = SlowStart(7, 5)
    start.progressed(8)
    assert start.care() is Care.NORMAL


def windows(start: SlowStart) -> list[int]:
    seen = []
    while not start.over:
        seen.append(start.window)
        start.progressed(start.position + start.window)
    return seen


def test_the_window_opens_by_doubling_until_it_is_forgotten():
    assert windows(SlowStart(0, 1)) == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def test_a_known_span_runs_one_record_at_a_time():
    assert windows(SlowStart(10, 1, until=15)) == [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def dies_at(poison: int, position: int, mark: Mark, *, hangs: bool) -> tuple[int, Mark, bool]:
    """A worker's life from what it finds to where it dies on the poison, or to the poison's end without models."""
    start = SlowStart(position, *mark) if mark.attempts else None
    now = Mark(mark.attempts + 1, mark.until)
    while True:
        open_wide = start is None or start.over
        window = 1024 if open_wide else start.window
        if not open_wide and window > 1:
            start.until = max(start.until, position + window)
            now = Mark(now.attempts, start.until)
        if position <= poison < position + window:
            if not open_wide and start.care() >= Care.WITHOUT_MODELS:
                return position, now, True
            return position, Mark(now.attempts, position + window) if hangs else now, False
        position += window
        now = Mark(1) if open_wide else start.mark()
        if start is not None:
            start.progressed(position)
            now = start.mark()


@pytest.mark.parametrize(("hangs", "most"), [(True, 4), (False, 5)])
@given(poison=st.integers(0, 900), head=st.integers(0, 500))
def test_a_poison_is_soon_the_head_and_alone(hangs, most, poison, head):
    """Three deaths at the head and alone; before them one in full flight, and one in a window where it was killed."""
    position, mark, deaths = head, CLEAN, 0
    while True:
        position, mark, ended = dies_at(head + poison, position, mark, hangs=hangs)
        if ended:
            break
        deaths += 1
        assert deaths <= most
    assert position == head + poison
