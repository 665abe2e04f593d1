"""`wardstream shadow`: what it asks, shows and refuses."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from rich.console import Console
from typer.testing import CliRunner

from workers.cli.app import app
from workers.cli.errors import UserError
from workers.cli.shadow import fetch, table
from workers.comparison import Agreement, Comparison


def report() -> dict:
    """As a worker with candidates of vitals and notes serves it."""
    found = Comparison({"vitals": "2.0.0+1"}, batches=3, skipped=1, patients=7, both=5, difference=0.5, largest=0.25)
    notes = Agreement("2.0.0+2", batches=2, records=9, labels=8, both=9, difference=0.09)
    candidates = {"vitals": "2.0.0+1", "notes": "2.0.0+2"}
    return {"candidates": candidates, **found.report(), "encoders": {"notes": notes.report()}}


@contextmanager
def worker(answer: object):
    """A web server that answers every request with JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_several_workers_stand_side_by_side():
    console = Console(width=200, record=True)
    console.print(table({"http://a": report(), "http://b": report() | {"patients": 11, "encoders": {}}}))
    shown = [line.split() for line in console.export_text().splitlines()]
    assert ["patients", "7", "11"] in shown
    assert ["mean", "difference", "of", "the", "risk", "0.1000", "0.1000"] in shown
    assert ["same", "first", "label", "8", "-"] in shown


def test_json_names_the_worker():
    with worker(report()) as place:
        result = CliRunner().invoke(app, ["shadow", "--url", place, "--json"])
    assert json.loads(result.stdout) == {"url": place, **report()}


def test_a_worker_without_a_candidate_says_so():
    with worker({"candidates": {}}) as place:
        result = CliRunner().invoke(app, ["shadow", "--url", place])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no candidate in shadow" in result.stderr


def test_what_is_no_worker_is_said_in_one_line():
    with worker({"other": 1}) as place, pytest.raises(UserError, match="no worker of wardstream"):
        fetch(place)
    with pytest.raises(UserError, match="web address"):
        fetch("file:///etc/passwd")
    with pytest.raises(UserError, match="does not answer"):
        fetch("http://127.0.0.1:9")
