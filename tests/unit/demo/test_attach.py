"""Another shell can work on the demonstration's stage by the lines that it prints."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

from pydantic import SecretStr

from workers.demo.stage import TO_ATTACH, demo_settings, exports, stage_settings
from workers.settings import Settings


def test_a_shell_with_the_printed_lines_has_the_settings_of_the_stage(monkeypatch):
    broker = SimpleNamespace(bootstrap_servers="127.0.0.1:41234")
    changes = stage_settings(broker, SimpleNamespace(url="redis://127.0.0.1:41235/0"), Path("/films"))
    stage = demo_settings({**changes, "topic_prefix": "it's a "})
    printed = exports(stage)
    for line in printed.splitlines():
        word, assignment = shlex.split(line)
        assert word == "export"
        monkeypatch.setenv(*assignment.split("=", 1))
    attached = Settings()
    assert {name: getattr(attached, name) for name in TO_ATTACH} == {name: getattr(stage, name) for name in TO_ATTACH}
    assert attached.kafka_bootstrap_servers == "127.0.0.1:41234"
    assert attached.identity_key == SecretStr(changes["identity_key"])
    assert "**" not in printed
