"""The settings page documents every setting, and says when it is out of step."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from workers.cli.errors import UserError
from workers.cli.settings_table import render_markdown, settings, shown, unknown_variables
from workers.settings import Settings


def test_every_setting_has_a_row_with_its_default():
    page = render_markdown()
    assert all(f"| `WARDSTREAM_{name.upper()}` |" in page for name in Settings.model_fields)
    assert "| `WARDSTREAM_KAFKA_COMMIT_INTERVAL_S` | `0.2` |" in page
    assert "| `WARDSTREAM_ONLY` | `vitals,notes,imaging,feedback` |" in page


def test_a_page_in_step_passes_and_any_other_does_not(tmp_path, capsys):
    page = tmp_path / "settings.md"
    page.write_text(render_markdown())
    settings(check=page)
    assert "in step" in capsys.readouterr().out
    page.write_text(render_markdown() + "more")
    with pytest.raises(UserError, match="out of step"):
        settings(check=page)


def test_secrets_are_masked():
    assert shown(SecretStr("x")) == "(secret)"


def test_mistyped_variables_are_found():
    names = ["PATH", "WARDSTREAM_DEVICE", "WARDSTREAM_DEVISE", "WARDSTREAM_DATA"]
    assert unknown_variables(names) == ["WARDSTREAM_DEVISE"]
