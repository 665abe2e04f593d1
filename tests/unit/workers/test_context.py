"""The packed context: fixed size, no foreign layout, nothing known at first."""

from __future__ import annotations

import numpy as np
import pytest

from workers.alert_policy import Tier
from workers.alert_store import pack_alert, unpack_alert
from workers.alerts import AlertState, Phase
from workers.context import CONTEXT, LAYOUT, NEVER, blank, blank_rows, digest32, digest64, pack, unpack


def test_a_stored_context_comes_back_unchanged():
    contexts = blank(3)
    contexts["as_of"] = [1, 2, 3]
    contexts["head"]["hidden"][1] = 0.5
    values = pack(contexts)
    assert {len(value) for value in values} == {CONTEXT.itemsize}
    assert unpack(values).tobytes() == contexts.tobytes()


def test_what_is_unpacked_can_be_written_to():
    contexts = unpack(pack(blank(1)))
    contexts["as_of"] = 5
    assert contexts["as_of"][0] == 5


@pytest.mark.parametrize(
    "value", [None, b"", b"x", bytes(CONTEXT.itemsize), pack(blank(1))[0][:-1], pack(blank(1))[0] + b"x"]
)
def test_nothing_or_another_layout_is_a_patient_of_whom_nothing_is_known(value):
    found = unpack([value])
    assert found["version"].tobytes() == (value or b"")[:8].ljust(8, b"\0")  # so that it can be written in its place
    found["version"] = bytes(8)
    assert found.tobytes() == blank(1).tobytes()


def test_an_alert_comes_back_unchanged():
    state = AlertState(Phase.ACTIVE, Tier.WARNING, 5, alert_id=b"i" * 16, told=Tier.CRITICAL)
    contexts = blank(1)
    pack_alert(contexts["alert"], 0, state, b"k" * 16)
    assert unpack_alert(unpack(pack(contexts))[0]["alert"]) == (state, b"k" * 16)


def test_of_an_alert_told_before_its_tier_was_kept_what_counts_as_told_stands_for_it():
    contexts = blank(1)
    pack_alert(contexts["alert"], 0, AlertState(Phase.ACTIVE, Tier.WARNING), bytes(16))
    assert unpack_alert(contexts["alert"][0])[0].told is Tier.WARNING


def test_another_layout_beside_a_good_one_costs_it_nothing():
    good = blank(1)
    good["as_of"] = 9
    foreign = blank(1)
    foreign["layout"] = LAYOUT + 1
    assert unpack([pack(foreign)[0], pack(good)[0]])["as_of"].tolist() == [NEVER, 9]


def test_of_a_new_patient_nothing_is_known():
    (context,) = blank(1)
    assert context["cold"] == 1
    assert context["rows"] == context["notes"] == context["images"] == 0
    for state in ("head", "checkpoint"):
        assert np.isnan(context[state]["value"]).all()
        assert (context[state]["at"] == NEVER).all()
        assert context[state]["pregnant"] == -1
        assert not context[state]["hidden"].any()
    assert unpack_alert(context["alert"]) == (AlertState(), bytes(16))
    assert context["holds"] == 0


def test_blank_rows_state_nothing():
    rows = blank_rows(2)
    assert np.isnan(rows["value"]).all()
    assert np.isnan(rows["static"]).all()
    assert rows["pregnant"].tolist() == [-1, -1]
    assert not rows["flags_known"].any()


def test_a_context_stays_a_few_kilobytes():
    assert CONTEXT.itemsize < 8192


class TestDigests:
    def test_tell_parts_apart_by_their_borders(self):
        assert digest64(b"ab", b"c") != digest64(b"a", b"bc")

    def test_are_stable_and_never_zero(self):
        assert digest64(b"event") == digest64(b"event") != 0
        assert 0 < digest64(b"event") < 2**64
        assert 0 < digest32("1.0") < 2**32
