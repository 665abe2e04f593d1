"""The contract as documents: JSON Schema of every topic's value, and AsyncAPI of the whole.

Decides how the contract is presented to other tools; the contract itself is the models.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from topics import headers
from topics.catalogue import AUDIT, CONTROL, RECOMMENDATIONS, TOPICS, Topic, full_name
from topics.events import SCHEMA_VERSION
from topics.reasons import DEAD_LETTER
from topics.recommendation import RECOMMENDATION_SCHEMA_VERSION, RecommendationEvent

ASYNCAPI_VERSION: Final = "3.0.0"

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "patient.vitals": ("vitals", "vitals-corrected", "vitals-entered-in-error"),
    "patient.notes": ("notes",),
    "patient.imaging": ("imaging", "imaging-inline"),
    "patient.recommendations": ("recommendation",),
    "patient.feedback": ("feedback",),
    "wardstream.control": ("control", "control-model", "control-kill-switch", "control-mute"),
    "wardstream.audit": ("audit", "audit-refused"),
}
"""Names of the complete, valid examples in topics/examples, by topic."""

_HEADERS: Final = {RECOMMENDATIONS: headers.OUTGOING, CONTROL: headers.CONTROL, AUDIT: headers.AUDIT}


def example(name: str) -> bytes:
    """One of EXAMPLES as it would lie in Kafka (but for its line breaks)."""
    return files("topics").joinpath("examples", f"{name}.json").read_bytes()


def json_schema() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of the values, by topic name. Dead letters have none: they hold what was sent."""
    return {
        topic.name: {
            "$schema": GenerateJsonSchema.schema_dialect,
            "$id": f"urn:wardstream:{topic.name}:{_version(topic)}",
            **topic.kind.model_json_schema(),
        }
        for topic in TOPICS
        if topic.kind is not None
    }


def asyncapi(prefix: str = "") -> dict[str, Any]:
    """AsyncAPI 3 document of all topics, seen from the worker (it receives events and sends recommendations).

    Args:
        prefix: Put before every topic's name, as in the operator's settings.
    """
    kinds: list[type[BaseModel]] = list(dict.fromkeys(topic.kind for topic in TOPICS if topic.kind is not None))
    refs, definitions = models_json_schema(
        [(kind, "validation") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    payloads = {kind.__name__: refs[kind, "validation"] for kind in kinds}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "wardstream",
            "version": RECOMMENDATION_SCHEMA_VERSION,
            "description": "Events in, explained care recommendations out. Values hold patient data; headers do not.",
        },
        "defaultContentType": headers.JSON,
        "channels": {topic.name: _channel(topic, prefix) for topic in TOPICS},
        "operations": {
            f"{_action(topic)}-{topic.name}": {
                "action": _action(topic),
                "channel": {"$ref": f"#/channels/{topic.name}"},
            }
            for topic in TOPICS
        },
        "components": {
            "schemas": definitions["$defs"],
            "messages": {_message_name(topic): _message(topic, payloads) for topic in TOPICS},
        },
    }


def _version(topic: Topic) -> str:
    """Results have a minor version of their own: they gain fields more often than events do."""
    return RECOMMENDATION_SCHEMA_VERSION if topic.kind is RecommendationEvent else SCHEMA_VERSION


def _action(topic: Topic) -> str:
    return "send" if topic.writer == "wardstream" else "receive"


def _message_name(topic: Topic) -> str:
    return topic.kind.__name__ if topic.kind is not None else "DeadLetter"


def _channel(topic: Topic, prefix: str) -> dict[str, Any]:
    name = _message_name(topic)
    return {
        "address": full_name(prefix, topic.name),
        "description": f"Key: {topic.key}. Written by: {topic.writer}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": [topic.cleanup]}}},
    }


def _message(topic: Topic, payloads: dict[str, Any]) -> dict[str, Any]:
    if topic.kind is None:
        return {
            "name": "DeadLetter",
            "summary": f"The original value, key and headers, with {headers.ERROR_PREFIX}* headers.",
            "contentType": "application/octet-stream",
            "headers": _headers(headers.DEAD_LETTER, {headers.ERROR_REASON: sorted(DEAD_LETTER)}),
            "payload": {},
        }
    name = topic.kind.__name__
    message = {
        "name": name,
        "summary": (topic.kind.__doc__ or "").partition("\n")[0],
        "contentType": headers.JSON,
        "payload": payloads[name],
        "examples": [{"name": title, "payload": json.loads(example(title))} for title in EXAMPLES[topic.name]],
    }
    if topic.name in _HEADERS:
        message["headers"] = _headers(_HEADERS[topic.name], {})
    return message


def _headers(names: tuple[str, ...], values: dict[str, list[Any]]) -> dict[str, Any]:
    """Kafka headers as an object schema; all are UTF-8 text."""
    texts = {name: {"type": "string"} | ({"enum": values[name]} if name in values else {}) for name in names}
    return {"type": "object", "properties": texts}
