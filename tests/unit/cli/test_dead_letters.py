"""What of a dead letter is shown, and what goes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workers.cli.dead_letters import DeadLetter, describe, original, select
from workers.cli.errors import UserError

ERRORS = (
    ("x-error-reason", b"schema"), ("x-error-topic", b"h.patient.vitals"), ("x-error-partition", b"3"),
    ("x-error-offset", b"17"),
)  # fmt: skip


def letter(name: str = "0:1", *more: tuple[str, bytes]) -> DeadLetter:
    headers = (("traceparent", b"00-ab"), *ERRORS, *more)
    return DeadLetter(name, datetime(2026, 3, 1, tzinfo=UTC), b"patient-9", b'{"secret": 1}', headers)


def test_the_original_goes_back_with_its_key_and_headers_and_without_ours():
    assert original(letter(), "h.") == {
        "topic": "h.patient.vitals",
        "key": b"patient-9",
        "value": b'{"secret": 1}',
        "headers": [("traceparent", b"00-ab")],
    }


def test_a_letter_whose_value_was_left_out_cannot_go_back():
    with pytest.raises(UserError, match="too large"):
        original(letter("0:1", ("x-error-value-omitted", b"true")), "h.")


def test_a_letter_of_a_topic_that_is_no_input_does_not_go_back():
    with pytest.raises(UserError, match="not an input topic"):
        original(letter(), "other.")


def test_key_and_value_stay_hidden_unless_revealed():
    hidden = "\n".join(describe(letter(), reveal=False))
    assert "patient-9" not in hidden
    assert "secret" not in hidden
    assert "13 bytes" in hidden
    assert "Validate against the JSON Schema" in hidden
    assert "secret" in "\n".join(describe(letter(), reveal=True))


def test_letters_are_selected_by_name_or_reason():
    letters = [letter("0:1"), letter("0:2")]
    assert [each.name for each in select(letters, ["0:2"], None)] == ["0:2"]
    assert len(select(letters, [], "schema")) == 2
    with pytest.raises(UserError, match="0:9"):
        select(letters, ["0:9"], None)
    with pytest.raises(UserError, match="not_json"):
        select(letters, [], "not_json")
