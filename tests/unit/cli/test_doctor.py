"""The doctor's findings, from states that are given to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from topics.catalogue import TOPICS
from workers.cli.cluster import TopicState
from workers.cli.doctor import Finding, check_settings, findings_of, topic_findings
from workers.settings import Settings

OWN_KEY = "a-key-of-our-own-000"


def states(**partitions: int) -> dict[str, TopicState]:
    return {topic.name: TopicState(topic.name, partitions.get(topic.name.partition(".")[2], 6), 1) for topic in TOPICS}


def failures(findings: Iterator[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.verdict == "FAIL"]


@pytest.fixture(autouse=True)
def _no_stray_variables(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("WARDSTREAM_")]:
        monkeypatch.delenv(name)


def test_the_default_identity_key_fails_and_an_own_one_does_not():
    assert "WARDSTREAM_IDENTITY_KEY" in failures(check_settings(Settings()))[0]
    assert failures(check_settings(Settings(identity_key=OWN_KEY))) == []


def test_a_mistyped_variable_fails(monkeypatch):
    monkeypatch.setenv("WARDSTREAM_DEVISE", "cpu")
    assert failures(check_settings(Settings(identity_key=OWN_KEY))) == [
        "WARDSTREAM_DEVISE is not a setting; `wardstream settings` lists those there are"
    ]


def test_an_image_root_that_is_not_there_fails(tmp_path):
    settings = Settings(identity_key=OWN_KEY, image_roots=(tmp_path, tmp_path / "gone"))
    assert [str(tmp_path / "gone") in text for text in failures(check_settings(settings))] == [True]


def test_kafka_elsewhere_without_tls_is_noted():
    settings = Settings(identity_key=OWN_KEY, kafka_bootstrap_servers="kafka.example:9092")
    assert [finding.verdict for finding in check_settings(settings)] == ["ok", "note"]


def test_equal_topics_are_fine():
    assert [finding.verdict for finding in topic_findings(Settings(), states(), 1)] == ["ok", "ok"]


def test_missing_topics_fail():
    existing = states()
    del existing["patient.notes"]
    assert failures(topic_findings(Settings(), existing, 1)) == [
        "missing: patient.notes; run `wardstream topics apply`"
    ]


def test_input_topics_with_unequal_partitions_fail():
    assert "patient.notes 3" in failures(topic_findings(Settings(), states(notes=3), 1))[0]


def test_one_replica_in_a_cluster_is_noted():
    assert [finding.verdict for finding in topic_findings(Settings(), states(), 3)] == ["ok", "ok", "note"]


def test_a_check_that_breaks_is_a_finding():
    def check_models(_: Settings) -> Iterator[Finding]:
        raise FileNotFoundError(2, "No such file or directory", "/models/manifest.json")
        yield

    assert list(findings_of(check_models, Settings())) == [
        Finding("FAIL", "models", "No such file or directory: /models/manifest.json")
    ]
