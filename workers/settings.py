"""Everything an operator can set, in one frozen tree read from the environment (prefix `WARDSTREAM_`).

Every field documents itself; the table in docs/settings.md is made from this file. Nothing else reads the
environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Modality = Literal["vitals", "notes", "imaging", "feedback"]

DEVELOPMENT_KEY = "wardstream-development-key-not-a-secret"
"""Default identity key: results are right with it, but whoever reads this file can re-compute the HMACs."""


class Settings(BaseSettings):
    """The settings of one worker process and of the tools beside it."""

    model_config = SettingsConfigDict(env_prefix="WARDSTREAM_", frozen=True, extra="forbid", env_ignore_empty=True)

    # Kafka
    kafka_bootstrap_servers: str = Field("localhost:9092", description="Comma-separated host:port of Kafka brokers.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism, used with SASL_* protocols."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_ssl_cafile: Path | None = Field(None, description="PEM file of the authority that signed the brokers.")
    kafka_ssl_certfile: Path | None = Field(None, description="PEM client certificate.")
    kafka_ssl_keyfile: Path | None = Field(None, description="PEM client key.")
    kafka_group: str = Field("wardstream", description="Consumer group; all workers of one system share it.")
    kafka_session_timeout_s: float = Field(10.0, ge=1, le=300, description="A worker silent this long is replaced.")
    kafka_request_timeout_s: float = Field(30.0, ge=1, le=300, description="Bound on one Kafka request.")
    kafka_fetch_wait_ms: int = Field(20, ge=1, le=1000, description="Longest wait of a fetch on idle partitions.")
    kafka_max_poll_records: int = Field(2000, ge=1, le=100_000, description="Most records of one poll.")
    kafka_commit_interval_s: float = Field(0.2, gt=0, le=60, description="Pause between offset commits.")
    kafka_idempotent_producer: bool = Field(
        True, description="Idempotent publishing; the embedded broker does not have it."
    )
    kafka_allow_offset_reset: bool = Field(
        False,
        description="Continue at the earliest record when committed offsets no longer exist, instead of stopping. "
        "Set it for one start, after deciding that the loss is understood.",
    )
    topic_prefix: str = Field(
        "", max_length=100, description="Put before every topic name, for several systems a cluster."
    )
    topic_partitions: int = Field(6, ge=1, le=10_000, description="Partitions that `topics apply` gives each topic.")
    topic_replication: int = Field(1, ge=1, le=15, description="Replication factor that `topics apply` gives.")
    topic_retention_h: float = Field(
        168.0, gt=0, description="Retention that `topics apply` gives event topics, hours."
    )
    run: str = Field(
        "live", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Name of this processing run. A reprocessing names a new one: own recommendation ids, own state.",
    )  # fmt: skip

    # Redis
    redis_url: SecretStr = Field(
        SecretStr("redis://localhost:6379/0"), description="redis:// or rediss:// URL, with user and password if any."
    )
    redis_ssl_cafile: Path | None = Field(None, description="PEM file of the authority that signed the Redis server.")
    redis_timeout_s: float = Field(0.5, gt=0, le=30, description="Hard bound on one Redis call.")
    context_ttl_h: float = Field(
        24.0 * 30, gt=0, description="How long a patient's context is kept; longer than a stay."
    )
    context_write_wait_s: float = Field(
        60.0, ge=0, description="How long offsets wait for Redis before the worker goes on degraded."
    )
    context_pinned_max: int = Field(
        20_000, ge=1,
        description="Patient contexts held, of 8 KB: those last written, which need not travel again, and as many "
        "unwritten ones while Redis is away.",
    )  # fmt: skip
    embedding_ttl_h: float = Field(24.0, gt=0, description="How long the embedding of an image or note is cached.")
    identity_key: SecretStr = Field(
        SecretStr(DEVELOPMENT_KEY), min_length=16,
        description="Key of the HMACs that stand for identifiers in Redis and logs. All workers share it; a secret.",
    )  # fmt: skip

    # Work
    only: Annotated[tuple[Modality, ...], NoDecode] = Field(
        ("vitals", "notes", "imaging", "feedback"),
        description="What this worker consumes, comma-separated: modalities, and the answers of clinicians.",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N.")
    torch_threads: int = Field(1, ge=1, le=256, description="CPU threads of one model call.")
    models_dir: Path | None = Field(None, description="Folder of model artefacts; the shipped ones when unset.")
    batch_max_records: int = Field(512, ge=1, le=8192, description="Most records of one micro-batch of vitals.")
    batch_max_notes: int = Field(32, ge=1, le=1024, description="Most records of one micro-batch of notes.")
    batch_max_images: int = Field(8, ge=1, le=256, description="Most records of one micro-batch of images.")
    slack_vitals_ms: float = Field(10.0, ge=0, le=10_000, description="Longest wait of a vitals record for company.")
    slack_notes_ms: float = Field(50.0, ge=0, le=10_000, description="Longest wait of a note for company.")
    slack_images_ms: float = Field(200.0, ge=0, le=60_000, description="Longest wait of an image for company.")
    inflight_max_records: int = Field(4096, ge=1, description="Records a lane may hold before its topic is paused.")
    inflight_max_bytes: int = Field(
        64 * 2**20, ge=2**20, description="Bytes a lane may hold before its topic is paused."
    )
    stall_s: float = Field(60.0, gt=0, description="Work without progress for this long ends the process (non-zero).")
    drain_s: float = Field(15.0, gt=0, description="Longest wait for work in flight on shutdown or rebalance.")
    expires_after_h: float = Field(8.0, gt=0, description="Alert lifetime after its event time.")

    # Images
    image_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders that file: claim checks may name, comma-separated. None: file is refused."
    )
    image_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts that http(s): claim checks may name, and s3 buckets as s3://BUCKET, comma-separated."
    )
    image_max_bytes: int = Field(32 * 2**20, ge=1024, description="Largest image object.")
    image_max_pixels: int = Field(64_000_000, ge=1024, description="Largest image, rows x columns.")
    image_timeout_s: float = Field(10.0, gt=0, description="Bound on fetching one image.")
    image_processes: int = Field(1, ge=1, le=64, description="Processes that decode images.")

    # Running
    web_host: str = Field("127.0.0.1", description="Address of /health and /metrics.")
    web_port: int = Field(6066, ge=0, le=65535, description="Port of /health and /metrics; 0 picks a free one.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @field_validator("only", "image_roots", "image_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Comma-separated text becomes a tuple."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
