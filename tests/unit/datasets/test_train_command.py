import hashlib
import json
import re
from pathlib import Path

import made_sets
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from models.bundle import load_bundle
from models.training.outcome import Trained
from models.training.ranker import RankerPlan
from models.weights import Manifest, load
from workers.cli.errors import UserError
from workers.cli.train import app
from workers.cli.training.job import Made
from workers.cli.training.run import Request
from workers.cli.training.run import run as run_trainers
from workers.cli.training.run_folder import write_history
from workers.datasets import kermany, physionet2019, pretrained


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """The default run folder is below the working directory, and no encoder is installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "minilm", lambda: None)


def test_without_data_it_says_what_to_do_and_fails(tmp_path):
    result = CliRunner().invoke(app, ["vitals", "--out", str(tmp_path), "--data", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "name one with --data DIR or WARDSTREAM_DATA" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--out", "--runs"])
def test_a_place_that_cannot_be_written_to_is_refused_before_training(tmp_path, option):
    made_sets.sepsis(tmp_path / "data")
    (tmp_path / "taken").touch()
    arguments = ["ranker", "--data", str(tmp_path / "data"), option, str(tmp_path / "taken" / "below")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert (
        str(result.exception)
        == f"{option} {tmp_path / 'taken' / 'below'}"
        + ("/ranker" if option == "--out" else "")
        + f" cannot be used: {tmp_path / 'taken'} is no folder"
    )
    assert not (tmp_path / "runs").exists()


def test_a_missing_set_is_named(tmp_path):
    result = CliRunner().invoke(app, ["notes", "--out", str(tmp_path), "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "mtsamples/notes.jsonl" in result.output


def test_train_ranker_writes_an_artefact_that_loads_and_a_card_with_its_figures(tmp_path):
    made_sets.sepsis(tmp_path / "data")
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
    made_sets.sepsis(tmp_path / "data", 1)
    result = CliRunner().invoke(app, ["ranker", "--out", str(tmp_path), "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "too few stays" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("model", "sets", "said"),
    [
        ("vitals", (made_sets.sepsis, made_sets.mortality), "too few stays with events in the set of sepsis"),
        ("imaging", (made_sets.films,), "kermany_cxr/images.parquet: too few films"),
    ],
)
def test_a_set_with_an_empty_part_is_one_line_and_no_run(tmp_path, model, sets, said):
    for each in sets:
        each(tmp_path / "data", 2)
    result = CliRunner().invoke(app, [model, "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 1
    assert f"{said}: none falls into the part" in result.output
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("sick", "said"),
    [
        (0, "no positive label among stays with events in the set of sepsis: none falls into the part training or "),
        (1, "no negative label among stays with events in the set of sepsis: none falls into the part training or "),
    ],
)
def test_labels_that_are_all_alike_are_one_line_and_no_model(tmp_path, sick, said):
    made_sets.sepsis(tmp_path / "data")
    made_sets.mortality(tmp_path / "data")
    file = tmp_path / "data" / physionet2019.FILE
    rows = pq.read_table(file)
    rows = rows.set_column(rows.schema.get_field_index("SepsisLabel"), "SepsisLabel", [[sick] * len(rows)])
    pq.write_table(rows, file)
    result = CliRunner().invoke(app, ["vitals", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 1
    assert said + "validation or test" in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("sets", "lacks"),
    [((made_sets.notes, made_sets.films), physionet2019.FILE), ((made_sets.sepsis, made_sets.notes), kermany.FILE)],
)
def test_fusion_says_what_is_missing_before_it_reads_the_rest(tmp_path, sets, lacks):
    for each in sets:
        each(tmp_path / "data")
    result = CliRunner().invoke(app, ["fusion", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 1
    assert f"holds no {lacks}" in result.output
    assert "steps" not in result.output
    assert list((tmp_path / "runs").iterdir()) == []


def trained(tmp_path, *more, model="ranker"):
    arguments = [model, "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"), "--epochs", "1", *more]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return Path(result.stdout.splitlines()[-1])


class TestRunFolder:
    def test_it_holds_the_artefact_and_how_it_came_about(self, tmp_path):
        made_sets.sepsis(tmp_path / "data")
        run = trained(tmp_path, "--seed", "3")
        assert run.parent == tmp_path / "runs"
        assert re.fullmatch(r"ranker-\d{8}T\d{6}Z", run.name)
        config = json.loads((run / "config.json").read_text())
        set_of = tmp_path / "data" / physionet2019.FILE
        digest = hashlib.sha256(set_of.read_bytes()).hexdigest()
        size = set_of.stat().st_size
        assert config["data_files"] == {physionet2019.FILE: {"sha256": digest, "size_bytes": size}}
        assert (config["seed"], config["plan"]["iterations"], config["plan"]["seed"]) == (3, 1, 3)
        assert config["versions"].keys() >= {"wardstream", "python", "torch"}
        _, manifest = load(run)
        assert manifest.data_files == {physionet2019.FILE: digest}
        assert json.loads((run / "metrics.json").read_text())["metrics"] == manifest.metrics
        assert manifest.version in (run / "log.txt").read_text()
        assert (run / "card.json").is_file()

    def test_the_same_seed_gives_the_same_weights_in_a_folder_of_its_own(self, tmp_path):
        made_sets.sepsis(tmp_path / "data")
        first, again = trained(tmp_path), trained(tmp_path)
        assert first != again
        assert load(first)[1] == load(again)[1]

    def test_with_out_the_artefact_lies_there_and_the_record_in_the_run_folder(self, tmp_path):
        made_sets.sepsis(tmp_path / "data")
        run = trained(tmp_path, "--out", str(tmp_path / "out"))
        assert load(tmp_path / "out" / "ranker")[1].name == "ranker"
        assert {file.name for file in run.iterdir()} == {
            "config.json", "metrics.json", "log.txt", "history.json", "curves.png",
        }  # fmt: skip

    def test_a_run_that_could_not_begin_leaves_nothing(self, tmp_path):
        made_sets.sepsis(tmp_path / "data", 1)
        result = CliRunner().invoke(app, ["ranker", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")])
        assert result.exit_code == 1
        assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("model", "sets"),
    [
        ("vitals", (made_sets.sepsis, made_sets.mortality)),
        ("imaging", (made_sets.films,)),
        ("notes", (made_sets.notes,)),
        ("ranker", (made_sets.sepsis,)),
    ],
)
def test_the_same_seed_gives_the_same_weights(tmp_path, model, sets):
    for each in sets:
        each(tmp_path / "data")
    first, again = (load(trained(tmp_path, model=model))[1] for _ in range(2))
    assert first == again
    other = load(trained(tmp_path, "--seed", "1", model=model))[1]
    assert other.sha256 != first.sha256
    assert other.data_files == first.data_files != {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize(
    ("model", "sets"), [("vitals", (made_sets.sepsis, made_sets.mortality)), ("imaging", (made_sets.films,))]
)
def test_a_gpu_trains_to_about_what_the_cpu_does(tmp_path, model, sets):
    for each in sets:
        each(tmp_path / "data")
    by_cpu, by_gpu = (load(trained(tmp_path, "--device", name, model=model))[0] for name in ("cpu", "cuda"))
    for name, tensor in by_cpu.items():
        torch.testing.assert_close(by_gpu[name], tensor, rtol=0.05, atol=0.05, msg=name)


@pytest.mark.parametrize("name", ["mps", "tpu9", "cuda:99"])
def test_a_device_that_is_not_there_is_one_helpful_line(tmp_path, name):
    made_sets.sepsis(tmp_path / "data")
    result = CliRunner().invoke(app, ["ranker", "--data", str(tmp_path / "data"), "--device", name])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"--device {name} ")
    assert not (tmp_path / "runs").exists()


def made(name, history=()):
    state = {"a": torch.ones(2)}
    return Made(Trained(state, Manifest(name=name, trained=True), history), RankerPlan(), (), {"words": b"x"})


def test_all_trains_in_turn_and_each_builds_on_those_before(tmp_path):
    seen = []

    def trainer(name):
        def train(job):
            seen.append(sorted(path.name for path in job.models.iterdir() if (path / "manifest.json").exists()))
            return made(name)

        return train

    request = Request(tmp_path, tmp_path / "runs", None, None, None, 0)
    run = run_trainers("all", {name: trainer(name) for name in ("vitals", "notes")}, request, Console(quiet=True))
    assert seen == [[], ["vitals"]]
    assert load(run / "notes")[1].files.keys() == {"words"}


def test_an_epoch_is_a_point_of_the_curves(tmp_path):
    history = ({"epoch": 1, "loss": 2.0, "validation_auroc": 0.7}, {"epoch": 2, "loss": 1.5})
    write_history(tmp_path, made("vitals", history).trained)
    assert json.loads((tmp_path / "history.json").read_text()) == [dict(epoch) for epoch in history]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_was_stopped_says_so_in_its_log(tmp_path):
    def stopped(job):
        job.tell("ranker", 1, 2)
        raise KeyboardInterrupt

    request = Request(tmp_path, tmp_path / "runs", None, None, None, 0)
    with pytest.raises(KeyboardInterrupt):
        run_trainers("ranker", {"ranker": stopped}, request, Console(quiet=True))
    (folder,) = (tmp_path / "runs").iterdir()
    assert "KeyboardInterrupt" in (folder / "log.txt").read_text()


def test_ctrl_c_is_one_line_that_says_where_the_log_is_and_status_130(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("workers.cli.training.run.run", stopped)
    result = CliRunner().invoke(app, ["ranker", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 130
    assert result.output == f"interrupted: log.txt of the run, in {tmp_path / 'runs'}, says how far it came\n"


def test_too_few_notes_of_any_specialty_are_one_line_of_error(tmp_path):
    made_sets.notes(tmp_path / "data", 8)
    result = CliRunner().invoke(app, ["notes", "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 1
    assert "too few to learn from" in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_holds_no_encoder_is_one_line_of_error(tmp_path):
    made_sets.notes(tmp_path / "data")
    arguments = [
        "notes",
        "--data",
        str(tmp_path / "data"),
        "--runs",
        str(tmp_path / "runs"),
        "--encoder",
        str(tmp_path),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "config.json is missing" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_notes_without_an_encoder_say_how_to_get_one_and_so_does_the_card(tmp_path):
    made_sets.notes(tmp_path / "data")
    arguments = ["notes", "--data", str(tmp_path / "data"), "--epochs", "1", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "no pretrained encoder" in result.output
    assert pretrained.MINILM_INSTALL in " ".join(result.output.split())
    assert "- No pretrained encoder" in (tmp_path / "out" / "notes" / "CARD.md").read_text()
