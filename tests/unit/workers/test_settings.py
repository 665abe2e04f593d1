"""Settings: documented, read from the environment, refused when they make no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.settings import Settings

DOC = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_field_documents_itself(name):
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")


@pytest.mark.parametrize("name", [n for n in Settings.model_fields if re.search(r"_(s|ms|h|bytes)$", n)])
def test_every_quantity_is_a_number(name):
    assert Settings.model_fields[name].annotation in (int, float)


def test_the_table_in_the_docs_names_every_setting():
    if not DOC.is_file():
        pytest.skip("docs/settings.md is not written yet")
    named = set(re.findall(r"`WARDSTREAM_([A-Z0-9_]+)`", DOC.read_text()))
    assert {name.upper() for name in Settings.model_fields} <= named


def test_the_environment_is_read_with_its_prefix(monkeypatch):
    monkeypatch.setenv("WARDSTREAM_KAFKA_GROUP", "mine")
    monkeypatch.setenv("WARDSTREAM_ONLY", "vitals, notes")
    monkeypatch.setenv("WARDSTREAM_IMAGE_ROOTS", "/a,/b")
    monkeypatch.setenv("WARDSTREAM_RUN", "")  # empty counts as unset
    made = Settings()
    assert made.kafka_group == "mine"
    assert made.only == ("vitals", "notes")
    assert made.image_roots == (Path("/a"), Path("/b"))
    assert made.run == "live"


@pytest.mark.parametrize(
    "wrong",
    [
        {"only": "vitals,labs"}, {"run": "Live Run"}, {"device": "tpu"}, {"identity_key": "short"},
        {"kafka_session_timeout_s": 0}, {"batch_max_records": 0}, {"unknown": 1}, {"log_level": "loud"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_secrets_are_not_shown():
    made = Settings(identity_key="x" * 20 + "hidden", redis_url="redis://u:hidden@h/0", kafka_sasl_password="hidden")
    assert "hidden" not in repr(made)
    assert "hidden" not in str(made.model_dump())


def test_they_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().run = "other"
