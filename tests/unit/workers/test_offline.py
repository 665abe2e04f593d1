"""Reading a file of records: what a line may be, and what is said of one that is none."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.made import image, note, vitals
from workers.offline import BadLineError, Line, parse


class TestLines:
    @pytest.mark.parametrize(
        ("event", "topic"), [(vitals(), "patient.vitals"), (note(), "patient.notes"), (image(), "patient.imaging")]
    )
    def test_an_event_tells_its_topic(self, event, topic):
        raw = json.dumps(event).encode()
        assert parse(raw + b"\n", 1) == Line(topic, None, raw)

    @pytest.mark.parametrize("raw", [b"", b"  ", b"\n", b"\r\n"])
    def test_an_empty_line_is_none(self, raw):
        assert parse(raw, 1) is None

    def test_an_envelope_names_topic_and_key(self):
        made = parse(b'{"topic": "hospital.patient.notes", "key": "p", "value": {"a": 1}}', 1)
        assert made == Line("patient.notes", b"p", b'{"a":1}')

    def test_an_envelope_may_carry_a_tombstone(self):
        assert parse(b'{"topic": "patient.vitals", "value": null}', 1) == Line("patient.vitals", None, None)

    def test_an_envelope_may_carry_bytes_that_are_no_json(self):
        raw = json.dumps({"topic": "patient.vitals", "value_base64": base64.b64encode(b"\xff\x00").decode()})
        assert parse(raw.encode(), 1) == Line("patient.vitals", None, b"\xff\x00")

    def test_a_value_that_is_no_event_is_left_to_the_pipeline(self):
        assert parse(b'{"topic": "patient.vitals", "value": 7}', 1).value == b"7"


class TestErrors:
    @pytest.mark.parametrize(
        ("raw", "says"),
        [
            (b"{", "line 12 is not JSON"), (b"\xff", "line 12 is not JSON"), (b"nan", "line 12 is not JSON"),
            (b"[1]", "line 12 is not a JSON object"), (b'"x"', "line 12 is not a JSON object"),
            (b'{"topic": "patient.labs", "value": {}}', "patient.vitals, patient.notes, patient.imaging"),
            (b'{"value": {}}', "line 12 names no input topic"),
            (b'{"topic": 7, "value": {}}', "line 12 names no input topic"),
            (b'{"topic": "patient.vitals", "value_base64": "***"}', "line 12: value_base64 is not base64"),
            (b'{"topic": "patient.vitals", "value_base64": 7}', "line 12: value_base64 is not base64"),
            (b'{"topic": "patient.vitals", "value_base64": "\xc3\xa4"}', "line 12: value_base64 is not base64"),
        ],
    )  # fmt: skip
    def test_say_which_line_and_what_is_needed(self, raw, says):
        with pytest.raises(BadLineError, match=says):
            parse(raw, 12)

    @pytest.mark.parametrize(
        "raw", [b'{"patient_id": "Ada Lovelace"', b'["Ada Lovelace"]', b'{"topic": "Ada Lovelace", "value": 1}']
    )
    def test_repeat_nothing_of_the_line(self, raw):
        with pytest.raises(BadLineError) as raised:
            parse(raw, 1)
        assert "Ada" not in str(raised.value)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_line_or_a_reason(self, raw):
        try:
            made = parse(raw, 1)
        except BadLineError:
            return
        assert made is None or made.topic.startswith("patient.")
