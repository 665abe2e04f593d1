"""Stays through the live alert policy, with alerts that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.bundle import load_bundle
from models.clinical.actions import Catalogue
from models.columns import COLUMNS, INDEX
from models.training.untrained import write_untrained
from workers.alert_policy import Policy
from workers.alerts import Facts
from workers.datasets.stay import Stay
from workers.policy_facts import Seen, Voice, facts_of, see
from workers.policy_replay import tell

HOUR = 3_600_000


def seen(low, *, high=None, charted=None, three=None, arrest=None, risk=None, applicable=True):
    """Hour by hour from 0; NEWS2 certain, nothing else and no models unless said."""
    count = len(low)
    return Seen(
        np.arange(count, dtype=np.int64) * HOUR,
        np.array(low, np.int16), np.array(high or low, np.int16), np.array(charted or high or low, np.int16),
        np.array(three or [False] * count), np.zeros(count, np.uint8), np.array(arrest or [False] * count),
        np.array(risk if risk is not None else [np.nan] * count, np.float64), applicable,
    )  # fmt: skip


def told(stay, voice=Voice.both, *, declared=False, thresholds=None):
    return tell(facts_of(stay, voice, declared=declared), thresholds or Policy())


def test_raise_suppress_update_clear_and_raise_again():
    #                raise  same  +2  between  below  clear  refractory is over: raise
    one = told(seen(low=[0, 5, 5, 7, 4, 3, 3, 5]))
    assert (one.raised_h, one.told_h) == ([1.0, 7.0], [1.0, 3.0, 7.0])
    assert (one.reached, one.suppressed) == (4, 1)


def test_an_alert_clears_only_where_the_upper_bound_allows_it():
    lows = [5, 0, 0, 0, 5]
    stay = seen(low=lows, high=[low + 5 for low in lows], charted=lows)
    assert told(stay).raised_h == [0.0]
    assert told(stay, declared=True).raised_h == [0.0, 4.0]


def test_only_who_has_a_voice_raises():
    stay = seen(
        low=[0, 5, 0, 0, 0], three=[False, False, True, False, False], risk=[0.0, 0.0, 0.0, 0.3, 0.3], high=[9] * 5
    )
    raised = {voice: told(stay, voice, thresholds=Policy(hold_ms=0)).raised_h for voice in Voice}
    assert raised == {Voice.rules: [1.0], Voice.total: [1.0], Voice.model: [4.0], Voice.both: [1.0]}
    single = seen(low=[3], three=[True])
    assert [len(told(single, voice).raised_h) for voice in (Voice.rules, Voice.total, Voice.model)] == [1, 0, 0]
    dying = seen(low=[3], arrest=[True])
    assert [len(told(dying, voice).raised_h) for voice in (Voice.rules, Voice.total, Voice.model)] == [1, 1, 0]


def test_an_abstaining_model_raises_nothing_and_clears_nothing_that_it_raised():
    silent = np.nan
    assert told(seen(low=[0, 0], risk=[silent, silent]), Voice.model).told_h == []
    soon = Policy(confirm_scores=1)
    kept = told(seen(low=[0] * 6, risk=[0.3, silent, silent, silent, silent, 0.3]), Voice.model, thresholds=soon)
    cleared = told(seen(low=[0] * 6, risk=[0.3, 0.0, 0.0, 0.0, 0.0, 0.3]), Voice.model, thresholds=soon)
    assert (kept.raised_h, cleared.raised_h) == ([0.0], [0.0, 5.0])


def test_without_models_the_policy_hears_that_nobody_was_asked():
    (facts,) = facts_of(seen(low=[2], high=[7]), Voice.rules, declared=False)
    assert facts == Facts(0, 2, 7, False, False, None, True, abstained=False)
    (facts,) = facts_of(seen(low=[2], high=[7]), Voice.both, declared=False)
    assert facts.abstained


def test_what_a_model_said_is_told_again_when_a_rule_confirms_it():
    stay = seen(low=[4, 4, 5], high=[9, 9, 9], risk=[0.3, 0.3, 0.3])
    assert told(stay, Voice.rules).told_h == [2.0]
    assert told(stay, Voice.both).told_h == [1.0, 2.0]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder)
    return load_bundle(folder)


def stay(name, rows, age=60.0):
    values = np.full((len(rows), len(COLUMNS)), np.nan, np.float32)
    for row, given in zip(values, rows, strict=True):
        for column, value in given.items():
            row[INDEX[column]] = value
    hours = np.arange(1, len(rows) + 1, dtype=np.float32)
    return Stay(name, hours, values, np.zeros(len(rows), np.float32), age, 1.0)


CALM = {"respiration_rate": 16, "spo2": 98, "systolic_bp": 120, "pulse": 70, "temperature": 37.0}


class TestFactsOfStays:
    def test_news2_has_its_range_where_consciousness_and_oxygen_are_not_charted(self, bundle):
        (one,) = see([stay("a", [CALM, {}, CALM | {"respiration_rate": 26}])], bundle, Catalogue.load())
        assert one.ms.tolist() == [1 * HOUR, 3 * HOUR]  # the empty hour is no event
        assert (one.low.tolist(), one.high.tolist(), one.charted_high.tolist()) == ([0, 3], [5, 8], [0, 3])
        assert (one.single_three.tolist(), one.arrest.tolist()) == ([False, True], [False, False])

    def test_what_is_missing_elsewhere_stays_possible_even_where_a_unit_declares(self, bundle):
        (one,) = see([stay("a", [{"pulse": 70}])], bundle, Catalogue.load())
        assert (one.low.tolist(), one.high.tolist(), one.charted_high.tolist()) == ([0], [17], [12])

    def test_charted_unconsciousness_counts_everywhere(self, bundle):
        (one,) = see([stay("a", [CALM | {"acvpu": 4}])], bundle, Catalogue.load())
        assert (one.low[0], one.charted_high[0], bool(one.arrest[0])) == (3, 3, True)

    def test_nobody_is_mixed_up_and_children_and_empty_stays_are_in_place(self, bundle):
        fast = CALM | {"pulse": 135}
        made = [stay("long", [CALM] * 4), stay("none", [{}]), stay("child", [fast], age=9.0), stay("short", [fast] * 2)]
        found = see(made, bundle, Catalogue.load())
        assert [len(one.ms) for one in found] == [len(one.risk) for one in found] == [4, 0, 1, 2]
        assert [one.low.tolist() for one in found] == [[0] * 4, [], [0], [3, 3]]
        assert [one.applicable for one in found] == [True, True, False, True]
        assert told(found[1]).told_h == told(found[2], Voice.rules).told_h == []
        assert told(found[3], Voice.rules).told_h == [1.0]
