"""The body and headers of a result, held against the contract."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.columns import FLAGS
from tests.unit.workers.made import ILL, WELL, Ward, encoded, image, note, record, vitals
from topics import headers as names
from topics.reasons import Reason
from topics.recommendation import RecommendationEvent
from workers.alert_policy import Policy
from workers.control import Control
from workers.encoders import without_embedding
from workers.output import shed
from workers.slow_start import Care

ANY_VALUE = st.one_of(
    st.integers(-10, 400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.booleans(),
    st.none(),
)
CODES = st.sampled_from(
    ["respiration_rate", "spo2", "systolic_bp", "pulse", "temperature", "lactate", "gcs_total", "potassium", "o2_flow",
     "urine_ml_kg_h", "antibiotic_given", "nonsense"]
)  # fmt: skip
TOPIC_CONTROL = st.builds(
    Control,
    offset=st.none() | st.integers(0, 99),
    models_off=st.frozensets(st.sampled_from(["vitals", "notes", "imaging", "fusion", "ranker"]), max_size=3),
    kill_switch=st.booleans(),
    policies=st.just({}) | st.builds(lambda r: {"*": Policy(news2_raise=r)}, st.integers(1, 20)),
    mutes=st.just(frozenset()) | st.just(frozenset({("*", "sepsis-screen"), ("*", "esc-emergency-team")})),
)


@st.composite
def steps(draw):
    """One event of patient-1 with how it is read: (event, encoded, care, degraded)."""
    minute = draw(st.integers(0, 60 * 40))
    kind = draw(st.sampled_from(["vitals", "vitals", "note", "image"]))
    revision = draw(st.sampled_from(["final", "final", "corrected", "entered-in-error"]))
    more = {"event_id": f"e{draw(st.integers(0, 12))}", "status": revision}
    if revision != "final":
        more["replaces"] = f"r{draw(st.integers(0, 12))}"
    if draw(st.booleans()):
        more |= {"encounter_id": "enc", "unit": "icu"}
    result = None
    if kind == "vitals":
        observed = draw(st.lists(st.tuples(CODES, ANY_VALUE), max_size=6))
        more["observations"] = [{"code": code, "value": value} for code, value in observed]
        more["acvpu"] = draw(st.sampled_from(["A", "C", "V", "P", "U", None, 7]))
        more["spo2_scale"] = draw(st.sampled_from([1, 2, None]))
        more["flags"] = draw(st.dictionaries(st.sampled_from(FLAGS), st.booleans(), max_size=4))
        age = st.none() | st.floats(0, 130)
        more["subject"] = draw(st.none() | st.fixed_dictionaries({"age_years": age, "pregnant": st.booleans()}))
        event = vitals("patient-1", minute, **more)
    else:
        event = (note if kind == "note" else image)("patient-1", minute, **more)
        result = draw(
            st.sampled_from(
                [
                    encoded(1, spans=((0, 4, 0.5),)),
                    encoded(2, heat_map=np.ones((2, 3), np.float32)),
                    encoded(3, quality=1, reasons=(Reason.OUT_OF_DISTRIBUTION,)),
                    without_embedding(Reason.IMAGE_NOT_FOUND),
                    None,
                ]
            )
        )
    return event, result, draw(st.sampled_from(list(Care)[:3])), draw(st.booleans())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(series=st.lists(steps(), min_size=1, max_size=6), control=TOPIC_CONTROL)
def test_every_body_is_as_the_contract_says(series, control):
    ward = Ward()
    for event, result, care, degraded in series:
        for decision in ward.decide(record(event, encoded=result, care=care), control=control, degraded=degraded):
            if not hasattr(decision, "value"):
                continue
            body = RecommendationEvent.model_validate_json(decision.value)
            assert body.caused_by.event_id == event["event_id"]
            assert [r.rank for r in body.recommendations] == list(range(1, len(body.recommendations) + 1))
            news2 = body.clinical_scores.news2
            assert news2.low <= news2.high
            shares = body.explanation.modality_shares
            total = shares.vitals + shares.notes + shares.imaging
            expected = 0 if body.risks[2].probability is None else 1
            assert total == pytest.approx(expected, abs=1e-3)
            assert (body.status == "retracted") == (event["status"] == "entered-in-error")
            assert {h for h, _ in decision.headers} <= set(names.OUTGOING)
            assert not any(b"patient-1" in value for _, value in decision.headers)
            assert len(set(body.reasons)) == len(body.reasons)


@pytest.mark.parametrize(
    ("status", "event", "more"),
    [
        ("ok", vitals(), {}),
        ("degraded", vitals(), {"degraded": True}),
        ("indeterminate", vitals(), {"control": Control(kill_switch=True)}),
        ("retracted", vitals(status="entered-in-error", replaces="x"), {}),
        ("retracted", vitals(status="entered-in-error", replaces="x"), {"control": Control(kill_switch=True)}),
    ],
)
def test_each_status_validates(status, event, more):
    body = Ward().body(event, **more)
    assert RecommendationEvent.model_validate_json(json.dumps(body)).status == status


class TestBody:
    def test_names_what_caused_it(self):
        body = Ward().body(vitals(encounter_id="e1", unit="icu"), offset=7, partition=3)
        assert body["caused_by"] == {
            "event_id": "v-patient-1-0", "topic": "hospital.patient.vitals", "partition": 3, "offset": 7,
            "event_time": "2026-03-01T08:00:00+00:00", "source": "monitor",
        }  # fmt: skip
        assert (body["patient_id"], body["encounter_id"], body["unit"]) == ("patient-1", "e1", "icu")

    def test_contributions_name_what_was_measured_and_when(self):
        shown = Ward().body(vitals(values=ILL))["explanation"]["vitals"]
        found = {v["parameter"]: (v["value"], v["unit"]) for v in shown}
        for name, value in ILL.items():
            if name in found:
                assert found[name][0] == pytest.approx(value, abs=1e-3)
        assert len(found) == 5
        strength = [abs(v["contribution"]) for v in shown]
        assert strength == sorted(strength, reverse=True)
        assert {v["measured_at"] for v in shown} == {"2026-03-01T08:00:00+00:00"}

    def test_spans_and_heat_map_come_from_the_encoder(self):
        body = Ward().body(note(), encoded=encoded(1, spans=((0, 5, 0.25),)))
        assert body["explanation"]["note_spans"] == [
            {"start": 0, "end": 5, "weight": 0.25, "source_event": "n-patient-1-0"}
        ]
        heat = np.array([[0, 0.5], [1, 0.25], [0, 0]], np.float32)
        body = Ward().body(image(), encoded=encoded(1, heat_map=heat))
        assert body["explanation"]["heat_map"] == {"rows": 3, "columns": 2, "values": [0, 0.5, 1, 0.25, 0, 0]}

    def test_unknown_parameters_are_null_and_named(self):
        news2 = Ward().body(vitals(values={"pulse": 70}, oxygen=None, acvpu=None))["clinical_scores"]["news2"]
        assert news2["sub"]["pulse"] == 0
        assert news2["sub"]["acvpu"] is None
        assert sorted(news2["missing"]) == [
            "acvpu",
            "on_oxygen",
            "respiration_rate",
            "spo2",
            "systolic_bp",
            "temperature",
        ]

    def test_what_was_not_believed_is_named_as_a_reason(self):
        body = Ward().body(vitals(values=WELL | {"pulse": 9999}))
        assert Reason.SUSPECT_VALUE in body["reasons"]
        assert body["clinical_scores"]["news2"]["sub"]["pulse"] is None

    @pytest.mark.parametrize(
        ("more", "named"),
        [
            ({"values": WELL | {"pulse": 9999}}, ["pulse"]),
            ({"oxygen": {"delivery": "room_air"}}, ["on_oxygen"]),
            ({"oxygen": {"delivery": "room_air", "flow_l_min": 2, "fio2": 28}}, ["on_oxygen"]),
            ({"observations": [{"code": "lactate", "value": 2, "unit": "furlong"}, {"code": "x", "value": 1}]},
             ["lactate", "unrecognised"]),
            ({"flags": {"dnacpr": "perhaps"}}, ["dnacpr"]),
            ({}, []),
        ],
    )  # fmt: skip
    def test_what_was_not_believed_is_named(self, more, named):
        ward = Ward()
        body = ward.body(vitals("patient-1", 0, **more))
        RecommendationEvent.model_validate_json(json.dumps(body))
        assert body["inputs"][0]["suspect"] == named
        assert ward.body(vitals("patient-1", 5))["inputs"][0]["suspect"] == [], "it is of the event alone"
        later = ward.body(note("patient-1", 10, flags={"dnacpr": 3}), encoded=encoded(1))["inputs"]
        assert [each["suspect"] for each in later] == [[], ["dnacpr"], []]

    def test_a_missing_key_is_said(self):
        assert Reason.KEY_MISSING in Ward().body(vitals(), keyed=False)["reasons"]

    def test_waiting_and_working_time_are_told(self):
        timing = Ward().body(vitals())["timing"]
        assert timing["queue_ms"] == 50
        assert timing["process_ms"] == 0


class TestHeaders:
    def headers(self, event=None, **more) -> dict[str, bytes]:
        (decision,) = Ward().decide(record(event or vitals(), **more))
        return dict(decision.headers)

    def test_let_a_consumer_skip_without_parsing(self):
        made = self.headers(vitals(values=ILL))
        assert made[names.ALERT_STATE] == b"raise"
        assert made[names.ALERT_TIER] == b"critical"
        assert made[names.STATUS] == b"ok"
        assert made[names.CONTENT_TYPE] == b"application/json"

    def test_are_a_cloud_event(self):
        made = self.headers()
        assert made[names.CE_SPECVERSION] == b"1.0"
        assert made[names.CE_TYPE] == b"io.wardstream.recommendation"
        assert made[names.CE_SOURCE] == b"hospital.patient.recommendations"
        assert made[names.CE_TIME] == b"2026-03-01T08:00:00+00:00"
        assert len(made[names.CE_ID]) == 36

    def test_name_the_patient_by_hmac_only(self):
        made = self.headers(vitals("patient-1"))
        assert made[names.CE_SUBJECT] == record(vitals("patient-1")).patient.hex().encode()
        assert not any(b"patient-1" in value for value in made.values())

    def test_hand_the_trace_on(self):
        trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        assert self.headers(headers=(("traceparent", trace),))[names.TRACEPARENT] == trace

    @pytest.mark.parametrize("foreign", [b"patient-1", b"", b"00-patient-1-00f067aa0ba902b7-01", None])
    def test_hand_on_nothing_that_is_no_trace(self, foreign):
        assert names.TRACEPARENT not in self.headers(headers=(("traceparent", foreign),))


def test_the_decision_says_what_the_body_says():
    (decision,) = Ward().decide(record(vitals(values=ILL)))
    assert (decision.status, decision.alert_state, decision.alert_tier) == ("ok", "raise", "critical")


class TestShedding:
    def test_drops_the_heat_map_then_the_spans_then_nothing(self):
        (decision,) = Ward().decide(
            record(image(), encoded=encoded(1, heat_map=np.ones((2, 2), np.float32), spans=((0, 1, 1.0),)))
        )
        body = json.loads(decision.value)
        assert shed(body)
        assert body["explanation"]["heat_map"] is None
        assert body["explanation"]["note_spans"]
        assert shed(body)
        assert body["explanation"]["note_spans"] == []
        assert not shed(body)
        assert body["reasons"].count(Reason.OUTPUT_TRIMMED) == 1
