"""Settings become what aiokafka takes."""

from __future__ import annotations

import inspect

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from workers.kafka_clients import (
    KafkaSettingsError,
    admin_options,
    consumer_options,
    group_consumer_options,
    producer_options,
)
from workers.settings import Settings

SASL = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "ward",
    "kafka_sasl_password": "secret",
}


@pytest.mark.parametrize(
    ("client", "options"),
    [
        (AIOKafkaProducer, producer_options),
        (AIOKafkaConsumer, consumer_options),
        (AIOKafkaConsumer, group_consumer_options),
        (AIOKafkaAdminClient, admin_options),
    ],
)
def test_every_client_knows_its_arguments_and_trusts_as_set(client, options):
    chosen = options(Settings(**SASL))
    assert set(chosen) <= set(inspect.signature(client.__init__).parameters)
    assert chosen["sasl_plain_password"] == "secret"
    assert chosen["sasl_mechanism"] == "SCRAM-SHA-512"
    assert chosen["ssl_context"].check_hostname


def test_plaintext_needs_no_certificates():
    assert "ssl_context" not in consumer_options(Settings())


def test_sasl_without_a_password_is_refused_by_name():
    with pytest.raises(KafkaSettingsError, match="WARDSTREAM_KAFKA_SASL_PASSWORD"):
        admin_options(Settings(**(SASL | {"kafka_sasl_password": None})))


def test_unusable_certificates_are_refused_by_name(tmp_path):
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    with pytest.raises(KafkaSettingsError, match="WARDSTREAM_KAFKA_SSL_CAFILE"):
        admin_options(Settings(kafka_security_protocol="SSL", kafka_ssl_cafile=broken))


def test_a_key_without_its_certificate_is_refused(tmp_path):
    with pytest.raises(KafkaSettingsError, match="WARDSTREAM_KAFKA_SSL_CERTFILE"):
        admin_options(Settings(kafka_security_protocol="SSL", kafka_ssl_keyfile=tmp_path / "key.pem"))


def test_what_is_published_is_acknowledged_by_all_replicas():
    assert producer_options(Settings())["acks"] == "all"
    assert producer_options(Settings())["enable_idempotence"] is True
    assert producer_options(Settings(kafka_idempotent_producer=False))["enable_idempotence"] is False


def test_a_worker_never_skips_or_commits_by_itself():
    options = group_consumer_options(Settings())
    assert options["auto_offset_reset"] == "none"
    assert options["enable_auto_commit"] is False
    assert options["heartbeat_interval_ms"] * 3 <= options["session_timeout_ms"]
