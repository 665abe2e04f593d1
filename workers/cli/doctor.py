"""`wardstream doctor`: is everything in place? Each line is ok, or says what to do.

Decides what a working system needs. Looks only: it creates, sends and changes nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import typer
from rich.markup import escape

from workers.cli.errors import explain
from workers.cli.settings_table import unknown_variables
from workers.cli.shared import err, load_settings, out, run
from workers.settings import DEVELOPMENT_KEY, Settings

_STYLE: Final = {"ok": "green", "note": "yellow", "FAIL": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. A note is worth knowing and fails nothing."""

    verdict: Literal["ok", "note", "FAIL"]
    subject: str
    text: str


def doctor() -> None:
    """Check settings, Kafka, topics, Redis, device and models. Exits 1 if anything fails.

    Example:  wardstream doctor
    """
    settings = load_settings()
    failed = 0
    for check in (check_settings, check_kafka, check_redis, check_device, check_models):
        for finding in findings_of(check, settings):
            style = _STYLE[finding.verdict]
            out.print(f"[{style}]{finding.verdict:<5}[/]{finding.subject:<10}{escape(finding.text)}", soft_wrap=True)
            failed += finding.verdict == "FAIL"
    if failed:
        err.print(f"{failed} to put right")
        raise typer.Exit(1)


def findings_of(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """The findings of one check; an error of any kind is one, so that the checks after it still run."""
    try:
        yield from check(settings)
    except Exception as error:  # noqa: BLE001 (whatever it is, the doctor reports it and goes on)
        yield Finding("FAIL", check.__name__.removeprefix("check_"), explain(error))


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What settings say by themselves."""
    if settings.identity_key.get_secret_value() == DEVELOPMENT_KEY:
        yield Finding(
            "FAIL", "settings", "the identity key is the public default, so anybody can undo the HMACs of identifiers: "
            'set WARDSTREAM_IDENTITY_KEY="$(openssl rand -hex 32)", the same for all workers',
        )  # fmt: skip
    else:
        yield Finding("ok", "settings", "valid, with an identity key of your own")
    for name in unknown_variables(list(os.environ)):
        yield Finding("FAIL", "settings", f"{name} is not a setting; `wardstream settings` lists those there are")
    for root in settings.image_roots:
        if not root.is_dir():
            yield Finding("FAIL", "settings", f"WARDSTREAM_IMAGE_ROOTS names {root}, which is not a folder here")
    if settings.kafka_security_protocol.endswith("PLAINTEXT") and not _local(settings.kafka_bootstrap_servers):
        yield Finding(
            "note", "settings", "Kafka is reached without TLS: patient data travels readable; "
            "set WARDSTREAM_KAFKA_SECURITY_PROTOCOL",
        )  # fmt: skip


def _local(bootstrap_servers: str) -> bool:
    """Whether all brokers are on this machine."""
    hosts = {address.strip().rpartition(":")[0] for address in bootstrap_servers.split(",")}
    return hosts <= {"localhost", "127.0.0.1", "[::1]", socket.gethostname()}


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """Whether the brokers answer, and whether the topics are as the settings want them."""
    from workers.cli import cluster

    async def look() -> tuple[int, dict[str, cluster.TopicState]]:
        async with cluster.admin(settings) as client:
            about = await client.describe_cluster()
            return len(about["brokers"]), await cluster.existing_topics(client)

    brokers, existing = run(look())
    yield Finding("ok", "kafka", f"{brokers} broker{'s' * (brokers != 1)} at {settings.kafka_bootstrap_servers}")
    yield from topic_findings(settings, existing, brokers)


def topic_findings(settings: Settings, existing: dict[str, Any], brokers: int) -> Iterator[Finding]:
    """What there is to say of the topics.

    Args:
        settings: As they are.
        existing: State of each topic of the cluster, by full name.
        brokers: How many the cluster has.
    """
    from topics.catalogue import IMAGING, NOTES, TOPICS, VITALS, full_name

    names = [full_name(settings.topic_prefix, topic.name) for topic in TOPICS]
    if missing := [name for name in names if name not in existing]:
        yield Finding("FAIL", "topics", f"missing: {', '.join(missing)}; run `wardstream topics apply`")
    else:
        yield Finding("ok", "topics", f"all {len(names)} are there")
    inputs = [full_name(settings.topic_prefix, name) for name in (VITALS, NOTES, IMAGING)]
    counts = {name: existing[name].partitions for name in inputs if name in existing}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield Finding(
            "FAIL", "topics", f"input topics differ in partitions ({said}), so a patient's events meet on no worker: "
            "make them equal",
        )  # fmt: skip
    elif counts:
        yield Finding("ok", "topics", f"input topics have {next(iter(counts.values()))} partitions each")
    thin = [name for name in names if name in existing and existing[name].replicas < 2]
    if thin and brokers > 1:
        yield Finding("note", "topics", f"one replica only, so the loss of a broker loses records: {', '.join(thin)}")


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Whether Redis answers and would rather refuse a write than forget a patient."""
    import redis

    options: dict[str, Any] = {
        "socket_timeout": max(settings.redis_timeout_s, 1),
        "socket_connect_timeout": max(settings.redis_timeout_s, 1),
    }
    url = settings.redis_url.get_secret_value()
    if settings.redis_ssl_cafile is not None and url.startswith("rediss"):
        options["ssl_ca_certs"] = str(settings.redis_ssl_cafile)
    with redis.Redis.from_url(url, **options) as client:
        client.ping()
        version = dict(client.info("server")).get("redis_version", "of unknown version")
        yield Finding("ok", "redis", f"answers, {version}")
        try:
            policy = dict(client.config_get("maxmemory-policy")).get("maxmemory-policy")
        except redis.exceptions.ResponseError:
            policy = None
    if policy is None:
        yield Finding("note", "redis", "does not tell its maxmemory-policy: make sure that it is noeviction")
    elif policy != "noeviction":
        yield Finding(
            "FAIL", "redis", f"maxmemory-policy is {policy}, so contexts of patients may vanish: "
            "`CONFIG SET maxmemory-policy noeviction`, and put it into redis.conf",
        )  # fmt: skip
    else:
        yield Finding("ok", "redis", "evicts nothing")


def check_device(settings: Settings) -> Iterator[Finding]:
    """Whether the wanted device is there."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = settings.device
    index = int(wanted.partition(":")[2] or 0) if wanted.startswith("cuda") else 0
    if wanted.startswith("cuda") and index >= count:
        yield Finding(
            "FAIL", "device", f"WARDSTREAM_DEVICE={wanted}, but torch {torch.__version__} sees {count} GPUs: "
            "install a CUDA build of torch and its driver, or set WARDSTREAM_DEVICE=cpu",
        )  # fmt: skip
    elif wanted == "cpu" or count == 0:
        yield Finding("ok", "device", f"CPU, {settings.torch_threads} threads a model call, torch {torch.__version__}")
    else:
        yield Finding("ok", "device", f"{torch.cuda.get_device_name(index)}, torch {torch.__version__}")


def check_models(settings: Settings) -> Iterator[Finding]:
    """Whether the model artefacts load and are what their manifests say."""
    from models.bundle import load_bundle, strangers

    bundle = load_bundle(settings.models_dir, "cpu")
    where = settings.models_dir or "the shipped ones"
    for line in strangers(bundle.manifests):
        yield Finding("note", "models", line)
    yield Finding("ok", "models", f"load, and their hashes agree ({where})")
