"""Another version of a model in a running worker: promoted, rolled back and compared, without a record lost."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from models.bundle import ARTEFACTS
from models.weights import read_manifest
from tests.e2e.harness import System
from tests.e2e.load import VITALS, Planned, hours_ago
from tests.integration.test_cli_tools import wardstream
from tests.servers import Broker, EmbeddedRedis
from tests.unit.workers.versions import another
from workers.control import PROMOTED_WITHIN_S

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

WHO = ("--actor", "dr.lee", "--reason", "A drill.")
RATE, SECONDS = 40, 40


@pytest.fixture
def versions(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "models"
    folder.mkdir()
    vitals = another(folder, "vitals")
    built_on = read_manifest(ARTEFACTS / "fusion").built_on | {"vitals": vitals}
    return {
        "ranker": another(folder, "ranker"), "vitals": vitals, "fusion": another(folder, "fusion", built_on=built_on)
    }  # fmt: skip


@pytest.fixture
async def system(
    broker: Broker, valkey: EmbeddedRedis, prefix: str, tmp_path: Path, versions: dict[str, str]
) -> AsyncIterator[System]:
    assert versions
    more = {"WARDSTREAM_MODELS_DIR": str(tmp_path / "models")}
    async with System(broker, valkey.url, prefix, tmp_path, settings=more) as running:
        yield running


def stream(count: int) -> list[Planned]:
    """Vital signs of forty patients, minute by minute."""
    made, start = [], hours_ago(4)
    for k in range(count):
        patient = f"patient-{k % 40}"
        event = {
            "schema_version": "1.0", "event_id": f"v-{k}", "patient_id": patient, "source": "monitor",
            "event_time": (start + timedelta(seconds=60 * (k // 40))).isoformat(), "subject": {"age_years": 70},
            "acvpu": "A", "oxygen": {"delivery": "air"},
            "observations": [{"code": "pulse", "value": 90 + k % 40}, {"code": "respiration_rate", "value": 22},
                             {"code": "spo2", "value": 95}, {"code": "systolic_bp", "value": 105},
                             {"code": "temperature", "value": 38.2}],
        }  # fmt: skip
        value = json.dumps(event).encode()
        made.append(Planned(VITALS, patient.encode(), value, patient, event["event_id"], "recommendation", "final"))
    return made


async def until(system: System, name: str, version: str) -> float:
    """Seconds until a result names the version; the newest one does from then on."""
    begun = time.monotonic()
    while time.monotonic() - begun < 20:
        if system.observer.bodies and system.observer.bodies[-1]["models"][name] == version:
            return time.monotonic() - begun
        await asyncio.sleep(0.02)
    raise AssertionError(f"no result of {name} {version}")


async def test_promotion_and_roll_back_reach_a_running_worker(system: System, versions: dict[str, str]) -> None:
    supervisor = await system.worker()
    system.feed(stream(RATE * SECONDS), rate=RATE)
    await system.published(20)
    shipped = system.observer.bodies[-1]["models"]["ranker"]
    for version in (versions["ranker"], shipped, versions["ranker"]):
        done = await asyncio.to_thread(
            wardstream, system.settings, "control", "model", "ranker", "--version", version, *WHO
        )
        assert done.returncode == 0, done.stderr
        took_s = await until(system, "ranker", version)
        print(f"promoted after {took_s:.2f} s")
        assert took_s < PROMOTED_WITHIN_S
    done = await asyncio.to_thread(
        wardstream, system.settings, "control", "model", "vitals", "--shadow", versions["vitals"], *WHO
    )
    assert done.returncode == 0, done.stderr
    await asyncio.sleep(4)
    report = await asyncio.to_thread(_report, supervisor.worker.address)
    assert report["candidates"] == {"vitals": versions["vitals"]}
    assert report["patients"] > 20
    assert report["failed_batches"] == 0
    assert {body["models"]["vitals"] for body in system.observer.bodies} == {
        system.observer.bodies[0]["models"]["vitals"]
    }
    done = await asyncio.to_thread(
        wardstream, system.settings, "control", "model", "vitals", "--version", versions["vitals"], "--fusion",
        versions["fusion"], *WHO,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    took_s = await until(system, "vitals", versions["vitals"])
    print(f"vitals and fusion promoted after {took_s:.2f} s")
    assert took_s < PROMOTED_WITHIN_S
    await system.ended()
    verdict = await system.verdict()
    assert not verdict.violations, repr(verdict)
    together = {(body["models"]["vitals"], body["models"]["fusion"]) for body in system.observer.bodies}
    assert len(together) == 2  # never one without the other
    assert not any("fusion_misfit" in body["reasons"] for body in system.observer.bodies)
    missing = await asyncio.to_thread(
        wardstream, system.settings, "control", "model", "ranker", "--version", "9.9.9+00000000", *WHO
    )
    assert missing.returncode == 0, missing.stderr
    await asyncio.sleep(3)
    system.feed(stream(40 + RATE * SECONDS)[-40:], rate=200)
    await system.ended()
    last = system.observer.bodies[-1]
    assert (last["models"]["ranker"], last["status"]) == (versions["ranker"], "degraded")
    assert "model_version_unavailable" in last["reasons"]


def _report(address: str) -> dict:
    with urllib.request.urlopen(f"http://{address}/shadow", timeout=5) as answer:
        return json.load(answer)
