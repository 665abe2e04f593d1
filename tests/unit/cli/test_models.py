"""`wardstream models` and `evaluate`: what they show, and one line when something is wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from models.bundle import ARTEFACTS, NAMES
from models.training.untrained import write_untrained
from models.weights import WEIGHTS, WeightsError
from workers.cli.app import app
from workers.cli.errors import UserError
from workers.datasets.folder import DatasetError
from workers.datasets.physionet2019 import COLUMN_OF


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


def stays(folder, count=40, hours=6):
    """Made hours in the format of the sepsis set; the pulse of those with the label is higher."""
    random = np.random.default_rng(0)
    rows = {name: np.full(count * hours, np.nan) for name in COLUMN_OF}
    sick = np.repeat(np.arange(count) % 2, hours)
    rows["HR"] = 80 + 30 * sick + random.normal(0, 5, count * hours)
    rows |= {
        "patient_id": np.repeat([f"p{i}" for i in range(count)], hours),
        "Age": np.full(count * hours, 60.0), "Gender": np.tile([0.0, 1.0], count * hours // 2),
        "ICULOS": np.tile(np.arange(1, hours + 1), count), "SepsisLabel": sick,
    }  # fmt: skip
    (folder / "physionet2019").mkdir()
    parquet.write_table(pa.table(rows), folder / "physionet2019" / "sepsis_hourly.parquet")


def test_a_folder_with_one_set_is_judged_by_it(tmp_path):
    stays(tmp_path)
    printed = run("evaluate", "vitals", "--data", tmp_path, "--out", tmp_path / "out")
    assert "sepsis_6h: 240 rows, 40 patients, 120 positive" in printed
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())["labels"]
    assert list(written) == ["sepsis_6h"]
    assert {"NEWS2 (lower bound)", "qSOFA (lower bound)"} <= written["sepsis_6h"]["baselines"].keys()
    assert written["sepsis_6h"]["baselines"]["NEWS2 (lower bound)"]["auroc"][0] > 0.9
    assert (tmp_path / "out" / "sepsis_6h.png").stat().st_size > 1000


def test_the_test_part_alone_is_smaller(tmp_path):
    stays(tmp_path)
    run("evaluate", "vitals", "--data", tmp_path, "--out", tmp_path / "out", "--part", "test")
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["labels"]["sepsis_6h"]["patients"] < 20


def test_a_folder_without_records_for_the_model(tmp_path):
    with pytest.raises(UserError, match="no labelled records"):
        run("evaluate", "vitals", "--data", tmp_path)
    with pytest.raises(DatasetError, match="mtsamples"):
        run("evaluate", "notes", "--data", tmp_path)
