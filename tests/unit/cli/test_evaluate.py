"""`wardstream evaluate`: figures of any folder, on the screen and as files; one line when something is wrong."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from models.bundle import ARTEFACTS
from models.evaluation.figures import Question, Summary
from models.weights import Manifest
from workers.cli.app import app
from workers.cli.errors import UserError
from workers.cli.evaluating.case import Case, Part
from workers.cli.evaluating.judged import Judged, judge, slug
from workers.cli.evaluating.sheets import cell
from workers.datasets import mtsamples
from workers.datasets.folder import DatasetError
from workers.datasets.physionet2019 import COLUMN_OF, FILE


def run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def stays(folder, count=40, hours=6):
    """Made hours in the format of the sepsis set; the pulse of those with the label is higher."""
    random = np.random.default_rng(0)
    rows = {name: np.full(count * hours, np.nan) for name in COLUMN_OF}
    sick = np.repeat(np.arange(count) % 2, hours)
    rows["HR"] = 80 + 30 * sick + random.normal(0, 5, count * hours)
    rows |= {
        "patient_id": np.repeat([f"p{i}" for i in range(count)], hours),
        "Age": np.full(count * hours, 60.0), "Gender": np.repeat(np.arange(count) // 2 % 2, hours).astype(float),
        "ICULOS": np.tile(np.arange(1, hours + 1), count), "SepsisLabel": sick,
    }  # fmt: skip
    (folder / "physionet2019").mkdir()
    parquet.write_table(pa.table(rows), folder / "physionet2019" / "sepsis_hourly.parquet")


def test_a_folder_with_one_set_is_judged_by_it(tmp_path):
    stays(tmp_path)
    result = run("evaluate", "vitals", "--data", tmp_path, "--out", tmp_path / "out")
    digest = hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()
    assert f"records: all of {FILE} (SHA-256 {digest[:12]})" in result.stderr
    assert "WARNING" not in result.stderr
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written["files"] == {FILE: digest}
    assert list(written["labels"]) == ["sepsis_6h"]
    found = written["labels"]["sepsis_6h"]
    assert [found[key] for key in ("rows", "patients", "positives")] == [240, 40, 120]
    assert {"NEWS2 (lower bound)", "qSOFA (lower bound)"} <= found["baselines"].keys()
    assert found["baselines"]["NEWS2 (lower bound)"]["auroc"][0] > 0.9
    assert found["bands"].keys() == {"medium", "high"}
    assert {sex: one["rows"] for sex, one in found["subgroups"]["sex"].items()} == {"female": 120, "male": 120}
    assert (tmp_path / "out" / "sepsis_6h.png").stat().st_size > 1000
    page = (tmp_path / "out" / "evaluation.md").read_text()
    for text in (
        "| sepsis_6h | 240 | 40 | 120 |",
        cell(found["auroc"]),
        "![sepsis_6h](sepsis_6h.png)",
        "| shock index |",
    ):
        assert text in page
    assert cell(found["auroc"]) in result.stdout


def test_a_place_that_cannot_be_written_to_is_refused_before_judging(tmp_path):
    stays(tmp_path)
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"--out .* cannot be used: .*taken is no folder"):
        run("evaluate", "vitals", "--data", tmp_path, "--out", tmp_path / "taken")


def test_models_without_the_one_to_judge_are_told_of(tmp_path):
    stays(tmp_path, count=8)
    said = "holds no vitals: the shipped one is judged"
    assert said in run("evaluate", "vitals", "--data", tmp_path, "--models", ARTEFACTS / "notes").stderr
    shutil.copytree(ARTEFACTS / "vitals", tmp_path / "own" / "vitals")
    for folder in (tmp_path / "own", tmp_path / "own" / "vitals", ARTEFACTS):
        assert said not in run("evaluate", "vitals", "--data", tmp_path, "--models", folder).stderr


def test_a_baseline_that_was_asked_for_and_cannot_be_fitted_is_not_left_out_in_silence(tmp_path):
    (tmp_path / "mtsamples").mkdir()
    row = {"sample_id": "1", "specialties": ["Urology"], "transcription": "Made text."}
    (tmp_path / mtsamples.FILE).write_text(json.dumps(row))
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match=r"--baseline .*none holds no notes: it needs one of mtsamples/notes\.jsonl"):
        run("evaluate", "notes", "--data", tmp_path, "--baseline", tmp_path / "none")


def test_the_test_part_alone_is_smaller(tmp_path):
    stays(tmp_path)
    run("evaluate", "vitals", "--data", tmp_path, "--out", tmp_path / "out", "--part", "test")
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written["part"] == "test"
    assert 0 < written["labels"]["sepsis_6h"]["patients"] < 20


def test_a_part_without_records_is_one_line(tmp_path):
    stays(tmp_path, count=1)
    with pytest.raises(UserError, match="no records of the part test"):
        run("evaluate", "vitals", "--data", tmp_path, "--part", "test")


@pytest.mark.parametrize(
    ("model", "needed"), [("vitals", "physionet2012"), ("notes", "mtsamples"), ("imaging", "kermany")]
)
def test_a_folder_without_records_for_the_model_says_what_it_needs(tmp_path, model, needed):
    with pytest.raises(UserError, match=f"no labelled records for {model}: it needs one of .*{needed}"):
        run("evaluate", model, "--data", tmp_path)


def test_all_records_of_files_that_the_model_was_trained_on_are_warned_of(tmp_path):
    stays(tmp_path)
    artefact = tmp_path / "vitals"
    shutil.copytree(ARTEFACTS / "vitals", artefact)
    manifest = json.loads((artefact / "manifest.json").read_text())
    digest = hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()
    (artefact / "manifest.json").write_text(json.dumps(manifest | {"data_files": {"elsewhere": digest}}))
    arguments = ("evaluate", "vitals", "--data", tmp_path, "--models", tmp_path)
    assert f"WARNING: vitals was trained on {FILE}" in run(*arguments).stderr
    assert "WARNING" not in run(*arguments, "--part", "test").stderr


def judged(*asked):
    found = Judged(Manifest(name="notes", trained=True), "all", {})
    judge(asked, Case(None, None, Part.all), found)
    return found


class TestSummaries:
    def test_free_figures_are_written_and_shown_as_tables(self, tmp_path):
        figures = {
            "macro_f1": [0.9, 0.85, 0.95],
            "rows": 12,
            "by_label": {"a": {"f1": 0.5, "rows": 3}, "b": {"f1": 1.0}},
        }
        found = judged(Summary("all labels", figures))
        sheets = {sheet.title: sheet for sheet in found.sheets()}
        assert sheets["all labels"].rows == [["macro_f1", "0.9000 (0.8500 to 0.9500)"], ["rows", "12"]]
        assert sheets["all labels: by_label"].columns == ("", "f1", "rows")
        assert sheets["all labels: by_label"].rows == [["a", "0.5000", "3"], ["b", "1.0000", ""]]
        found.write(tmp_path)
        assert json.loads((tmp_path / "evaluation.json").read_text())["summaries"] == {"all labels": figures}
        assert "| macro_f1 | 0.9000 (0.8500 to 0.9500) |" in (tmp_path / "evaluation.md").read_text()

    def test_mappings_with_the_same_keys_are_rows_of_one_table(self):
        figures = {"hybrid": {"recall": 0.5, "ndcg": [0.4, 0.3, 0.5]}, "popularity": {"recall": 0.25, "ndcg": 0.5}}
        (sheet,) = judged(Summary("drugs", figures)).sheets()
        assert (sheet.title, sheet.columns) == ("drugs", ("", "recall", "ndcg"))
        assert sheet.rows == [["hybrid", "0.5000", "0.4000 (0.3000 to 0.5000)"], ["popularity", "0.2500", "0.5000"]]

    def test_figures_beside_a_question_are_shown(self):
        one = np.array([0.0, 1, 0, 1])
        found = judged(Question("x", one, one, one.astype(str), extra={"utility": [0.4, 0.3, 0.5]}))
        assert found.labels["x"]["extra"] == {"utility": [0.4, 0.3, 0.5]}
        (sheet,) = (sheet for sheet in found.sheets() if "utility" in sheet.columns)
        assert sheet.rows == [["x", "0.4000 (0.3000 to 0.5000)"]]

    def test_a_question_without_records_is_left_out(self):
        assert judged(Question("x", np.zeros(0), np.zeros(0), np.zeros(0, "U1"))).labels == {}


def test_a_cell_does_not_break_a_table():
    (sheet,) = judged(Summary("a", {"x|y": 1})).sheets()
    assert "| x\\|y | 1 |" in sheet.markdown()


def test_pictures_have_names_that_files_can_have():
    assert slug("Consult - History and Phy.") == "Consult-History-and-Phy"


class TestPolicy:
    def test_the_policy_is_judged_with_tables_and_a_picture(self, tmp_path):
        stays(tmp_path)
        result = run("evaluate", "policy", "--data", tmp_path, "--out", tmp_path / "out")
        written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        assert written["subject"] == "the alert policy"
        judged_on = written["summaries"]["stays replayed"]
        assert judged_on["judged"]["stays"] + judged_on["thresholds chosen on"]["stays"] == 40
        live = written["summaries"]["alerts clear as live: alerts"]
        # The pulse of the sick lies between 95 and 125: at most two points. Nobody reaches five.
        assert live["NEWS2 alone from 5"]["told /100 days"][0] == 0
        assert {"model alone, model from 0.05", "both, model from 0.05"} <= live.keys()
        assert (tmp_path / "out" / "alerts.png").stat().st_size > 10_000
        page = (tmp_path / "out" / "evaluation.md").read_text()
        assert page.startswith("# Evaluation of the alert policy\n")
        assert "![Alerts against sensitivity](alerts.png)" in page
        assert "alerts clear as live: times" in result.stdout

    def test_a_part_without_stays_is_one_line(self, tmp_path):
        stays(tmp_path, count=1)
        with pytest.raises(UserError, match="no records of the part test for policy"):
            run("evaluate", "policy", "--data", tmp_path, "--part", "test")
