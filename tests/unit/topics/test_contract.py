"""The contract as documents: examples, JSON Schema, AsyncAPI and the topic table say the same as the models."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from tests.unit.topics.made import NOW_MS
from topics import headers
from topics.audit import AuditEvent
from topics.catalogue import AUDIT, CONTROL, DEAD_LETTERS, IMAGING, NOTES, RECOMMENDATIONS, TOPICS, VITALS, full_name
from topics.codec import Decoded, decode
from topics.control import ControlEvent
from topics.control_settings import SUBJECT
from topics.events import Envelope
from topics.imaging import ImagingEvent
from topics.readings import readings
from topics.recommendation import RecommendationEvent
from topics.schemas import EXAMPLES, asyncapi, example, json_schema
from topics.vitals import VitalsEvent

KIND = {topic.name: topic.kind for topic in TOPICS}
CASES = [(topic, name) for topic, names in EXAMPLES.items() for name in names]
CHECK = jsonschema.Draft202012Validator
LATER_MS = NOW_MS + 3_600_000 * 2


def schema_of(topic: str) -> jsonschema.Draft202012Validator:
    return CHECK(json_schema()[topic], format_checker=jsonschema.FormatChecker())


class TestExamples:
    @pytest.mark.parametrize(("topic", "name"), CASES)
    def test_each_is_valid_by_model_and_by_schema(self, topic: str, name: str):
        KIND[topic].model_validate_json(example(name))
        schema_of(topic).validate(json.loads(example(name)))

    @pytest.mark.parametrize(("topic", "name"), [case for case in CASES if issubclass(KIND[case[0]], Envelope)])
    def test_each_is_decoded(self, topic: str, name: str):
        (answer,) = decode(KIND[topic], [(None, example(name))], now_ms=LATER_MS)
        assert isinstance(answer, Decoded)
        assert answer.unknown_fields == 0

    def test_none_is_left_over_and_every_topic_with_a_contract_has_one(self):
        lying = {entry.name.removesuffix(".json") for entry in files("topics").joinpath("examples").iterdir()}
        assert {name for names in EXAMPLES.values() for name in names} == lying
        assert set(EXAMPLES) == {topic.name for topic in TOPICS if topic.kind is not None}

    @pytest.mark.parametrize("name", EXAMPLES[VITALS])
    def test_vitals_read_without_suspects(self, name: str):
        said = readings(VitalsEvent.model_validate_json(example(name)))
        assert (said.suspects, said.conflict) == ([], False)

    def test_the_first_vitals_say_what_they_look_like(self):
        said = readings(VitalsEvent.model_validate_json(example("vitals")))
        assert len(said.values) == 12
        assert dict(said.values)[4] == 38.5  # 101.3 degF

    def test_the_inline_image_has_its_hash(self):
        image = ImagingEvent.model_validate_json(example("imaging-inline")).image
        assert hashlib.sha256(image.data).hexdigest() == image.sha256

    @pytest.mark.parametrize("name", EXAMPLES[CONTROL])
    def test_control_subjects_follow_from_their_settings(self, name: str):
        event = ControlEvent.model_validate_json(example(name))
        assert event.subject == event.setting.subject
        assert event.kind == event.setting.kind

    @pytest.mark.parametrize(("topic", "name"), CASES)
    def test_each_survives_a_round_trip(self, topic: str, name: str):
        event = KIND[topic].model_validate_json(example(name))
        assert KIND[topic].model_validate_json(event.model_dump_json()) == event


class TestAudit:
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("audit", {"outcome": "taken_back"}),
            ("audit", {"after": None}),
            ("audit", {"refusal": "schema"}),
            ("audit-refused", {"refusal": None}),
            ("audit-refused", {"after": {"kind": "kill_switch", "on": True}}),
            ("audit", {"schema_version": "2.0"}),
        ],
    )
    def test_what_contradicts_itself_is_no_audit_event(self, name: str, change: dict):
        with pytest.raises(ValidationError):
            AuditEvent.model_validate_json(json.dumps(json.loads(example(name)) | change))

    def test_every_subject_of_the_contract_is_known_as_one(self):
        subjects = [ControlEvent.model_validate_json(example(name)).subject for name in EXAMPLES[CONTROL]]
        assert all(SUBJECT.fullmatch(subject) for subject in subjects)
        assert not any(
            SUBJECT.fullmatch(key) for key in ("", "Jane", "model/gpt", "mute/icu", "thresholds/", "mute//a")
        )


class TestJsonSchema:
    @pytest.mark.parametrize("topic", EXAMPLES)
    def test_is_a_schema_with_its_own_identity(self, topic: str):
        schema = json_schema()[topic]
        CHECK.check_schema(schema)
        version = "1.2" if topic == RECOMMENDATIONS else "1.0"
        assert schema["$id"] == f"urn:wardstream:{topic}:{version}"

    @pytest.mark.parametrize(
        "change",
        [
            {"patient_id": 17},
            {"event_id": "a\nb"},
            {"heart": 1},
            {"status": "corrected"},
            {"status": "entered-in-error", "replaces": None},
            {"replaces": "event-0"},
            {"acvpu": "X"},
            {"spo2_scale": 3},
            {"flags": {"fits": True}},
            {"observations": [{"code": "pulse"}]},
            {"observations": [{"code": "pulse", "value": []}]},
            {"subject": {"age_years": -1}},
            {"oxygen": {"delivery": "mask"}},
        ],
    )
    def test_tells_producers_before_they_send(self, change: dict):
        assert not schema_of(VITALS).is_valid(json.loads(example("vitals")) | change)

    def test_of_recommendations_knows_every_field_in_the_architecture(self):
        assert set(RecommendationEvent.model_fields) == {
            "schema_version", "recommendation_id", "patient_id", "encounter_id", "unit", "run", "caused_by", "status",
            "reasons", "supersedes", "risks", "findings", "clinical_scores", "recommendations", "withheld", "alert",
            "explanation", "inputs", "timing", "models", "control_offset", "control",
        }  # fmt: skip

    @pytest.mark.parametrize("field", sorted(RecommendationEvent.model_fields))
    def test_of_recommendations_lets_consumers_rely_on_every_field(self, field: str):
        event = json.loads(example("recommendation"))
        del event[field]
        assert not schema_of(RECOMMENDATIONS).is_valid(event)


def references(part: object) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


class TestAsyncApi:
    def test_every_reference_leads_somewhere(self):
        document = json.loads(json.dumps(asyncapi()))
        found = references(document)
        assert "#/components/schemas/VitalsEvent" in found
        for reference in found:
            part = document
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]

    def test_names_every_topic_with_the_operators_prefix(self):
        addresses = {channel["address"] for channel in asyncapi("north.")["channels"].values()}
        assert addresses == {f"north.{topic.name}" for topic in TOPICS}

    def test_directions_are_seen_from_the_worker(self):
        actions = {operation["channel"]["$ref"].rpartition("/")[2]: operation["action"]
                   for operation in asyncapi()["operations"].values()}  # fmt: skip
        assert {name for name, action in actions.items() if action == "send"} == {RECOMMENDATIONS, AUDIT, DEAD_LETTERS}
        assert {name for name, action in actions.items() if action == "receive"} >= {VITALS, NOTES, IMAGING, CONTROL}

    def test_payloads_accept_the_examples(self):
        document = asyncapi()
        for message in document["components"]["messages"].values():
            for shown in message.get("examples", ()):
                CHECK({**message["payload"], "components": document["components"]}).validate(shown["payload"])


class TestCatalogue:
    def test_names_are_single_and_get_the_prefix_as_it_is(self):
        assert len({topic.name for topic in TOPICS}) == len(TOPICS) == 8
        assert full_name("test-", VITALS) == "test-patient.vitals"

    def test_control_alone_is_compacted_and_in_one_partition_for_every_worker_to_read(self):
        compacted = [topic for topic in TOPICS if topic.cleanup == "compact"]
        assert [(topic.name, topic.partitions) for topic in compacted] == [(CONTROL, 1)]
        assert compacted[0].keep_h == 7 * 24

    def test_every_contract_is_immutable_and_strict(self):
        pending: list[type[BaseModel]] = [kind for kind in KIND.values() if kind is not None]
        assert all(kind.model_config["frozen"] and kind.model_config["extra"] == "forbid" for kind in pending)


def test_header_names_are_single_and_lower_case():
    names = (*headers.OUTGOING, *headers.DEAD_LETTER)
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)
    assert all(name.startswith(headers.ERROR_PREFIX) for name in headers.DEAD_LETTER)
