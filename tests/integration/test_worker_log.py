"""What a worker process writes while there is no Kafka: JSON on standard error, line by line, and nothing beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"  # a port that nobody listens at


def test_a_worker_without_kafka_says_so_in_lines_of_json_and_leaves_no_client_open(tmp_path):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WARDSTREAM_")}
    set_up = {
        "WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS": NOWHERE, "WARDSTREAM_WEB_PORT": "0", "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    log, said = tmp_path / "log", tmp_path / "stdout"
    with log.open("wb") as stderr, said.open("wb") as stdout:
        command = [sys.executable, "-m", "workers", "worker", "--only", "vitals"]
        worker = subprocess.Popen(command, env=ours | set_up, stdout=stdout, stderr=stderr)
        try:
            end = time.monotonic() + 120
            while log.read_text().count("kafka_unreachable") < 3 and time.monotonic() < end:
                time.sleep(0.2)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("kafka_unreachable") >= 3
    assert f'Unable connect to "{NOWHERE}": ConnectionRefusedError' in events
    assert not [event for event in events if "Unclosed" in event]
    assert said.read_bytes() == b""
