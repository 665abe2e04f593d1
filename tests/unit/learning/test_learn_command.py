"""`wardstream learn` from files: what it writes, says and refuses."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest
from constructed import BY_PULSE, DISLIKED, LIKED, refusal, ward, write
from typer.testing import CliRunner

from models.bundle import ARTEFACTS, load_bundle
from models.training.learning import AFTER, BEFORE
from models.weights import load
from workers.cli import registry
from workers.cli.app import app
from workers.cli.errors import UserError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def learn(*arguments: str):
    return CliRunner().invoke(app, ["learn", *arguments])


def shipped() -> dict[str, str]:
    files = (file for file in ARTEFACTS.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_version_is_made_that_workers_can_use_and_no_other_model_is_touched(tmp_path):
    before = shipped()
    result = learn(*write(tmp_path, ward()), "--out", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "new")
    assert shipped() == before  # above all no model of risk
    written = {file.name for file in (tmp_path / "new").iterdir()}
    assert written == {
        "weights.safetensors",
        "manifest.json",
        "CARD.md",
        "card.json",
        "metrics.json",
        "drugs.safetensors",
    }
    manifest = registry.check(tmp_path / "new", "ranker")
    bundle = load_bundle(tmp_path / "new")
    catalogue, acceptance = bundle.ranker.catalogue, bundle.ranker.recommenders.hybrid.acceptance
    assert acceptance[catalogue.index[LIKED]] > acceptance[catalogue.index[BY_PULSE]]
    assert acceptance[catalogue.index[DISLIKED]] < acceptance[catalogue.index[BY_PULSE]]
    assert manifest.metrics[AFTER]["auroc"][0] > manifest.metrics[BEFORE]["auroc"][0] + 0.1
    assert "answers, after" in (tmp_path / "new" / "CARD.md").read_text(encoding="utf-8")
    for said in (manifest.version, LIKED, "answers held out"):
        assert said in result.stderr


def test_it_ends_with_the_commands_that_bring_the_version_to_workers(tmp_path, monkeypatch):
    """Both are run as they were printed: one takes the version in, the other makes a record that workers accept."""
    result = learn(*write(tmp_path, ward()), "--out", str(tmp_path / "new"))
    models = tmp_path / "models"
    monkeypatch.setenv("WARDSTREAM_MODELS_DIR", str(models))
    printed = [line.strip() for line in result.stderr.splitlines() if line.startswith("  wardstream ")]
    activate, promote = (shlex.split(line.replace("DIR", str(models)))[1:] for line in printed)
    version = load(tmp_path / "new")[1].version
    assert CliRunner().invoke(app, activate).exit_code == 0
    assert registry.in_use(models, "ranker") == version
    written = CliRunner().invoke(app, [*promote, "--dry-run"])
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout)["value"]["setting"] == {
        "kind": "model", "name": "ranker", "enabled": True, "version": version,
    }  # fmt: skip
    assert "note" not in written.stderr  # the folder named there has it


def test_nothing_names_a_patient(tmp_path):
    result = learn(*write(tmp_path, ward()), "--out", str(tmp_path / "new"))
    told = result.output.encode() + b"".join(file.read_bytes() for file in (tmp_path / "new").iterdir())
    for identity in (b"bed-", b"v-bed", b"r-bed", b"ward-terminal"):
        assert identity not in told


def test_the_same_answers_sent_again_give_the_same_version(tmp_path):
    made = ward()
    learn(*write(tmp_path, made), "--out", str(tmp_path / "once"))
    again = made | {
        "feedback": made["feedback"] * 2,
        "recommendations": made["recommendations"] + made["recommendations"],
    }
    learn(*write(tmp_path, again), "--out", str(tmp_path / "twice"))
    assert load(tmp_path / "once")[1] == load(tmp_path / "twice")[1]


def test_reasons_that_say_nothing_of_relevance_teach_nothing(tmp_path):
    made = ward()
    silent = [refusal(f"bed-{n}", 0, LIKED, "patient-refuses", event_id=f"s-{n}") for n in range(60)]
    settled = {(one["recommendation_id"], one["action_id"]) for one in made["feedback"]}
    silent = [one for one in silent if (one["recommendation_id"], one["action_id"]) not in settled]
    learn(*write(tmp_path, made), "--out", str(tmp_path / "without"))
    result = learn(*write(tmp_path, made | {"feedback": made["feedback"] + silent}), "--out", str(tmp_path / "with"))
    assert load(tmp_path / "without")[1].sha256 == load(tmp_path / "with")[1].sha256
    assert f"{len(silent)} teach nothing: reason patient-refuses" in result.stderr


def test_without_vital_signs_it_learns_what_is_accepted_and_says_that_readings_are_missing(tmp_path):
    arguments = write(tmp_path, {name: events for name, events in ward().items() if name != "vitals"})
    result = learn(*arguments)
    assert result.exit_code == 0, result.output
    assert "answers without readings" in result.stderr
    assert result.stdout.startswith("runs/ranker-")


def test_a_dry_run_writes_nothing(tmp_path):
    result = learn(*write(tmp_path, ward()), "--dry-run")
    assert result.exit_code == 0
    assert "nothing was written" in result.stderr
    assert {file.suffix for file in tmp_path.iterdir()} == {".jsonl"}


def test_goes_on_from_the_version_that_is_named(tmp_path):
    arguments = write(tmp_path, ward())
    learn(*arguments, "--out", str(tmp_path / "first"))
    result = learn(*arguments, "--base", str(tmp_path / "first"), "--out", str(tmp_path / "second"))
    assert result.exit_code == 0, result.output
    learned = load(tmp_path / "second")[1].config["learned"]
    assert learned["from"] == load(tmp_path / "first")[1].version
    assert "count twice" in result.stderr


def test_no_answer_counts_twice_when_the_version_in_use_learned_from_it(tmp_path):
    arguments = write(tmp_path, ward())
    learn(*arguments, "--out", str(tmp_path / "first"))
    registry.activate(tmp_path / "models", tmp_path / "first", "ranker")
    result = learn(*arguments, "--models", str(tmp_path / "models"), "--out", str(tmp_path / "again"))
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "again")[1] == load(tmp_path / "first")[1]
    assert "which learned from no answers yet" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--feedback", "feedback.jsonl"], "files come together"),
        (["--vitals", "vitals.jsonl"], "files come together"),
        (["--out", str(ARTEFACTS / "ranker" / "new")], "lies among the shipped models"),
        (["--out", "taken"], "is not empty"),
        (["--base", "9.9.9"], "there is no ranker 9.9.9"),
    ],
)
def test_refuses_in_a_line_before_it_reads(tmp_path, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").touch()
    result = learn(*arguments)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_too_few_answers_are_counted_and_lines_that_are_none_are_not_repeated(tmp_path):
    made = ward(patients=4)
    arguments = write(tmp_path, made)
    with (tmp_path / "feedback.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"patient_id": "Mrs Secret"}) + "\nnot json\n")
    result = learn(*arguments)
    assert isinstance(result.exception, UserError)
    assert "too few answers" in str(result.exception)
    assert "it takes 40 answers" in str(result.exception)
    assert "2 values of feedback cannot be read" in result.stderr
    assert "Secret" not in result.output + str(result.exception)
    assert not (tmp_path / "runs").exists()
