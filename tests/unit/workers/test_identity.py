"""Pseudonyms and the names of results."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from workers.identity import Identity, alert_id, dedupe_digest, recommendation_id

IDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), min_size=1, max_size=20)
PARTS = st.tuples(IDS, IDS, IDS, IDS)


class TestPseudonyms:
    def test_the_same_patient_has_the_same_pseudonym_in_every_worker(self):
        assert Identity("k" * 16).patient("p1") == Identity("k" * 16).patient("p1")
        assert len(Identity("k" * 16).patient("p1")) == 16

    def test_another_key_gives_another_pseudonym(self):
        assert Identity("k" * 16).patient("p1") != Identity("l" * 16).patient("p1")

    @given(IDS)
    def test_the_pseudonym_does_not_hold_the_name(self, patient):
        if len(patient) >= 4:
            assert patient.encode() not in Identity("k" * 16).patient(patient)

    def test_content_is_named_by_kind_and_bytes(self):
        identity = Identity("k" * 16)
        names = {
            identity.content("note:1", b"x"), identity.content("note:2", b"x"), identity.content("image:1", b"x"),
            identity.content("note:1", b"y"), identity.patient("x"),
        }  # fmt: skip
        assert len(names) == 5
        assert identity.content("note:1", b"x") in names


class TestRecommendationId:
    def test_is_a_uuid_of_version_5_that_never_changes(self):
        ident = recommendation_id("patient.vitals", "monitor", "event-1", "live")
        assert uuid.UUID(ident).version == 5
        assert ident == "7bb52250-0c9d-53df-923d-761b4d7e46e1"

    @given(PARTS, PARTS)
    def test_only_the_same_event_and_run_share_an_id(self, one, other):
        assert (recommendation_id(*one) == recommendation_id(*other)) == (one == other)


class TestAlerts:
    def test_the_dedupe_key_tells_patient_encounter_and_action_apart(self):
        keys = {
            dedupe_digest(b"p" * 16, None, "a"), dedupe_digest(b"q" * 16, None, "a"),
            dedupe_digest(b"p" * 16, "e", "a"), dedupe_digest(b"p" * 16, None, "b"),
        }  # fmt: skip
        assert len(keys) == 4

    def test_the_dedupe_key_does_not_hold_the_encounter(self):
        assert b"enc-77" not in dedupe_digest(b"p" * 16, "enc-77", "a")

    def test_an_alert_is_named_by_its_key_and_the_result_that_raised_it(self):
        assert alert_id(b"k", "r1") == alert_id(b"k", "r1")
        assert alert_id(b"k", "r1") != alert_id(b"k", "r2")
        assert uuid.UUID(bytes=alert_id(b"k", "r1")).version == 5


@given(st.text(), st.text(max_size=50))
def test_ids_are_version_5_uuids_of_the_standard_library(topic, event):
    namespace = uuid.uuid5(uuid.NAMESPACE_DNS, "recommendations.wardstream")
    assert recommendation_id(topic, "s", event, "live") == str(
        uuid.uuid5(namespace, f"{topic}\x1fs\x1f{event}\x1flive")
    )
