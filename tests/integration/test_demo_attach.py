"""The demonstration as a user starts it: it prints how to reach it, and other commands do."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.integration


def test_another_command_works_on_the_stage_by_the_printed_lines(tmp_path):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WARDSTREAM_")}
    ours |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    wardstream, told = [sys.executable, "-m", "workers"], {}
    with (tmp_path / "stderr").open("wb") as stderr:
        demo = subprocess.Popen(
            [*wardstream, "demo", "--forever", "--patients", "2"], env=ours, stdout=subprocess.PIPE, stderr=stderr,
            text=True,
        )  # fmt: skip
        try:
            for line in demo.stdout:
                words = shlex.split(line) if line.startswith("export ") else []
                told |= dict(word.split("=", 1) for word in words[1:])
                if "WARDSTREAM_WEB_PORT" in told:
                    break
            write = ["control", "kill-switch", "--on", "--actor", "test", "--reason", "try"]
            done = [
                subprocess.run(
                    [*wardstream, *command], env=ours | told, capture_output=True, text=True, timeout=60, check=False
                )
                for command in (write, ["control", "show"])
            ]
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
        finally:
            demo.kill()
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    assert "kill" in done[1].stdout
