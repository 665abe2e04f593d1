import hashlib
import json
import re

import pytest
import torch

from models.calibration import Calibration
from models.weights import Manifest, Thresholds, WeightsError, load, save

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(2.5)}


@pytest.fixture
def manifest():
    return Manifest(
        name="vitals", trained=True, config={"hidden": 64}, labels=("x",),
        thresholds={"x": Thresholds(medium=0.1, high=0.2)},
        calibration={"x": Calibration(temperature=1.5, bias=-0.1)}, horizon_h={"x": 6.0},
    )  # fmt: skip


def test_load_gives_what_was_saved(tmp_path, manifest):
    written = save(tmp_path / "vitals", STATE, manifest)
    state, read = load(tmp_path / "vitals")
    assert read == written
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_version_ends_in_the_digest_of_the_weights(tmp_path, manifest):
    first = save(tmp_path / "1", STATE, manifest)
    again = save(tmp_path / "2", STATE, first)
    other = save(tmp_path / "3", {"a": torch.ones(2)}, manifest)
    assert first.version == again.version == f"1.0.0+{first.sha256[:8]}"
    assert other.version != first.version


def test_refuses_weights_that_are_not_those_of_the_manifest(tmp_path, manifest):
    save(tmp_path, STATE, manifest)
    file = tmp_path / "weights.safetensors"
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 1
    file.write_bytes(blob)
    with pytest.raises(WeightsError, match=r"its manifest says .* copy all files") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_files_beside_the_weights_are_held_to_their_digest(tmp_path, manifest):
    written = save(tmp_path, STATE, manifest, {"words.json": b"[]"})
    assert written.files == {"words.json": hashlib.sha256(b"[]").hexdigest()}
    assert load(tmp_path)[1] == written
    (tmp_path / "words.json").write_bytes(b"[1]")
    with pytest.raises(WeightsError, match=r"words\.json has SHA-256 .* copy all files"):
        load(tmp_path)
    (tmp_path / "words.json").unlink()
    with pytest.raises(WeightsError, match=r"words\.json is missing"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json"])
def test_names_the_file_that_is_missing(tmp_path, manifest, name):
    save(tmp_path, STATE, manifest)
    (tmp_path / name).unlink()
    with pytest.raises(WeightsError, match=f"{re.escape(name)} is missing"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "vitals"}', '{"name": "v", "trained": true, "extra": 1}'])
def test_refuses_a_broken_manifest_in_one_line(tmp_path, manifest, text):
    save(tmp_path, STATE, manifest)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WeightsError, match=r"manifest\.json cannot be read") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"version": "../1.0.0"}, {"version": ""}, {"files": {"../../passwd": "0"}}])
def test_refuses_names_that_lead_out_of_its_folder(tmp_path, manifest, change):
    written = save(tmp_path, STATE, manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(written.model_dump(mode="json") | change))
    with pytest.raises(WeightsError, match=r"manifest\.json cannot be read"):
        load(tmp_path)


def test_refuses_a_file_that_is_no_safetensors(tmp_path, manifest):
    written = save(tmp_path, STATE, manifest)
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    digest = hashlib.sha256(b"nonsense").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(written.model_dump(mode="json") | {"sha256": digest}))
    with pytest.raises(WeightsError, match="no safetensors file"):
        load(tmp_path)
