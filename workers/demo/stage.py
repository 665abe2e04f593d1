"""The stage of the demonstration: a broker, a Redis server and a worker process, started in order, gone afterwards."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

import workers
from workers.embedded import EmbeddedBroker, EmbeddedRedis, ServerProcess, free_port
from workers.settings import Settings

LAST_LINES: Final = 15
TO_ATTACH: Final = (
    "kafka_bootstrap_servers", "kafka_security_protocol", "kafka_idempotent_producer", "topic_prefix", "redis_url",
    "identity_key", "web_host", "web_port",
)  # fmt: skip
"""Settings that another process needs to work on this stage."""
_START_TIMEOUT_S: Final = 180.0  # the first import of torch on a slow disk takes most of a minute


def stage_settings(broker: EmbeddedBroker, redis: EmbeddedRedis, films: Path) -> dict[str, str]:
    """Settings that differ from the defaults, as text, for this process and for the worker's environment."""
    return {
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "kafka_security_protocol": "PLAINTEXT",
        "kafka_session_timeout_s": "2",
        "kafka_fetch_wait_ms": "20",
        "kafka_idempotent_producer": "false",
        "redis_url": redis.url,
        "identity_key": secrets.token_hex(16),
        "image_roots": str(films),
        "expires_after_h": "100",  # the ward's days pass in a minute; its alerts shall not count as missed
        "web_host": "127.0.0.1",
        "web_port": str(free_port()),
        "log_format": "console",
    }


class WorkerProcess(ServerProcess):
    """A worker as users start it: `python -m workers worker`, set by its environment alone.

    Args:
        changes: Settings by field name, over what the environment says already.
        command: Replaces the program, for tests.
    """

    name = "worker"
    stop_timeout_s = 20.0

    def __init__(self, changes: Mapping[str, str], command: list[str] | None = None) -> None:
        super().__init__(port=int(changes["web_port"]), start_timeout_s=_START_TIMEOUT_S)
        self._changes = changes
        self._command = command or [sys.executable, "-m", "workers", "worker"]

    def command(self) -> list[str]:
        """See `ServerProcess.command`."""
        return self._command

    def environment(self) -> Mapping[str, str]:
        """Ours with the changes; the packages are found wherever this process found them."""
        home = str(Path(workers.__file__).resolve().parent.parent)
        path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
        changed = {f"WARDSTREAM_{name.upper()}": value for name, value in self._changes.items()}
        return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **changed}

    def answers(self) -> bool:
        """Whether it is ready: joined its group, warmed up, able to publish."""
        with urllib.request.urlopen(f"http://{self.address}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)

    def metrics(self) -> str:
        """Its /metrics page.

        Raises:
            OSError: It does not answer.
        """
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=2) as answer:
            return str(answer.read().decode())

    def last_lines(self) -> str:
        """The end of its log."""
        if not self.log.is_file():
            return "(it wrote nothing)"
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:]) or "(it wrote nothing)"


def exports(settings: Settings) -> str:
    """Lines for a shell in which other commands are to work on the stage.

    They hold the identity key in clear: it is drawn for each demonstration, and stands for made patients only.
    """
    lines = []
    for name in TO_ATTACH:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if isinstance(value, bool):
            text = text.lower()
        lines.append(f"export WARDSTREAM_{name.upper()}={shlex.quote(text)}")
    return "\n".join(lines)


def demo_settings(changes: Mapping[str, Any]) -> Settings:
    """The same settings for this process."""
    return Settings(**changes)
