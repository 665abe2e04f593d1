import json
import shutil

import numpy as np
import pytest
import torch

from models.bundle import ARTEFACTS, NAMES, load_bundle
from models.columns import COLUMNS
from models.tokens import NoteTokenizer
from models.training.untrained import write_untrained
from models.weights import WeightsError, load, save


@pytest.fixture
def folder(tmp_path):
    write_untrained(tmp_path)
    return tmp_path


def test_shipped_artefacts_load_and_infer():
    bundle = load_bundle()
    assert set(bundle.versions) == set(NAMES)
    nothing = torch.full((1, len(COLUMNS)), torch.nan)
    h = bundle.vitals.step(bundle.vitals.initial(1), nothing, nothing, nothing, torch.full((1, 3), torch.nan))
    assert bundle.vitals.heads(h).isfinite().all()
    history, features = np.zeros((2, len(bundle.ranker.catalogue.actions))), np.full((2, len(COLUMNS)), np.nan)
    history[0, :9], features[0, :9] = 1.0, 100.0
    for part in bundle.ranker.recommenders.hybrid.parts(history, features):
        assert (part[0] != 0).any()
        assert (part[1] == 0).all()  # of whom nothing is known
    assert not any(p.requires_grad for p in bundle.vitals.parameters())
    assert not any(network.training for network in (bundle.vitals, bundle.notes, bundle.imaging, bundle.fusion))


def test_shipped_artefacts_are_small():
    assert sum(file.stat().st_size for file in ARTEFACTS.rglob("*") if file.is_file()) < 40 * 10**6


def test_the_shipped_ranker_is_small():
    assert sum(file.stat().st_size for file in (ARTEFACTS / "ranker").iterdir()) < 400 * 2**10


def test_same_seed_writes_the_same_weights(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("again")
    write_untrained(other)
    assert load_bundle(other).versions == load_bundle(folder).versions


def test_what_a_folder_lacks_comes_from_the_shipped_ones(folder):
    for name in ("notes", "imaging", "fusion"):
        shutil.rmtree(folder / name)
    bundle = load_bundle(folder)
    assert bundle.manifests["vitals"].version.startswith("0.0.0+")
    assert bundle.manifests["notes"] == load_bundle().manifests["notes"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match="WARDSTREAM_MODELS_DIR"):
        load_bundle(tmp_path / "none")


def test_a_missing_tokenizer_is_named(folder):
    (folder / "notes" / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        load_bundle(folder)


def test_the_tokenizer_of_other_weights_is_refused(folder):
    NoteTokenizer.build(["other words"] * 3).save(folder / "notes" / "tokenizer.json")
    with pytest.raises(WeightsError, match=r"tokenizer\.json has SHA-256 .* its manifest says"):
        load_bundle(folder)


def test_a_tokenizer_that_the_manifest_does_not_speak_of_is_refused(folder):
    file = folder / "notes" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"files": {}}))
    with pytest.raises(WeightsError, match="of other weights"):
        load_bundle(folder)


def test_weights_of_another_shape_are_refused_in_one_line(folder):
    state, manifest = load(folder / "vitals")
    save(folder / "vitals", state | {"head.bias": torch.zeros(5)}, manifest)
    with pytest.raises(WeightsError, match="does not fit this release") as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


def test_an_unknown_configuration_is_refused(folder):
    file = folder / "fusion" / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"config": {"depth": 3}}))
    with pytest.raises(WeightsError, match="does not fit this release"):
        load_bundle(folder)


def widened(name, dim):
    def change(state):
        return state | {name: torch.cat([state[name], state[name].narrow(dim, 0, 1)], dim)}

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state | {"catalogue": state["catalogue"] + 1}, "another catalogue"),
        (lambda state: {name: one for name, one in state.items() if name != "weights"}, "its tensors are"),
        (lambda state: state | {"content.mean": state["content.mean"] * torch.nan}, "content.mean is not finite"),
        (widened("content.mean", 0), "the weights have shape"),
        (widened("content.weights", 1), "shape"),
        (lambda state: state | {"collaborative.item_factors": torch.zeros(46, 2, 2)}, "different widths"),
        (lambda state: state | {"content.scale": state["content.scale"] * 0}, "scale above 0"),
        (lambda state: state | {"weights": torch.zeros(9)}, "does not fit"),
    ],
)
def test_a_ranker_of_another_release_is_refused_in_one_line(folder, change, reason):
    state, manifest = load(folder / "ranker")
    save(folder / "ranker", change(state), manifest)
    with pytest.raises(WeightsError, match="does not fit this release") as error:
        load_bundle(folder)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_ranker_of_any_number_of_factors_is_accepted(folder):
    state, manifest = load(folder / "ranker")
    names = [f"collaborative.{name}" for name in ("history_factors", "item_factors", "everyone")]
    wider = {name: torch.ones(*state[name].shape[:-1], 3, dtype=torch.float64) for name in names}
    save(folder / "ranker", state | wider, manifest)
    built = load_bundle(folder).ranker.recommenders.hybrid.collaborative
    assert built.item_factors.shape == built.history_factors.shape == (len(state[names[0]]), 3)
