import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from models.bundle import load_bundle
from workers.cli.train import app
from workers.datasets import physionet2019


def hourly(folder, stays, hours=12):
    """A made set in the layout of PhysioNet 2019: some pulses and breaths at random."""
    random = np.random.default_rng(0)
    rows = stays * hours
    columns = {name: np.full(rows, np.nan) for name in physionet2019.COLUMN_OF}
    columns["Resp"], columns["HR"] = random.uniform(10, 30, rows).round(), random.uniform(50, 135, rows).round()
    columns["SBP"], columns["O2Sat"] = random.uniform(85, 140, rows).round(), random.uniform(88, 100, rows).round()
    columns["patient_id"] = np.repeat([f"made-{i}" for i in range(stays)], hours)
    columns["ICULOS"] = np.tile(np.arange(1, hours + 1), stays)
    columns |= {"Age": np.full(rows, 60.0), "Gender": np.ones(rows), "SepsisLabel": np.zeros(rows)}
    (folder / physionet2019.FILE).parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / physionet2019.FILE)


def test_without_data_it_says_what_to_do_and_fails(tmp_path):
    result = CliRunner().invoke(app, ["vitals", "--out", str(tmp_path), "--data", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "name one with --data DIR or WARDSTREAM_DATA" in result.output
    assert "Traceback" not in result.output


def test_a_missing_set_is_named(tmp_path):
    result = CliRunner().invoke(app, ["notes", "--out", str(tmp_path), "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "mtsamples/notes.jsonl" in result.output


def test_train_ranker_writes_an_artefact_that_loads_and_a_card_with_its_figures(tmp_path):
    hourly(tmp_path / "data", 60)
    out = tmp_path / "out"
    arguments = ["ranker", "--out", str(out), "--data", str(tmp_path / "data"), "--epochs", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    manifest = load_bundle(out).manifests["ranker"]
    assert manifest.trained
    card = (out / "ranker" / "CARD.md").read_text(encoding="utf-8")
    for method in ("collaborative", "content", "hybrid", "popularity"):
        for value, low, high in manifest.metrics[method].values():
            assert low <= value <= high
            assert f"{value} ({low} to {high})" in card
            assert str(value) in result.output
    assert manifest.version in card
    assert "RULE INDICATIONS, NOT CHOICES" in card
    assert "Not validated" in card


def test_too_few_stays_for_a_ranker_are_one_line_of_error(tmp_path):
    hourly(tmp_path / "data", 1)
    result = CliRunner().invoke(app, ["ranker", "--out", str(tmp_path), "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "too few stays" in result.output
    assert "Traceback" not in result.output
