"""`wardstream models`: what it shows, and one line when something is wrong."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from models.bundle import ARTEFACTS, NAMES
from models.training.untrained import write_untrained
from models.weights import WEIGHTS, WeightsError
from workers.cli.app import app
from workers.cli.errors import UserError


def run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_every_model_has_a_line_and_a_card():
    listed = run("models", "list")
    for name in NAMES:
        assert name in listed
        assert run("models", "show", name).startswith(f"# {name}")


def test_shipped_models_are_whole():
    assert run("models", "verify").count("ok  ") == len(NAMES)


def test_damaged_weights_are_named(tmp_path):
    shutil.copytree(ARTEFACTS / "vitals", tmp_path / "vitals")
    with (tmp_path / "vitals" / WEIGHTS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="SHA-256"):
        run("models", "verify", "--models", tmp_path)


def test_a_network_that_was_never_trained_does_not_pass(tmp_path):
    write_untrained(tmp_path)
    with pytest.raises(UserError, match="never trained"):
        run("models", "verify", "--models", tmp_path)


def test_a_model_that_does_not_exist():
    with pytest.raises(UserError, match="choose one of"):
        run("models", "show", "oracle")
