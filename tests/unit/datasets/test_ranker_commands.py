"""`wardstream train ranker` and `wardstream evaluate ranker` on made sets of both kinds."""

from __future__ import annotations

import json

import made_sets
import pytest
from typer.testing import CliRunner

from models.recommend.recommenders import DRUGS_FILE
from models.weights import WeightsError, load
from workers.cli.app import app
from workers.cli.errors import UserError
from workers.datasets import diabetes130
from workers.datasets.folder import DatasetError

CHANGED = "drugs changed"


def run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Data of both kinds and a ranker trained on them."""
    folder = tmp_path_factory.mktemp("ranker")
    made_sets.sepsis(folder / "data")
    made_sets.drugs(folder / "data")
    result = run(
        "train", "ranker", "--data", folder / "data", "--out", folder / "out", "--runs", folder / "runs", "--epochs", 2
    )
    assert result.exit_code == 0, result.output
    return folder


def test_recommenders_of_drugs_lie_in_the_artefact_and_are_pinned_by_its_manifest(trained):
    _, manifest = load(trained / "out" / "ranker")
    assert manifest.files.keys() == {DRUGS_FILE}
    assert diabetes130.FILE in manifest.data_files
    value, low, high = manifest.metrics[f"{CHANGED}: hybrid"]["recall@3"]
    assert low <= value <= high
    card = (trained / "out" / "ranker" / "CARD.md").read_text(encoding="utf-8")
    assert f"{value} ({low} to {high})" in card
    with (trained / "out" / "ranker" / "manifest.json").open() as file:
        assert json.load(file)["config"]["drugs"]["factors"] in {16, 32}


def test_the_held_out_part_gives_the_figures_of_the_card(trained):
    arguments = ("evaluate", "ranker", "--data", trained / "data", "--models", trained / "out", "--part", "test")
    printed = run(*arguments, "--out", trained / "judged").output
    _, manifest = load(trained / "out" / "ranker")
    found = json.loads((trained / "judged" / "evaluation.json").read_text())["summaries"]
    assert len(found) == 6  # too few held out for groups
    for method in ("hybrid", "popularity", "item-kNN", "hybrid over popularity"):
        assert found[CHANGED]["methods"][method] == manifest.metrics[f"{CHANGED}: {method}"]
        assert found["care actions newly indicated within the horizon"]["methods"][method] == manifest.metrics[method]
    assert CHANGED in printed
    assert "item-kNN" in printed


def test_a_folder_with_drugs_alone_is_judged_by_them(trained, tmp_path):
    made_sets.drugs(tmp_path, 30)
    run("evaluate", "ranker", "--data", tmp_path, "--models", trained / "out", "--out", tmp_path / "judged")
    found = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["summaries"]
    assert found[CHANGED]["rows"] == 30
    assert len(found) == 5
    groups = found["drugs changed, by group"]
    assert groups["age"].keys() == {"50 to 69"}
    assert groups["sex"].keys() == {"female"}
    assert groups["sex"]["female"]["rows"] == 30
    assert groups["sex"]["female"]["hybrid recall@5"] == found[CHANGED]["methods"]["hybrid"]["recall@5"]


def test_prescriptions_are_fitted_and_judged_within_the_folder(tmp_path):
    made_sets.prescriptions(tmp_path)
    run("evaluate", "ranker", "--data", tmp_path, "--out", tmp_path / "judged")
    found = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["summaries"]
    assert found["MIMIC-III demo, refitted: drugs newly prescribed"]["patients"] == 400
    assert found["MIMIC-III demo, refitted: drugs newly prescribed"]["methods"]["collaborative"]["recall@1"][0] == 1.0
    assert (
        found["MIMIC-III demo, refitted: drugs prescribed at a cold start"]["methods"]["hybrid"]["recall@5"][0] == 1.0
    )


def test_a_ranker_trained_without_drugs_cannot_be_judged_by_them(trained, tmp_path):
    made_sets.sepsis(tmp_path / "data")
    run("train", "ranker", "--data", tmp_path / "data", "--out", tmp_path / "out", "--runs", tmp_path, "--epochs", 2)
    with pytest.raises(WeightsError, match="trained without the set of drugs"):
        run("evaluate", "ranker", "--data", trained / "data", "--models", tmp_path / "out")


def test_a_folder_without_either_set(tmp_path):
    with pytest.raises(UserError, match="no labelled records for ranker: it needs one of"):
        run("evaluate", "ranker", "--data", tmp_path)


def test_stays_too_short_to_judge_are_one_line_of_error(tmp_path):
    made_sets.sepsis(tmp_path, 3, hours=2)
    with pytest.raises(DatasetError, match="no stay has three events"):
        run("evaluate", "ranker", "--data", tmp_path)


def test_encounters_without_any_change_give_counts_and_no_figures(trained, tmp_path):
    made_sets.drugs(tmp_path, 0)
    run("evaluate", "ranker", "--data", tmp_path, "--models", trained / "out", "--out", tmp_path / "judged")
    found = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["summaries"]
    assert found[CHANGED] == {"rows": 0, "patients": 0, "rows_without": 0, "methods": {}}


def test_too_few_encounters_are_one_line_of_error(tmp_path):
    made_sets.sepsis(tmp_path / "data")
    made_sets.drugs(tmp_path / "data", 2)
    result = run("train", "ranker", "--data", tmp_path / "data", "--out", tmp_path, "--runs", tmp_path, "--epochs", 1)
    assert result.exit_code == 1
    assert "too few encounters" in result.output
    assert "Traceback" not in result.output
