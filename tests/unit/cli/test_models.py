"""`wardstream models`: what it shows, and one line when something is wrong."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from models.bundle import ACTIVE, ARTEFACTS, NAMES, load_bundle, strangers
from models.training.untrained import write_untrained
from models.weights import MANIFEST, WEIGHTS, Manifest, WeightsError, load, save
from workers.cli.app import app
from workers.cli.describe import describe
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


def test_the_card_as_json():
    card = json.loads(run("models", "show", "vitals", "--json"))
    assert card["name"] == "vitals"
    assert len(card["source_attributes"]["answers"]) == 31


def test_a_model_without_card_does_not_pass(tmp_path):
    shutil.copytree(ARTEFACTS / "fusion", tmp_path / "fusion")
    (tmp_path / "fusion" / "card.json").unlink()
    with pytest.raises(UserError, match=r"has no card\.json: .* describe"):
        run("models", "verify", "--models", tmp_path)
    run("models", "describe", tmp_path / "fusion")
    run("models", "verify", "--models", tmp_path)


SHIPPED = load(ARTEFACTS / "vitals")[1].version


def another(folder):
    """A vitals model with other weights, as training would leave it."""
    state, manifest = load(ARTEFACTS / "vitals")
    written = save(folder, {name: one + 1e-3 for name, one in state.items()}, manifest)
    describe(folder, written)
    return written.version


def listed(folder):
    """(used, version) of every vitals line."""
    rows = [
        [cell.strip() for cell in line.split("│")] for line in run("models", "list", "--models", folder).splitlines()
    ]
    return [(row[1] == "*", row[3]) for row in rows if len(row) > 3 and row[2] == "vitals"]


class TestActivate:
    def test_a_new_version_is_copied_and_used_and_the_former_can_be_taken_back(self, tmp_path):
        folder, run_folder = tmp_path / "models", tmp_path / "run"
        version = another(run_folder)
        told = run("models", "activate", "vitals", run_folder, "--models", folder)
        assert f"vitals {version} is in use" in told
        assert "from their next start" in told
        assert f"activate vitals {SHIPPED}" in told
        shutil.rmtree(run_folder)
        assert load_bundle(folder).versions["vitals"] == version
        assert listed(folder) == [(True, version), (False, SHIPPED)]
        run("models", "activate", "vitals", SHIPPED, "--models", folder)
        assert load_bundle(folder).versions["vitals"] == SHIPPED
        assert sorted(listed(folder)) == sorted([(False, version), (True, SHIPPED), (False, SHIPPED)])
        run("models", "activate", "vitals", version, "--models", folder)
        assert load_bundle(folder).versions["vitals"] == version
        assert not list((folder / "vitals").glob(".incoming*"))

    def test_a_plain_artefact_stays_a_version_to_go_back_to(self, tmp_path):
        shutil.copytree(ARTEFACTS / "vitals", tmp_path / "vitals")
        version = another(tmp_path / "run")
        run("models", "activate", "vitals", tmp_path / "run", "--models", tmp_path)
        assert load_bundle(tmp_path).versions["vitals"] == version
        run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        assert load_bundle(tmp_path).versions["vitals"] == SHIPPED

    def test_a_damaged_version_is_refused_and_what_was_used_stays(self, tmp_path):
        another(tmp_path / "run")
        run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        with (tmp_path / "run" / WEIGHTS).open("ab") as file:
            file.write(b"x")
        with pytest.raises(WeightsError, match="SHA-256"):
            run("models", "activate", "vitals", tmp_path / "run", "--models", tmp_path)
        assert load_bundle(tmp_path).versions["vitals"] == SHIPPED

    def test_a_damaged_copy_is_replaced_by_a_whole_one(self, tmp_path):
        version = another(tmp_path / "run")
        run("models", "activate", "vitals", tmp_path / "run", "--models", tmp_path)
        (tmp_path / "vitals" / version / WEIGHTS).write_bytes(b"")
        assert "DAMAGED" in run("models", "list", "--models", tmp_path)
        run("models", "activate", "vitals", tmp_path / "run", "--models", tmp_path)
        assert load_bundle(tmp_path).versions["vitals"] == version

    def test_one_that_was_never_trained_is_refused(self, tmp_path):
        write_untrained(tmp_path)
        with pytest.raises(UserError, match="never trained"):
            run("models", "activate", "vitals", tmp_path / "vitals", "--models", tmp_path / "models")
        assert not (tmp_path / "models").exists()

    def test_one_that_does_not_fit_this_release_is_refused(self, tmp_path):
        state, manifest = load(ARTEFACTS / "vitals")
        written = save(tmp_path / "run", state | {"head.bias": torch.zeros(7)}, manifest)
        describe(tmp_path / "run", written)
        with pytest.raises(WeightsError, match="does not fit this release"):
            run("models", "activate", "vitals", tmp_path / "run", "--models", tmp_path)

    def test_one_of_another_model_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="is a model vitals, not notes"):
            run("models", "activate", "notes", ARTEFACTS / "vitals", "--models", tmp_path)

    def test_a_version_that_does_not_exist_names_those_that_do(self, tmp_path):
        with pytest.raises(
            UserError, match=f"no vitals 9: choose one of {SHIPPED.replace('+', '.')}, or name a folder"
        ):
            run("models", "activate", "vitals", "9", "--models", tmp_path)
        with pytest.raises(UserError, match="is no model artefact"):
            run("models", "activate", "vitals", tmp_path / "none", "--models", tmp_path)

    def test_the_shipped_models_are_not_changed(self, monkeypatch):
        monkeypatch.delenv("WARDSTREAM_MODELS_DIR", raising=False)
        with pytest.raises(UserError, match="name the folder that your workers use"):
            run("models", "activate", "vitals", SHIPPED)

    def test_a_pointer_to_nowhere_stops_a_worker(self, tmp_path):
        run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        (tmp_path / "vitals" / ACTIVE).write_text("../../elsewhere\n")
        with pytest.raises(WeightsError, match="wardstream models activate"):
            load_bundle(tmp_path)
        run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        assert load_bundle(tmp_path).versions["vitals"] == SHIPPED

    @pytest.mark.parametrize("content", [b"9.9.9+nowhere", b"", b"\xff\xfe"], ids=["unknown", "empty", "no text"])
    def test_a_pointer_to_nowhere_leaves_a_list_to_choose_from_and_no_way_back(self, tmp_path, content):
        run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        (tmp_path / "vitals" / ACTIVE).write_bytes(content)
        assert "which is not there" in run("models", "list", "--models", tmp_path)
        assert listed(tmp_path) == [(False, SHIPPED), (False, SHIPPED)]
        told = run("models", "activate", "vitals", SHIPPED, "--models", tmp_path)
        assert "before: none that works" in told
        assert "To go back" not in told
        assert listed(tmp_path)[0] == (True, SHIPPED)

    @pytest.mark.parametrize("command", [("list",), ("show", "vitals")])
    def test_a_folder_that_does_not_exist_is_no_folder_of_shipped_models(self, tmp_path, command):
        with pytest.raises(UserError, match="there is no folder"):
            run("models", *command, "--models", tmp_path / "none")

    def test_a_version_may_be_what_a_worker_is_given_alone(self, tmp_path):
        version = another(tmp_path)
        assert (tmp_path / MANIFEST).is_file()
        assert load_bundle(tmp_path).versions["vitals"] == version


def test_a_model_beside_others_than_it_was_trained_with_is_told_of():
    manifests = {
        "notes": Manifest(name="notes", version="1.0.0+b", trained=True),
        "fusion": Manifest(name="fusion", version="1.0.0+f", trained=True, built_on={"notes": "1.0.0+a"}),
    }
    (line,) = strangers(manifests)
    assert "fusion 1.0.0+f was trained on notes 1.0.0+a" in line
    assert strangers({"notes": manifests["notes"]}) == []
