"""The clinical judgement of a context: carried values and their ages, flags of vitals and notes, what risks rest on."""

from __future__ import annotations

import numpy as np
import pytest

from models.clinical.truth import TRUE
from models.columns import INDEX
from tests.unit.workers.made import CONTROL, ILL, WELL, Ward, encoded, image, judge, models, note, record, vitals
from workers.context import FOREIGN, blank
from workers.control import Control


def assessed(*events, control=CONTROL, with_models=True, **more):
    """The assessment of patient-1 after the events."""
    ward = Ward()
    for event in events:
        ward.decide(record(event, encoded=encoded(1, **more) if "text" in event or "image" in event else None))
    (context,) = ward.contexts.values()
    return judge().assess(context, models() if with_models else None, control)


class TestAges:
    def test_a_value_is_carried_up_to_its_own_age_and_no_longer(self):
        first = vitals("patient-1", 0, values={"pulse": 140, "lactate": 5.0}, acvpu=None, oxygen=None)
        first["observations"][1]["unit"] = "mmol/L"
        for minute, pulse, lactate in (
            (240, 140, 5),
            (241, np.nan, 5),
            (24 * 60, np.nan, 5),
            (24 * 60 + 1, np.nan, np.nan),
        ):
            later = vitals("patient-1", minute, values={"temperature": 37}, acvpu=None, oxygen=None)
            values = assessed(first, later).values[0]
            np.testing.assert_equal(values[INDEX["pulse"]], np.float32(pulse))
            np.testing.assert_equal(values[INDEX["lactate"]], np.float32(lactate))

    def test_the_score_is_of_the_patient_not_of_the_event(self):
        found = assessed(vitals("patient-1", 0, values=ILL), vitals("patient-1", 5, values={"temperature": 37.0}))
        assert found.news2.low[0] >= 11
        assert found.news2.low[0] == found.news2.high[0]

    def test_a_note_lets_vitals_grow_old(self):
        found = assessed(vitals("patient-1", 0, values=ILL), note("patient-1", 300))
        assert (found.news2.low[0], found.news2.high[0]) == (0, 20)
        assert found.age_h[0, 0] == 5.0


class TestFlags:
    def indicated(self, *events) -> set[str]:
        found = assessed(*events, with_models=False)
        actions = judge().catalogue.actions
        return {actions[k].id for k in np.flatnonzero(found.evaluation.indicated[0] == TRUE)}

    def test_what_a_note_says_counts_as_what_vitals_say(self):
        said = self.indicated(vitals("patient-1", 0), note("patient-1", 5, flags={"chest_pain": True}))
        assert said == self.indicated(vitals("patient-1", 0, flags={"chest_pain": True}), note("patient-1", 5))
        assert said != self.indicated(vitals("patient-1", 0), note("patient-1", 5))

    def test_the_newer_statement_counts(self):
        yes, no = {"chest_pain": True}, {"chest_pain": False}
        without = self.indicated(vitals("patient-1", 0), note("patient-1", 5))
        assert self.indicated(vitals("patient-1", 0, flags=yes), note("patient-1", 5, flags=no)) == without
        assert self.indicated(note("patient-1", 0, flags=yes), vitals("patient-1", 5, flags=no)) == without
        assert self.indicated(note("patient-1", 0, flags=yes), note("patient-1", 5, flags=no),
                              vitals("patient-1", 0)) == without  # fmt: skip


class TestRisks:
    def test_whatever_a_foreign_embedding_holds_changes_nothing(self):
        risks = []
        for filling in (0.0, np.nan, np.inf):
            ward = Ward()
            odd = encoded(1, quality=FOREIGN)
            odd.embedding = np.full(32, filling, np.float32)
            ward.decide(record(note(), encoded=odd))
            ward.decide(record(vitals("patient-1", 5)))
            (context,) = ward.contexts.values()
            risks.append(judge().assess(context, models(), CONTROL).risks.fused.tolist())
        assert risks[0] == risks[1] == risks[2]
        assert np.isfinite(risks[0]).all()

    def test_a_state_of_another_model_gives_no_risk(self):
        ward = Ward()
        ward.decide(record(vitals()))
        (context,) = ward.contexts.values()
        context["model"] += 1
        found = judge().assess(context, models(), CONTROL)
        assert np.isnan(found.risks.probability).all()
        assert np.isnan(found.risks.fused).all()

    def test_a_patient_of_whom_nothing_is_known_has_no_risk_and_every_score_possible(self):
        context = blank(1)
        context["as_of"] = 0
        found = judge().assess(context, models(), CONTROL)
        assert np.isnan(found.risks.fused).all()
        assert (found.news2.low[0], found.news2.high[0]) == (0, 20)
        assert not found.present.any()

    def test_an_image_alone_gives_none(self):
        assert np.isnan(assessed(image()).risks.fused).all()

    @pytest.mark.parametrize("control", [Control(kill_switch=True), Control(models_off=frozenset({"vitals"}))])
    def test_switched_off_models_give_none(self, control):
        found = assessed(vitals(values=WELL), control=control)
        assert np.isnan(found.risks.fused).all()
        assert not found.risks.shares.any()


def test_what_was_indicated_is_remembered_for_the_next_time():
    ward = Ward()
    ward.decide(record(vitals(values=ILL)))
    (context,) = ward.contexts.values()
    found = judge().assess(context.copy(), None, CONTROL)
    remembered = [k for k in range(len(judge().catalogue.actions)) if int(context["indicated"][0]) >> k & 1]
    assert remembered == np.flatnonzero(found.evaluation.indicated[0] == TRUE).tolist()
    assert remembered
