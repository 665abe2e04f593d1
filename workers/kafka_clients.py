"""Settings become arguments of aiokafka's clients: the one place that knows how we reach and trust a broker.

Decides connection, security, timeouts and delivery guarantees of every producer, consumer and admin client. Builds
none: the functions return keyword arguments, and the caller owns the client that it builds from them.
"""

from __future__ import annotations

import ssl
from typing import Any, Protocol

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.helpers import create_ssl_context

from workers.settings import Settings

_MAX_POLL_INTERVAL_MS = 1_000_000_000
"""A consumer that leaves the group for slowness never comes back; our own watchdog ends a stalled worker instead."""


class Client(Protocol):
    """A producer or consumer of aiokafka."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Disconnect, also where the start failed."""
        ...


class KafkaSettingsError(ValueError):
    """The Kafka settings contradict each other or name unusable files. The message says which to change."""


def connection(settings: Settings) -> dict[str, Any]:
    """Arguments that every client needs: where the brokers are, and how to trust them.

    Raises:
        KafkaSettingsError: SASL without user or password, or certificates that cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": round(settings.kafka_request_timeout_s * 1000),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        if not settings.kafka_sasl_username or settings.kafka_sasl_password is None:
            raise KafkaSettingsError(
                f"WARDSTREAM_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs "
                "WARDSTREAM_KAFKA_SASL_USERNAME and WARDSTREAM_KAFKA_SASL_PASSWORD"
            )
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    """Checks the broker's certificate and host name; the system's authorities where no file is named."""
    if settings.kafka_ssl_keyfile and not settings.kafka_ssl_certfile:
        raise KafkaSettingsError("WARDSTREAM_KAFKA_SSL_KEYFILE needs WARDSTREAM_KAFKA_SSL_CERTFILE beside it")
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.kafka_ssl_cafile,
            certfile=settings.kafka_ssl_certfile,
            keyfile=settings.kafka_ssl_keyfile,
        )
    except (OSError, ssl.SSLError) as error:  # SSLError is an OSError; named because it is the usual one
        raise KafkaSettingsError(
            f"the PEM files in WARDSTREAM_KAFKA_SSL_CAFILE, _CERTFILE or _KEYFILE cannot be used: {error}"
        ) from error
    return context


async def start(client: Client) -> None:
    """Start a client; one that cannot be started is stopped, or it would hold its sockets and complain when it goes.

    Raises:
        KafkaError: It cannot be started.
    """
    try:
        await client.start()
    except BaseException:  # a cancelled start too
        await client.stop()
        raise


def producer_options(settings: Settings) -> dict[str, Any]:
    """Arguments of `AIOKafkaProducer`: acknowledged by all in-sync replicas, idempotent unless switched off."""
    return connection(settings) | {"acks": "all", "enable_idempotence": settings.kafka_idempotent_producer}


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Arguments of an `AIOKafkaConsumer` without a group: it reads and never commits."""
    return connection(settings) | {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": settings.kafka_fetch_wait_ms,
        "max_poll_records": settings.kafka_max_poll_records,
        "isolation_level": "read_committed",  # what a producer took back is no event
    }


def group_consumer_options(settings: Settings) -> dict[str, Any]:
    """Arguments of a worker's `AIOKafkaConsumer`: member of the group, commits left to the ledger.

    The caller decides `auto_offset_reset`: an offset out of range must not be skipped in silence. Range assignment puts
    one patient's partitions of all input topics on one worker.
    """
    session_ms = round(settings.kafka_session_timeout_s * 1000)
    return consumer_options(settings) | {
        "group_id": settings.kafka_group,
        "auto_offset_reset": "none",
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": max(session_ms // 4, 250),
        "rebalance_timeout_ms": round(settings.kafka_request_timeout_s * 1000),
        "max_poll_interval_ms": _MAX_POLL_INTERVAL_MS,
        "partition_assignment_strategy": (RangePartitionAssignor,),
    }


def admin_options(settings: Settings) -> dict[str, Any]:
    """Arguments of `AIOKafkaAdminClient`."""
    return connection(settings)
