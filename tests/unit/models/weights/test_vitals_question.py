"""What `wardstream evaluate vitals` puts beside the model, on made stays."""

import numpy as np
import pytest

from models.bundle import load_bundle
from models.columns import COLUMNS, INDEX
from models.evaluation.vitals import vitals_question
from models.training.sequences import sequence
from models.training.trees import Trees, TreesPlan
from models.training.untrained import write_untrained
from models.weights import Manifest
from workers.datasets.stay import Stay


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder)
    return load_bundle(folder)


def stays(count=24, hours=8):
    """Every other one septic from the fourth hour on, with a fast pulse; the second hour is empty in all."""
    random = np.random.default_rng(0)
    for i in range(count):
        values = np.full((hours, len(COLUMNS)), np.nan, np.float32)
        values[:, INDEX["pulse"]] = 80 + 40 * (i % 2) + random.normal(0, 5, hours)
        values[1] = np.nan
        label = ((i % 2) * (np.arange(hours) >= 3)).astype(np.float32)
        yield Stay(str(i), np.arange(hours, dtype=np.float32), values, label, 60.0, 1.0, ("MICU", "SICU")[i // 2 % 2])


def test_units_are_subgroups(bundle):
    found = vitals_question(bundle, list(stays()), "sepsis_6h")
    assert len(found.label) == 24 * 7
    assert dict(zip(*np.unique(found.strata["unit"], return_counts=True), strict=True)) == {"MICU": 84, "SICU": 84}


def test_trees_grown_on_others_stand_beside_the_model(bundle):
    grown = Trees(
        [sequence(stay) for stay in stays(20)], np.array([INDEX["pulse"]]),
        TreesPlan(rounds=20, rate=0.3, least=3, share=1.0, by_stay=False),
    )  # fmt: skip
    found = vitals_question(bundle, list(stays()), "sepsis_6h", trees=grown)
    risk = found.baselines["boosted trees"]
    assert len(risk) == len(found.label)
    assert risk[found.label == 1].min() > risk[found.label == 0].mean()


def test_a_score_of_the_first_day_is_the_patients_at_every_row_and_lowest_where_unknown(bundle):
    scores = {str(i): float(i + 5) for i in range(24)} | {"3": np.nan}
    del scores["4"]
    found = vitals_question(bundle, list(stays()), "mortality", last_only=True, admission={"SAPS-I": scores})
    by_patient = dict(zip(found.patient.tolist(), found.baselines["SAPS-I"].tolist(), strict=True))
    assert by_patient == {str(i): float(i + 5) for i in range(24)} | {"3": 5.0, "4": 5.0}


def test_the_utility_is_that_of_the_manifests_threshold(bundle):
    assert vitals_question(bundle, list(stays()), "sepsis_6h").extra == {}
    old = bundle.manifests["vitals"]
    silent, loud = (
        Manifest(**old.model_dump() | {"metrics": {"sepsis_6h": {"utility_threshold": threshold}}})
        for threshold in (1.1, 0.0)
    )
    values = []
    for manifest in (silent, loud):
        bundle.manifests["vitals"] = manifest
        extra = vitals_question(bundle, list(stays()), "sepsis_6h").extra
        assert extra["alarm threshold"] in {1.1, 0.0}
        values.append(extra["utility (2019 challenge)"][0])
    bundle.manifests["vitals"] = old
    assert values[0] == 0
    assert values[1] > 0.5
