"""Rows, films and notes of different sets become events that meet the contract."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import orjson

from topics.catalogue import TOPICS
from topics.codec import Decoded, decode
from topics.parameters import INDEX
from topics.readings import readings
from topics.reasons import Reason
from workers.cli.paired_ward import _COLUMNS, Stay, paired_ward

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = round(datetime(2026, 3, 9, tzinfo=UTC).timestamp() * 1000)
KIND = {topic.name: topic.kind for topic in TOPICS}


def row(hour: int, **values: float) -> dict:
    unknown = dict.fromkeys([*_COLUMNS, "FiO2", "Age"])
    return unknown | {"patient_id": 1, "ICULOS": hour, "Gender": 1} | values


def ward(*stays: Stay) -> list[Decoded]:
    records = list(paired_ward(list(stays), start=START, name="paired"))
    assert [record.at for record in records] == sorted(record.at for record in records)
    outcomes = [decode(KIND[record.topic], [(record.key, record.value)], now_ms=NOW_MS)[0] for record in records]
    assert all(isinstance(outcome, Decoded) for outcome in outcomes)
    return outcomes


def test_every_modality_of_a_pairing_has_the_same_patient():
    stay = Stay([row(hour, HR=80, Age=70.0) for hour in range(1, 10)], [b"jpeg one", b"jpeg two"], ["a", "b", "c"])
    events = [outcome.event for outcome in ward(stay)]
    assert {event.patient_id for event in events} == {"paired-0000"}
    assert [type(event).__name__ for event in events].count("NoteEvent") == 3
    assert [type(event).__name__ for event in events].count("ImagingEvent") == 2
    assert len({event.event_id for event in events}) == len(events)


def test_values_arrive_in_canonical_units():
    (outcome,) = ward(Stay([row(1, Temp=38.0, BUN=28.0, PaCO2=40.0, Hgb=10.0, FiO2=0.4)], [], []))
    found = readings(outcome.event)
    values = dict(found.values)
    assert found.suspects == []
    assert math.isclose(values[INDEX["urea"]], 28 * 10 / 28.014, rel_tol=1e-6)
    assert math.isclose(values[INDEX["paco2_kpa"]], 5.333, rel_tol=1e-3)
    assert values[INDEX["haemoglobin"]] == 100
    assert values[INDEX["fio2"]] == 40
    assert values[INDEX["on_oxygen"]] == 1


def test_every_column_has_a_code_and_unit_that_the_contract_knows():
    (outcome,) = ward(Stay([row(1, **dict.fromkeys(_COLUMNS, 60.0))], [], []))
    reasons = {suspect.reason for suspect in readings(outcome.event).suspects}
    assert reasons <= {Reason.SUSPECT_VALUE}  # 60 is no value for every quantity, but code and unit are right


def test_missing_values_are_left_out():
    (record,) = paired_ward([Stay([row(1, HR=float("nan"))], [], [])], start=START, name="x")
    assert orjson.loads(record.value)["observations"] == []
