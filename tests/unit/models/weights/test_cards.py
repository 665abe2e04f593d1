"""Cards: every shipped artefact has one in both forms, in step with its manifest, with every attribute answered."""

import json

import pytest

from models.bundle import ARTEFACTS, NAMES
from models.training.cards.about import NOT_KNOWN
from models.training.cards.card import ABOUT, answers, cell, facts, markdown, source_attributes
from models.weights import Manifest, load


@pytest.mark.parametrize("name", NAMES)
class TestShippedCards:
    def test_both_forms_are_those_that_the_manifest_and_the_texts_give(self, name):
        _, manifest = load(ARTEFACTS / name)
        assert manifest.name == name
        assert manifest.trained
        assert manifest.data
        again = f"run  wardstream models describe models/artefacts/{name}"
        assert (ARTEFACTS / name / "CARD.md").read_text("utf-8") == markdown(manifest), again
        written = json.loads((ARTEFACTS / name / "card.json").read_text("utf-8"))
        assert written == json.loads(json.dumps(facts(manifest))), again

    def test_its_figures_are_those_of_the_manifest(self, name):
        manifest = json.loads((ARTEFACTS / name / "manifest.json").read_text("utf-8"))
        card = json.loads((ARTEFACTS / name / "card.json").read_text("utf-8"))
        assert card["figures"] == manifest["metrics"]
        assert card["figures"]
        assert (card["version"], card["sha256"]) == (manifest["version"], manifest["sha256"])

    def test_every_source_attribute_is_answered(self, name):
        card = json.loads((ARTEFACTS / name / "card.json").read_text("utf-8"))
        found = card["source_attributes"]["answers"]
        assert [each["n"] for each in found] == list(range(1, 32))
        assert all(each["text"].strip() and each["answer"].strip() for each in found)

    def test_people_are_told_what_it_is_not_for(self, name):
        text = (ARTEFACTS / name / "CARD.md").read_text("utf-8")
        assert "not a certified device" in text
        assert all(line in text for line in ABOUT[name].limits)


def test_there_are_31_source_attributes_with_a_citation():
    assert [each["n"] for each in source_attributes()["attributes"]] == list(range(1, 32))
    assert "45 CFR 170.315(b)(11)" in source_attributes()["citation"]


def test_nobody_is_invented():
    found = {each["n"]: each["answer"] for each in answers(Manifest(name="vitals", trained=True))}
    assert NOT_KNOWN in found[1]
    assert found[2] == NOT_KNOWN


def test_figures_stand_in_the_answer_about_validity():
    manifest = Manifest(name="vitals", trained=True, metrics={"x": {"auroc": [0.8, 0.7, 0.9], "rows": 5}, "y": 1})
    assert "x: auroc 0.8 (0.7 to 0.9)." in answers(manifest)[20]["answer"]
    assert "| x | 0.8 (0.7 to 0.9) | 5 |" in markdown(manifest)
    assert "- `y`: 1" in markdown(manifest)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([0.5, 0.4, 0.6], "0.5 (0.4 to 0.6)"),
        ([0.5, None, None], "0.5 (None to None)"),
        ([0.984, 0.9886], "0.984, 0.9886"),
        ({"a": 1, "b": [1, 0, 2]}, "a 1; b 1 (0 to 2)"),
        ("text", "text"),
    ],
)
def test_a_figure_in_one_line(value, text):
    assert cell(value) == text
