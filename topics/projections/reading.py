"""From a published value to the recommendation that projections read.

Decides what is accepted: this major version, with fields of a higher minor version ignored, as consumers are asked to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from topics.events import SCHEMA_MAJOR
from topics.recommendation import RecommendationEvent

Published = RecommendationEvent | Mapping[str, Any]
"""A recommendation: parsed by the contract, or the JSON of the record's value as `json.loads` gives it."""


def read(published: Published) -> RecommendationEvent:
    """The recommendation.

    Raises:
        ValueError: It is none of this major version (pydantic's ValidationError, or one that names the version).
    """
    if isinstance(published, RecommendationEvent):
        return published
    return read_json(json.dumps(dict(published)))


def read_json(value: bytes | str) -> RecommendationEvent:
    """The recommendation of a record's value.

    Raises:
        ValueError: As for `read`. The text of a ValidationError may repeat the value.
    """
    event = RecommendationEvent.model_validate_json(value, extra="ignore")
    if event.schema_version.split(".")[0] != str(SCHEMA_MAJOR):
        raise ValueError(f"schema_version: major version {SCHEMA_MAJOR} is spoken here")
    return event
