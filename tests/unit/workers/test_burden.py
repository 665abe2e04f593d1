"""Alerts per 100 patient-days: counted by policy from what was told and the event time that records cover."""

from __future__ import annotations

import pytest

from tests.unit.workers.made import ILL, WELL, Ward, record, vitals
from workers.alert_policy import Policy
from workers.control import Control
from workers.metrics import Metrics

CONTROL = Control(kill_switch=True, policies={"*": Policy(), "icu": Policy(budget=5.0)})


def test_covered_time_is_what_each_record_adds_and_long_gaps_are_no_stay():
    ward = Ward()
    minutes = [0, 60, 30, 60 * 14, 60 * 15]
    covered = [ward.decide(record(vitals("patient-1", at)), control=CONTROL)[0].covered_s for at in minutes]
    assert covered == [0.0, 3600.0, 0.0, 0.0, 3600.0]


def test_records_of_one_batch_add_up_as_one_by_one():
    batch = [record(vitals("patient-1", 60 * k), offset=k) for k in range(4)]
    assert [each.covered_s for each in Ward().decide(*batch, control=CONTROL)] == [0.0, 3600.0, 3600.0, 3600.0]


def test_a_simulated_ward_equals_the_count_by_hand():
    metrics, wards = Metrics(), {"icu": Ward(), "w1": Ward()}
    for unit, ward in wards.items():
        for patient in ("a", "b"):
            for hour in range(13):
                ill = patient == "a" and hour >= 6
                event = vitals(patient, 60 * hour, values=ILL if ill else WELL, unit=unit)
                metrics.count_burden(ward.decide(record(event), control=CONTROL))
    value = metrics.registry.get_sample_value
    assert value("wardstream_patient_days_total", {"policy": "icu"}) == pytest.approx(1.0)  # two patients, half a day
    assert value("wardstream_patient_days_total", {"policy": "*"}) == pytest.approx(1.0)
    assert value("wardstream_alerts_told_total", {"policy": "icu"}) == 1.0
    metrics.note_budgets({"icu": 5.0})
    assert value("wardstream_alert_budget_per_100_patient_days", {"policy": "icu"}) == 5.0
    metrics.note_budgets({})
    assert value("wardstream_alert_budget_per_100_patient_days", {"policy": "icu"}) is None
