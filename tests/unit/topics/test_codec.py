"""The codec: what is refused and why, what is not, and that no record touches another."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.topics.made import EVENT_MS, NOW_MS, as_bytes, observed, vitals
from topics.catalogue import TOPICS
from topics.codec import FUTURE_TOLERANCE_MS, Decoded, Rejected, decode
from topics.control import ControlEvent
from topics.events import MAX_VALUE_BYTES, Envelope
from topics.feedback import FeedbackEvent
from topics.imaging import ImagingEvent
from topics.notes import NoteEvent
from topics.reasons import DEAD_LETTER, Reason
from topics.schemas import example
from topics.vitals import VitalsEvent

GOOD = as_bytes(vitals())
KINDS = [topic.kind for topic in TOPICS if topic.kind is not None and issubclass(topic.kind, Envelope)]


def one(value: bytes | None, key: bytes | None = None, kind: type[Envelope] = VitalsEvent) -> Decoded | Rejected:
    (answer,) = decode(kind, [(key, value)], now_ms=NOW_MS)
    return answer


POISON = {
    "tombstone": (None, Reason.NULL_VALUE),
    "empty": (b"", Reason.NOT_JSON),
    "white space": (b" \n", Reason.NOT_JSON),
    "oversized": (b" " * MAX_VALUE_BYTES + GOOD, Reason.TOO_LARGE),
    "latin-1": (GOOD.replace(b"monitor", b"M\xfcller"), Reason.NOT_UTF8),
    "utf-16": (GOOD.decode().encode("utf-16"), Reason.NOT_UTF8),
    "gzip": (b"\x1f\x8b\x08\x00", Reason.NOT_UTF8),
    "encoded surrogate": (GOOD.replace(b"monitor", b"\xed\xa0\x80"), Reason.NOT_UTF8),
    "escaped lone surrogate": (GOOD.replace(b"monitor", b"\\ud800"), Reason.NOT_JSON),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, Reason.NOT_JSON),
    "truncated": (GOOD[:-1], Reason.NOT_JSON),
    "two documents": (GOOD + GOOD, Reason.NOT_JSON),
    "nested deeply": (GOOD.replace(b"37.2", b"[" * 9999 + b"]" * 9999), Reason.NOT_JSON),
    "integer of 5000 digits": (GOOD.replace(b"37.2", b"9" * 5000), Reason.NOT_JSON),
    "list": (b"[" + GOOD + b"]", Reason.SCHEMA),
    "number": (b"1", Reason.SCHEMA),
    "unknown field": (as_bytes(vitals(heart="1")), Reason.SCHEMA),
    "unknown field within": (as_bytes(vitals(observations=[observed("pulse", 1) | {"x": 1}])), Reason.SCHEMA),
    "observations of wrong type": (as_bytes(vitals(observations={})), Reason.SCHEMA),
    "observation without code": (as_bytes(vitals(observations=[{"value": 1}])), Reason.SCHEMA),
    "unknown status": (as_bytes(vitals(status="amended")), Reason.SCHEMA),
    "final that replaces": (as_bytes(vitals(replaces="event-0")), Reason.SCHEMA),
    "no version": (as_bytes(vitals("schema_version")), Reason.SCHEMA_VERSION),
    "numeric version": (as_bytes(vitals(schema_version=1.0)), Reason.SCHEMA_VERSION),
    "odd version": (as_bytes(vitals(schema_version="1")), Reason.SCHEMA_VERSION),
    "next major": (as_bytes(vitals(schema_version="2.0")), Reason.SCHEMA_VERSION),
    "next major, unlike this one": (b'{"schema_version": "2.0", "id": 1}', Reason.SCHEMA_VERSION),
    "no event id": (as_bytes(vitals("event_id")), Reason.IDENTITY),
    "numeric patient id": (as_bytes(vitals(patient_id=17)), Reason.IDENTITY),
    "empty patient id": (as_bytes(vitals(patient_id="")), Reason.IDENTITY),
    "control character in id": (as_bytes(vitals(patient_id="a\u0085b")), Reason.IDENTITY),
    "long event id": (as_bytes(vitals(event_id="x" * 129)), Reason.IDENTITY),
    "patient id twice": (GOOD[:-1] + b', "patient_id": "patient-2"}', Reason.IDENTITY),
    "no time": (as_bytes(vitals("event_time")), Reason.EVENT_TIME_MISSING),
    "epoch number": (as_bytes(vitals(event_time=1772349300)), Reason.EVENT_TIME_INVALID),
    "epoch text": (as_bytes(vitals(event_time="1772349300")), Reason.EVENT_TIME_INVALID),
    "no such day": (as_bytes(vitals(event_time="2026-02-30T08:00:00Z")), Reason.EVENT_TIME_INVALID),
    "before year 1 in UTC": (as_bytes(vitals(event_time="0001-01-01T00:00:00+14:00")), Reason.EVENT_TIME_INVALID),
    "naive time": (as_bytes(vitals(event_time="2026-03-01T08:15:00")), Reason.EVENT_TIME_NAIVE),
    "future": (as_bytes(vitals(event_time="2026-03-01T07:31:40.001Z")), Reason.EVENT_TIME_FUTURE),
    "correction of nothing": (as_bytes(vitals(status="corrected")), Reason.REPLACES_MISSING),
    "retraction of nothing": (as_bytes(vitals(status="entered-in-error")), Reason.REPLACES_MISSING),
    "correction of itself": (as_bytes(vitals(status="corrected", replaces="event-1")), Reason.REPLACES_MISSING),
}


@pytest.mark.parametrize(("value", "reason"), POISON.values(), ids=POISON)
def test_poison_is_refused_for_its_own_reason(value: bytes | None, reason: Reason):
    answer = one(value)
    assert isinstance(answer, Rejected)
    assert answer.reason == reason
    assert reason in DEAD_LETTER
    assert answer.detail


def test_poison_costs_no_neighbour_and_answers_keep_their_order():
    records = [(None, value) for poison, _ in POISON.values() for value in (poison, GOOD)]
    answers = decode(VitalsEvent, records, now_ms=NOW_MS)
    assert [answer.reason for answer in answers[::2]] == [reason for _, reason in POISON.values()]
    assert answers[1::2] == [one(GOOD)] * len(POISON)


class TestWhatIsAccepted:
    def test_event_time_becomes_utc_and_whole_milliseconds(self):
        answer = one(GOOD)
        assert answer.event_ms == EVENT_MS
        assert answer.event.event_time == datetime(2026, 3, 1, 7, 15, 0, 678_000, tzinfo=UTC)
        assert answer.event.event_time.utcoffset() == timedelta(0)
        assert answer.unknown_fields == 0

    @pytest.mark.parametrize("text", ["1969-12-31T23:59:59.9999Z", "1970-01-01T00:59:59.999999+01:00"])
    def test_milliseconds_before_1970_round_down_too(self, text: str):
        assert one(as_bytes(vitals(event_time=text))).event_ms == -1

    def test_five_minutes_ahead_is_still_the_present(self):
        value = as_bytes(vitals(event_time="2026-03-01T07:31:40Z"))
        assert one(value).event_ms == NOW_MS + FUTURE_TOLERANCE_MS

    @pytest.mark.parametrize("key", [b"patient-1", None])
    def test_own_key_and_missing_key_are_fine(self, key: bytes | None):
        assert isinstance(one(GOOD, key), Decoded)

    @pytest.mark.parametrize("key", [b"patient-2", b"", b"patient-1 ", b"\xff\xfe"])
    def test_another_key_is_a_mismatch(self, key: bytes):
        assert one(GOOD, key).reason == Reason.KEY_MISMATCH

    def test_control_events_are_keyed_by_their_subject(self):
        value = example("control")
        assert isinstance(one(value, b"thresholds/ward-7", ControlEvent), Decoded)
        assert one(value, b"deterioration-lead", ControlEvent).reason == Reason.KEY_MISMATCH

    @pytest.mark.parametrize(
        "value", ["NaN", "-Infinity", "1e999", "9" * 400, "null", "[[]]", '"\\u0000"', "{}", "true"]
    )
    def test_no_clinical_value_costs_the_event(self, value: str):
        assert isinstance(one(GOOD.replace(b"37.2", value.encode())), Decoded)

    def test_the_word_patient_id_in_a_value_is_no_second_identity(self):
        assert isinstance(one(as_bytes(vitals(source="patient_id"))), Decoded)

    def test_a_subject_that_cannot_be_used_becomes_unknown(self):
        subject = one(as_bytes(vitals(subject={"age_years": -1, "sex": "x", "pregnant": []}))).event.subject
        assert subject.age_years != subject.age_years
        assert (subject.sex, subject.pregnant) == (None, None)


class TestSchemaVersion:
    def test_a_higher_minor_version_may_have_unknown_fields_which_are_counted(self):
        event = vitals(
            schema_version="1.7",
            shift="night",
            oxygen={"humidified": True},
            observations=[observed("pulse", 80) | {"x": 1}],
        )
        answer = one(as_bytes(event))
        assert answer.unknown_fields == 3
        assert answer.event.observations == [{"code": "pulse", "value": 80}]

    def test_a_higher_minor_version_without_unknown_fields_counts_none(self):
        assert one(as_bytes(vitals(schema_version="1.1"))).unknown_fields == 0

    def test_a_higher_minor_version_does_not_excuse_other_faults(self):
        answer = one(as_bytes(vitals(schema_version="1.7", shift="night", patient_id=3)))
        assert answer == Rejected(Reason.IDENTITY, "patient_id: string_type")

    def test_the_version_is_judged_before_anything_else_of_the_event(self):
        assert one(as_bytes(vitals(schema_version="2.0", patient_id=3))).reason == Reason.SCHEMA_VERSION


class TestDetail:
    def test_names_fields_and_kinds_of_error(self):
        answer = one(as_bytes(vitals("source", observations=[{"value": 1}, 5])))
        assert answer.detail == "source: missing; observations.0.code: missing; observations.1: dict_type"

    def test_is_short_however_many_errors_there_are(self):
        answer = one(as_bytes(vitals(observations=[{}] * 400)))
        assert answer.detail.endswith("; and 795 more")
        assert len(answer.detail) < 300

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    def test_repeats_nothing_that_the_record_says(self, kind: type[Envelope]):
        secret = "Jane Roe 1954"
        event = dict.fromkeys(kind.model_fields, secret) | {"schema_version": "1.0", secret: secret}
        for name in kind.model_fields:
            for value in (secret, [secret], {secret: secret}, [{secret: secret}], {"kind": secret}):
                answer = one(as_bytes(event | {name: value}), secret.encode(), kind)
                assert isinstance(answer, Rejected)
                assert "Roe" not in answer.detail

    def test_of_a_future_time_does_not_give_the_time_away(self):
        near = one(as_bytes(vitals(event_time="2026-03-01T07:36:00Z")))
        far = one(as_bytes(vitals(event_time="2080-03-01T07:36:00Z")))
        assert (near.detail, far.detail) == ("event_time: 9 minutes ahead", "event_time: an hour or more ahead")


class TestOtherEvents:
    def test_an_image_says_which_way_it_came_in_its_errors(self):
        event = json.loads(example("imaging"))
        del event["image"]["sha256"]
        assert one(as_bytes(event), kind=ImagingEvent).detail == "image.claim_check.sha256: missing"

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"uri": "s3://key:secret@images/a.png"}, "uri_credentials"),
            ({"uri": "gopher://images/a.png"}, "string_pattern_mismatch"),
            ({"uri": "http://[::1/a.png"}, "uri_invalid"),
            ({"sha256": "abc"}, "string_pattern_mismatch"),
            ({"size_bytes": 0}, "greater_than_equal"),
            ({"media_type": "image/svg+xml"}, "literal_error"),
        ],
    )
    def test_a_claim_check_that_cannot_be_followed_is_refused(self, change: dict, error: str):
        event = json.loads(example("imaging"))
        event["image"] |= change
        answer = one(as_bytes(event), kind=ImagingEvent)
        assert answer.reason == Reason.SCHEMA
        assert answer.detail.endswith(error)

    @pytest.mark.parametrize("data", ["", "not base64!", "AAA", "QUJD\nQUJD", "A" * 400_000])
    def test_an_inline_image_is_strict_base64_of_limited_size(self, data: str):
        event = json.loads(example("imaging-inline"))
        event["image"]["data"] = data
        assert one(as_bytes(event), kind=ImagingEvent).reason == Reason.SCHEMA

    def test_an_inline_image_arrives_as_its_bytes(self):
        assert one(example("imaging-inline"), kind=ImagingEvent).event.image.data.startswith(b"\x89PNG")

    def test_hashes_are_compared_in_lower_case(self):
        event = json.loads(example("imaging"))
        event["image"]["sha256"] = event["image"]["sha256"].upper()
        assert one(as_bytes(event), kind=ImagingEvent).event.image.sha256 == event["image"]["sha256"].lower()

    @pytest.mark.parametrize(
        ("kind", "name", "field"), [(NoteEvent, "notes", "text"), (ImagingEvent, "imaging", "image")]
    )
    def test_content_may_be_absent_from_a_retraction_only(self, kind: type[Envelope], name: str, field: str):
        event = json.loads(example(name))
        del event[field]
        assert one(as_bytes(event), kind=kind).reason == Reason.SCHEMA
        event |= {"status": "entered-in-error", "replaces": "event-0"}
        assert isinstance(one(as_bytes(event), kind=kind), Decoded)

    def test_a_note_has_at_most_100_000_characters(self):
        event = json.loads(example("notes"))
        assert isinstance(one(as_bytes(event | {"text": "x" * 100_000}), kind=NoteEvent), Decoded)
        assert one(as_bytes(event | {"text": "x" * 100_001}), kind=NoteEvent).detail == "text: string_too_long"

    def test_a_note_of_unlisted_kind_is_read_and_said_to_be_unknown(self):
        event = json.loads(example("notes"))
        assert one(as_bytes(event), kind=NoteEvent).event.kind_known
        assert not one(as_bytes(event | {"kind": "47045-0"}), kind=NoteEvent).event.kind_known

    @pytest.mark.parametrize(
        "change",
        [
            {"override_reason": None},
            {"override_reason": "because"},
            {"outcome": "accepted"},
            {"outcome": "ignored"},
            {"snooze_minutes": 30},
            {"outcome": "snoozed", "override_reason": None, "snooze_minutes": 0},
        ],
    )
    def test_feedback_that_contradicts_itself_is_refused(self, change: dict):
        event = json.loads(example("feedback")) | change
        assert one(as_bytes(event), kind=FeedbackEvent).reason == Reason.SCHEMA

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("control", {"subject": "thresholds/ward-8"}),
            ("control", {"reason": ""}),
            ("control", {"setting": {"kind": "thresholds", "unit": "ward-7", "news2_raise": 4, "news2_clear": 5}}),
            ("control-model", {"subject": "model/vitals"}),
            ("control-model", {"setting": {"kind": "model", "name": "gpt", "enabled": True}}),
            ("control-kill-switch", {"expires_at": "2026-03-01T07:00:00Z"}),
            ("control-kill-switch", {"setting": {"kind": "self_destruct"}}),
            ("control-mute", {"expires_at": None}),
            ("control-mute", {"expires_at": "2026-03-02T07:00:01Z"}),
        ],
    )
    def test_control_that_cannot_be_applied_is_refused(self, name: str, change: dict):
        event = json.loads(example(name)) | change
        assert one(as_bytes(event), kind=ControlEvent).reason == Reason.SCHEMA


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class TestAnything:
    @given(poison=st.binary(max_size=300), key=st.none() | st.binary(max_size=20))
    def test_arbitrary_bytes_never_raise_nor_touch_a_neighbour(self, poison: bytes, key: bytes | None):
        answers = decode(VitalsEvent, [(None, GOOD), (key, poison), (None, GOOD)], now_ms=NOW_MS)
        assert answers[0] == answers[2] == one(GOOD)
        assert isinstance(answers[1], Rejected)

    @given(start=st.integers(0, len(GOOD)), length=st.integers(0, 30), patch=st.binary(max_size=30))
    def test_patched_records_never_raise_nor_touch_a_neighbour(self, start: int, length: int, patch: bytes):
        patched = GOOD[:start] + patch + GOOD[start + length :]
        answers = decode(VitalsEvent, [(b"patient-1", patched), (b"patient-1", GOOD)], now_ms=NOW_MS)
        assert len(answers) == 2
        assert answers[1] == one(GOOD)

    @given(data=st.data())
    def test_any_json_in_any_field_never_raises(self, data: st.DataObject):
        kind = data.draw(st.sampled_from(KINDS))
        names = st.sampled_from(sorted(kind.model_fields)) | st.text()
        version = data.draw(st.sampled_from(["1.0", "1.1", "2.0"]))
        event = data.draw(st.dictionaries(names, json_values, max_size=8)) | {"schema_version": version}
        answer = one(as_bytes(event), kind=kind)
        assert isinstance(answer, Rejected)
        assert answer.reason in DEAD_LETTER

    @given(chosen=st.lists(st.sampled_from([*sorted(POISON), "good"]), max_size=30))
    def test_a_record_is_answered_alike_in_any_company(self, chosen: list[str]):
        values = [GOOD if name == "good" else POISON[name][0] for name in chosen]
        assert decode(VitalsEvent, [(None, value) for value in values], now_ms=NOW_MS) == [
            one(value) for value in values
        ]
