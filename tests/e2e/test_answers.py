"""Clinicians' answers on the real worker: each takes effect once, whatever happens to the process on the way."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.checker import Input, Place
from tests.e2e.harness import System
from tests.e2e.load import VITALS, Planned, hours_ago
from tests.servers import Broker, EmbeddedRedis

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.timeout(180)]

FEEDBACK = "patient.feedback"
PATIENTS = 80
REFUSED = ("abg", "bloods-core", "fluid-bolus", "monitor-continuous", "obs-repeat-1h")
"""All of them are indicated for these patients."""
ILL = {"respiration_rate": 26, "spo2": 90, "systolic_bp": 88, "pulse": 132, "temperature": 39.4}


@pytest.fixture
async def system(broker: Broker, valkey: EmbeddedRedis, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    async with System(broker, valkey.url, prefix, tmp_path, settings={"WARDSTREAM_EXPIRES_AFTER_H": "100"}) as running:
        yield running


def vitals(patient: str, at: datetime) -> Planned:
    event = {
        "schema_version": "1.0", "event_id": f"{patient}-{at:%H%M}", "patient_id": patient, "source": "monitor",
        "event_time": at.isoformat(), "subject": {"age_years": 70}, "acvpu": "A", "oxygen": {"delivery": "air"},
        "observations": [{"code": code, "value": value} for code, value in ILL.items()],
    }  # fmt: skip
    value = json.dumps(event).encode()
    return Planned(VITALS, patient.encode(), value, patient, event["event_id"], "recommendation", "final")


def answers(alerts: dict[str, dict[str, Any]], at: datetime) -> list[dict[str, Any]]:
    """Every alert acknowledged, every action in REFUSED refused, a third of all said twice, in no order."""
    made = []
    for patient, alert in alerts.items():
        common = {
            "schema_version": "1.0", "patient_id": patient, "event_time": at.isoformat(), "source": "terminal",
            "recommendation_id": "any", "actor_role": "nurse",
        }  # fmt: skip
        made.append(common | {"event_id": f"{patient}-ack", "outcome": "acknowledged", "alert_id": alert["alert_id"]})
        made += [
            common | {"event_id": f"{patient}-{action}", "outcome": "overridden", "action_id": action,
                      "override_reason": "patient-refuses"}
            for action in REFUSED
        ]  # fmt: skip
    draw = random.Random(5)
    made += draw.sample(made, len(made) // 3)
    draw.shuffle(made)
    return made


async def test_answers_take_effect_once_through_two_kills(system: System) -> None:
    worker = await system.worker()
    start = hours_ago(2)
    patients = [f"patient-{k}" for k in range(PATIENTS)]
    system.feed([vitals(patient, start) for patient in patients], rate=1000)
    await system.published(PATIENTS)
    alerts = {body["patient_id"]: body["alert"] for body in system.observer.bodies}
    assert {alert["state"] for alert in alerts.values()} == {"raise"}
    places = []
    async with AIOKafkaProducer(bootstrap_servers=system.broker.bootstrap_servers, acks="all") as producer:
        said = answers(alerts, start + timedelta(minutes=10))
        for number, answer in enumerate(said):
            written = await producer.send_and_wait(
                system.prefix + FEEDBACK, json.dumps(answer).encode(), key=answer["patient_id"].encode()
            )
            places.append(Input(Place(FEEDBACK, written.partition, written.offset), "", None, "", None))
            if number in (len(said) // 3, 2 * len(said) // 3):
                worker.kill9()
                await worker.worker.ready()
    missing = await system.observer.all_committed(places, timeout_s=30)
    assert not missing, f"committed offsets stay behind: {missing}"
    assert worker.exits == [-9, -9]
    system.feed([vitals(patient, start + timedelta(minutes=30)) for patient in patients], rate=1000)
    await system.ended()
    await asyncio.sleep(0.2)
    now = {body["patient_id"]: body for body in system.observer.bodies}
    assert not system.observer.dead_letters
    for patient, body in now.items():
        assert body["alert"]["reason"] == "acknowledged", patient
        assert body["alert"]["alert_id"] == alerts[patient]["alert_id"]
        withheld = {each["action_id"]: each["reason"] for each in body["withheld"]}
        assert {action: withheld.get(action) for action in REFUSED} == dict.fromkeys(
            REFUSED, "answered: does not apply, or declined, in this encounter"
        ), patient


async def test_an_answer_that_cannot_be_used_is_a_dead_letter_with_its_reason(system: System) -> None:
    await system.worker()
    start = hours_ago(1)
    system.feed([vitals("patient-1", start)], rate=100)
    await system.published(1)
    common = {
        "schema_version": "1.0", "patient_id": "patient-1", "event_time": hours_ago(0.5).isoformat(),
        "source": "terminal", "recommendation_id": "any", "actor_role": "nurse",
    }  # fmt: skip
    bad = [
        common | {"event_id": "1", "outcome": "accepted", "action_id": "dance"},
        common | {"event_id": "2", "outcome": "snoozed", "snooze_minutes": 10},
        common | {"event_id": "3", "outcome": "overridden"},
    ]
    async with AIOKafkaProducer(bootstrap_servers=system.broker.bootstrap_servers, acks="all") as producer:
        for answer in bad:
            await producer.send_and_wait(system.prefix + FEEDBACK, json.dumps(answer).encode(), key=b"patient-1")
    await system.published(4)
    assert sorted(letter.reason for letter in system.observer.dead_letters) == [
        "action_unknown", "schema", "snooze_unreasoned",
    ]  # fmt: skip
