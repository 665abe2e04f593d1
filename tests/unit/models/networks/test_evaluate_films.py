"""Evaluation of the imaging model on made films."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.calibration import Calibration
from models.conformal import Conformal
from models.evaluation.figures import Summary
from models.evaluation.imaging import Films, appearances, imaging_figures
from models.imaging import LABELS
from models.training.imaging import decision, reported
from models.weights import Thresholds
from workers.cli.evaluating.case import Case, Part
from workers.cli.evaluating.imaging import imaging
from workers.datasets import kermany
from workers.datasets.folder import DatasetError


def made(count=12):
    pixels = np.random.default_rng(0).integers(0, 255, (count, 224, 224)).astype(np.uint8)
    return Films(pixels, np.arange(count) % 3, [f"child-{i // 2}" for i in range(count)])


@pytest.fixture(scope="module")
def judged(bundle):
    manifest = bundle.manifests["imaging"].model_copy(
        update={
            "thresholds": {"pneumonia": Thresholds(medium=0.4, high=0.8)},
            "calibration": dict.fromkeys(LABELS, Calibration(temperature=2.0)),
            "conformal": {"finding": Conformal(coverage=0.9, least=dict.fromkeys(LABELS, 0.0))},
        }
    )
    return replace(bundle, manifests=bundle.manifests | {"imaging": manifest})


@pytest.fixture(scope="module")
def found(judged):
    return {one.name: one for one in imaging_figures(judged, made())}


def write(folder, films, adults):
    """Sets in the layouts of Kermany and NIH; None leaves one out."""
    jpegs = []
    for pixels in made().pixels:
        buffer = pa.BufferOutputStream()
        Image.fromarray(pixels).save(buffer, "JPEG")
        jpegs.append(buffer.getvalue().to_pybytes())
    if films:
        subtypes = [["normal", "bacteria", "virus"][i % 3] for i in range(12)]
        columns = {"jpeg": jpegs, "subtype": subtypes, "patient_id": made().patient}
        (folder / kermany.FILE).parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / kermany.FILE)
    if adults:
        (folder / kermany.NIH_FILE).parent.mkdir(parents=True)
        pq.write_table(pa.table({"jpeg": jpegs, "patient_id": list(range(12))}), folder / kermany.NIH_FILE)


def test_findings_stand_beside_what_looks_alone_would_tell(found):
    assert list(found)[:3] == ["pneumonia", "bacterial", "viral"]
    assert found["pneumonia"].label.sum() == 8
    assert set(found["viral"].baselines) == {f"{name} (shortcut check)" for name in ("blur", "flat", "narrow")}
    assert set(found["pneumonia"].strata["sharpness"]) == {"soft third", "middle third", "sharp third"}
    extra = found["pneumonia"].extra
    assert extra["called from"] == 0.4
    right = (found["pneumonia"].probability >= 0.4) == (found["pneumonia"].label == 1)
    assert extra["accuracy"][0] == pytest.approx(right.mean(), abs=1e-4)
    assert {"auroc, films made softer", "auroc, films made flatter", "auroc, films cut narrower"} < set(extra)


def test_sets_that_keep_every_class_cover_all_and_say_nothing(found):
    figures = found["three classes"].figures
    assert figures["conformal coverage"] == {name: [1.0, 1.0, 1.0] for name in LABELS}
    assert figures["conformal set size"][0] == 3
    assert figures["one class in the set"][0] == 0


@pytest.mark.parametrize(
    ("films", "adults", "names"),
    [
        (True, False, {"pneumonia", "bacterial", "viral", "three classes", "map, taking away its highest cells"}),
        (False, True, {"films of adults"}),
    ],
)
def test_a_folder_may_hold_films_of_children_or_of_adults_alone(judged, tmp_path, films, adults, names):
    write(tmp_path, films, adults)
    found = list(imaging(Case(judged, tmp_path, Part.all)))
    assert {one.name for one in found} == names
    if adults:
        assert isinstance(found[0], Summary)
        assert found[0].figures == {"flagged as unlike training": [0.0, 0.0, 0.0], "films": 12}


def test_without_either_set_the_missing_file_is_named(judged, tmp_path):
    with pytest.raises(DatasetError, match=r"kermany_cxr/images\.parquet"):
        list(imaging(Case(judged, tmp_path, Part.all)))


def test_of_adults_the_half_that_nothing_was_chosen_by_is_reported(judged, tmp_path):
    write(tmp_path, films=False, adults=True)
    (found,) = imaging(Case(judged, tmp_path, Part.test))
    assert found.figures["films"] == sum(reported(str(i)) for i in range(12))
    assert 0 < found.figures["films"] < 12


def test_each_look_rises_with_what_it_is_named_for():
    grain = np.random.default_rng(1).integers(0, 255, (224, 224)).astype(np.uint8)
    framed = grain.copy()
    framed[:, :8] = framed[:, -8:] = 0
    looks = appearances(np.stack([np.full_like(grain, 90), grain, framed]))
    assert looks["blur"][0] > looks["blur"][1]
    assert looks["flat"][0] > looks["flat"][1]
    assert looks["narrow"][1] > looks["narrow"][2] == 0


def test_the_decision_does_not_lean_to_the_more_frequent_class():
    pneumonia = np.arange(1000) >= 100  # nine in ten
    probability = np.where(pneumonia, 0.9, 0.5) + np.random.default_rng(0).normal(0, 0.02, 1000)
    assert 0.55 < decision(probability, pneumonia).medium < 0.85
    assert decision(probability, np.ones(1000, bool)) == Thresholds(medium=0.5, high=0.8)
