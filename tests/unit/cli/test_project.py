"""`wardstream project`: from lines of recommendations to lines of projections."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.unit.projections.published import cleared, published
from workers.cli.app import app
from workers.cli.errors import UserError
from workers.cli.project import recommendations


def project(kind: str, text: str, *options: str) -> list[dict]:
    result = CliRunner().invoke(app, ["project", kind, "-", *options], input=text, catch_exceptions=False)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


@pytest.mark.parametrize("kind", ["risk-assessment", "detected-issue", "communication-request"])
def test_each_kind_of_resource_is_one_line_a_recommendation(kind):
    found = project(kind, lines(published(), published(patient_id="two")), "--patient-system", "urn:x:mrn")
    assert ["".join(word.title() for word in kind.split("-"))] * 2 == [each["resourceType"] for each in found]
    subjects = [each.get("subject") or each["patient"] for each in found]
    assert [each["identifier"] for each in subjects] == [
        {"system": "urn:x:mrn", "value": "example-patient-17"},
        {"system": "urn:x:mrn", "value": "two"},
    ]


def test_only_what_pages_gives_a_card():
    found = project("cds-hooks", lines(published({"state": "none"}), published(), cleared()))
    assert [each["uuid"] for each in found] == [published()["alert"]["alert_id"]]


def test_a_correction_prints_what_it_supersedes_first():
    found = project("risk-assessment", lines(published(supersedes=["old"])))
    assert [(each["identifier"][0]["value"], each["status"]) for each in found] == [
        ("old", "entered-in-error"),
        (published()["recommendation_id"], "final"),
    ]


def test_one_document_over_several_lines_is_read_as_well():
    assert len(project("cds-hooks", "\n" + json.dumps(published(), indent=2))) == 1


def test_dead_letters_of_an_offline_run_are_left_out():
    assert len(project("risk-assessment", lines({"dead_letter": {"reason": "schema"}}, published()))) == 1


def test_says_so_when_nothing_is_given():
    result = CliRunner().invoke(app, ["project", "cds-hooks"], input=lines(published({"state": "none"})))
    assert result.stdout == ""
    assert "1 recommendations read: none gives cds-hooks" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"patient_id": "secret"}\n', "line 1: not a recommendation (schema_version: missing; "),
        (lines(published()) + "{oops\n", "line 2: not JSON"),
        ("oops\nsecret\n", "neither JSON nor JSON lines"),
        (lines(published(schema_version="2.0")), "line 1: not a recommendation of this version"),
        (lines(published(status="secret")), "line 1: not a recommendation (status: literal_error)"),
        ("[1]\n", "line 1: not a recommendation (value: model_type)"),
    ],
)
def test_bad_input_is_named_in_one_line_without_its_values(tmp_path, text, said):
    file = tmp_path / "in.jsonl"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        list(recommendations(file))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(recommendations(tmp_path / "none"))
