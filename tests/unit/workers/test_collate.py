"""From events to arrays: every parameter in its column, what is not stated unknown."""

from __future__ import annotations

import numpy as np
import pytest

from models.columns import COLUMNS, FLAGS, INDEX
from tests.unit.workers.made import ILL, encoded, image, note, record, vitals
from topics.parameters import PARAMETERS
from topics.readings import Suspect
from topics.reasons import Reason
from workers.collate import changes, entries, value_reasons, vitals_rows
from workers.context import CONFLICT, SUSPECT, UNREADABLE
from workers.encoders import without_embedding


def row(event):
    rows = vitals_rows([record(event)])
    return rows.rows[0], rows.suspects[0]


@pytest.mark.parametrize(
    "parameter", [p for p in PARAMETERS if None in p.units and p.low < p.high], ids=lambda p: p.name
)
def test_a_parameter_lands_in_the_column_of_its_name(parameter):
    value = round((parameter.low + parameter.high) / 2)
    made, _ = row(vitals(values={parameter.name: value}, oxygen=None, acvpu=None))
    assert made["value"][INDEX[parameter.name]] == np.float32(value)


def test_what_is_not_stated_is_unknown():
    made, suspects = row(vitals(values={"pulse": 70}, oxygen=None, acvpu=None, subject=None))
    known = np.flatnonzero(~np.isnan(made["value"]))
    assert [COLUMNS[k].name for k in known] == ["pulse"]
    assert np.isnan(made["static"]).all()
    assert (made["pregnant"], made["spo2_scale"], made["flags_known"], made["quality"]) == (-1, 0, 0, 0)
    assert suspects == []


def test_an_event_that_states_nothing_is_a_row_all_the_same():
    made, _ = row(vitals(values={}, oxygen=None, acvpu=None, subject=None))
    assert np.isnan(made["value"]).all()
    assert made["ms"] == record(vitals()).event_ms


def test_subject_scale_and_flags_are_taken_over():
    made, _ = row(
        vitals(
            subject={"age_years": 44.5, "sex": "male", "pregnant": False}, spo2_scale=2,
            flags={"dnacpr": True, "chest_pain": False, "seizure": None},
        )
    )  # fmt: skip
    assert made["static"].tolist() == [44.5, 1.0]
    assert (made["pregnant"], made["spo2_scale"]) == (0, 2)
    assert made["flags_known"] == 1 << FLAGS.index("dnacpr") | 1 << FLAGS.index("chest_pain")
    assert made["flags_true"] == 1 << FLAGS.index("dnacpr")


@pytest.mark.parametrize(("sex", "male"), [("male", 1.0), ("female", 0.0), ("other", np.nan), ("unknown", np.nan)])
def test_sex_is_known_or_not(sex, male):
    made, _ = row(vitals(subject={"sex": sex}))
    np.testing.assert_equal(made["static"][1], np.float32(male))


def test_what_is_not_believed_is_missing_and_marked():
    made, suspects = row(vitals(values=ILL | {"pulse": -5}))
    assert np.isnan(made["value"][INDEX["pulse"]])
    assert made["quality"] == SUSPECT
    assert suspects == [Suspect("pulse", Reason.SUSPECT_VALUE)]


def test_a_contradiction_is_marked():
    event = vitals()
    event["observations"] += [{"code": "pulse", "value": 71}]
    assert row(event)[0]["quality"] == CONFLICT


def test_neighbours_do_not_mix():
    together = vitals_rows([record(vitals("p1", values=ILL)), record(vitals("p2", values={}, acvpu=None, oxygen=None))])
    assert np.isnan(together.rows["value"][1]).all()
    assert together.rows["value"][0, INDEX["pulse"]] == ILL["pulse"]


def test_reasons_are_named_once_each():
    suspects = [Suspect("pulse", Reason.SUSPECT_VALUE), Suspect("spo2", Reason.SUSPECT_VALUE),
                Suspect("ph", Reason.UNIT_UNKNOWN)]  # fmt: skip
    assert value_reasons(suspects, conflict=True) == [
        Reason.SUSPECT_VALUE, Reason.UNIT_UNKNOWN, Reason.CONFLICTING_VALUES,
    ]  # fmt: skip
    assert value_reasons([], conflict=False) == []


class TestEntries:
    def test_take_over_what_the_encoder_found(self):
        made, _, _ = entries(
            [record(image(), encoded=encoded(1)), record(note(), encoded=without_embedding(Reason.MODEL_OFF))]
        )
        np.testing.assert_allclose(made["embedding"][0], encoded(1).embedding, atol=1e-2)
        np.testing.assert_allclose(made["probability"][0, :3], encoded(1).probability, atol=1e-3)
        assert not made["probability"][0, 3:].any()
        assert made["quality"].tolist() == [0, UNREADABLE]

    def test_a_notes_flags_are_taken_over(self):
        stated = {"seizure": True, "syncope": False, "chest_pain": "perhaps"}
        (made,), reasons, (named,) = entries([record(note("p", 0, "t", flags=stated), encoded=encoded(1))])
        assert reasons == [[Reason.SUSPECT_VALUE]]
        assert [each.parameter for each in named] == ["chest_pain"]
        assert made["flags_known"] == 1 << FLAGS.index("seizure") | 1 << FLAGS.index("syncope")
        assert made["flags_true"] == 1 << FLAGS.index("seizure")


def test_changes_say_what_is_replaced_and_retracted():
    correction = record(vitals(status="corrected", replaces="old"))
    retraction = record(vitals(status="entered-in-error", replaces="old"))
    made = changes([record(vitals()), correction, retraction], "live")
    assert made.replaces.tolist() == [0, correction.replaces64, correction.replaces64]
    assert made.retract.tolist() == [False, False, True]
    assert len(set(made.content.tolist())) == 3
    assert record(vitals(event_id="old")).id64 == correction.replaces64
