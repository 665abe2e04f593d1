"""The worker as a process, and the supervisor that an operator would have: whoever ends badly is started again."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.servers import ROOT
from workers.embedded import ServerProcess

STAND_IN = (sys.executable, "-m", "tests.e2e.stand_in")
COMMIT_FIRST = (sys.executable, "-m", "tests.e2e.commit_first")
WORKER = tuple(shlex.split(os.environ.get("WARDSTREAM_E2E_WORKER", ""))) or (sys.executable, "-m", "workers", "worker")
"""What the fault tests test. WARDSTREAM_E2E_WORKER names another command, to try the tests on the stand-in."""


class Worker(ServerProcess):
    """One worker process: ready when /health/ready says 200.

    Args:
        command: Program and arguments.
        settings: WARDSTREAM_ variables; the web port is added.
        folder: Where its log is kept.
    """

    name = "worker"
    stop_timeout_s = 20.0

    def __init__(self, command: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
        super().__init__(folder=folder, start_timeout_s=60.0)
        self._command = list(command)
        self._settings = settings

    def command(self) -> list[str]:
        return self._command

    def environment(self) -> Mapping[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("WARDSTREAM_")}
        port = {"WARDSTREAM_WEB_PORT": str(self.port)}
        return {**ours, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **self._settings, **port}

    def answers(self) -> bool:
        return self.health("ready") == 200

    def health(self, which: str) -> int | None:
        """Status of /health/`which`, None when nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1.0)
        try:
            connection.request("GET", f"/health/{which}")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    async def ready(self, timeout_s: float = 60.0) -> None:
        """Waits until it is ready, over any number of restarts by a supervisor."""
        end = time.monotonic() + timeout_s
        while not await asyncio.to_thread(self.answers):
            assert time.monotonic() < end, f"{self.folder.name} was not ready within {timeout_s} s"
            await asyncio.sleep(0.1)

    async def sigterm(self) -> tuple[int | None, float]:
        """Asks it to end: exit status, and seconds that it took. It is killed after `stop_timeout_s`."""
        start = time.monotonic()
        await asyncio.to_thread(self.stop)
        return self.returncode, time.monotonic() - start

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


class Supervisor:
    """Starts a worker again whenever it has ended with anything but status 0, until `close`."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.exits: list[int] = []
        worker.launch()
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if self.worker.running:
                continue
            status = self.worker.returncode
            assert status is not None
            self.exits.append(status)
            if status == 0:
                return
            await asyncio.sleep(0.2)
            self.worker.launch()

    def kill9(self) -> None:
        """Kills the worker; it will be started again."""
        self.worker.kill()

    async def close(self) -> None:
        """Lets the worker be: it is not started again."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
