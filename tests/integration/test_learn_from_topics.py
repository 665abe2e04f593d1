"""From the topics to a version of the ranker that ranks as clinicians answered, on real brokers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import load_bundle
from models.clinical.actions import Evaluation
from models.clinical.truth import FALSE, TRUE
from models.columns import COLUMNS
from models.weights import load, read_manifest
from tests.integration.test_cli_tools import Environment, fields, wardstream
from tests.servers import Broker
from tests.unit.workers.made import ILL, START, vitals
from tests.unit.workers.versions import another
from topics.catalogue import FEEDBACK, RECOMMENDATIONS, VITALS
from workers.cli import cluster
from workers.cli.describe import describe
from workers.cli.topics import apply_topics
from workers.offline import Offline, parse
from workers.settings import Settings

pytestmark = pytest.mark.integration

PATIENTS = 60
LIKED, DISLIKED = "cxr-urgent", "bloods-core"


@pytest.fixture
async def environment(broker: Broker, prefix: str) -> Environment:
    made = {**broker.worker_environment(), "WARDSTREAM_TOPIC_PREFIX": prefix, "WARDSTREAM_TOPIC_PARTITIONS": "3"}
    await apply_topics(Settings(**fields(made)))
    return made


async def results(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a worker makes of vital signs."""
    lines = (parse(json.dumps(event).encode(), number) for number, event in enumerate(events, start=1))
    run = Offline(Settings())
    try:
        return [json.loads(line) async for line in run.run(line for line in lines if line)]
    finally:
        await run.close()


def answers(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Films are wanted by everybody, bloods by nobody."""
    listed = [one["action_id"] for one in result["recommendations"]]
    common = {
        "schema_version": "1.0", "patient_id": result["patient_id"], "event_time": START.isoformat(),
        "source": "terminal", "actor_role": "doctor", "recommendation_id": result["recommendation_id"],
    }  # fmt: skip
    given = {
        LIKED: {"outcome": "accepted"},
        DISLIKED: {"outcome": "overridden", "override_reason": "cds-not-applicable"},
    }
    name = result["recommendation_id"]
    return [
        common | said | {"event_id": f"{name}-{action}", "action_id": action}
        for action, said in given.items()
        if action in listed
    ]


async def published(settings: Settings) -> int:
    """Vital signs, their results and the answers, in the topics; how many answers."""
    events = [vitals(f"bed-{n}", 0, values=ILL | {"pulse": 110 + n % 30}) for n in range(PATIENTS)]
    prefix = settings.topic_prefix
    count = 0
    async with cluster.producer(settings) as producer:

        async def put(topic: str, value: dict[str, Any]) -> Any:
            key = value["patient_id"].encode()
            return await producer.send_and_wait(prefix + topic, json.dumps(value).encode(), key=key)

        for event, result in zip(events, await results(events), strict=True):
            await put(VITALS, vitals(f"stranger-{event['patient_id']}"))  # a record between those that are wanted
            at = await put(VITALS, event)
            result["caused_by"] |= {"topic": at.topic, "partition": at.partition, "offset": at.offset}
            await put(RECOMMENDATIONS, result)
            for answer in answers(result):
                await put(FEEDBACK, answer)
                count += 1
    return count


async def test_a_version_learned_from_topics_ranks_as_the_answers_said(
    environment: Environment, tmp_path: Path
) -> None:
    count = await published(Settings(**fields(environment)))
    assert count == 2 * PATIENTS
    out = tmp_path / "learned"
    done = await asyncio.to_thread(wardstream, environment, "learn", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert f"{count} answers teach something" in done.stderr
    assert "without readings" not in done.stderr  # every causing record was found
    assert str(out) in done.stdout
    assert load(out)[1].config["learned"]["answers"]["answers"] > count / 2
    ranker = load_bundle(out).ranker
    index, actions = ranker.catalogue.index, len(ranker.catalogue.actions)
    rules = Evaluation(np.full((1, actions), FALSE), np.full((1, actions), FALSE))
    rules.indicated[0, [index[LIKED], index[DISLIKED]]] = TRUE
    nothing = np.zeros((1, actions), np.float32), np.full((1, len(COLUMNS)), np.nan, np.float32)
    order = ranker.rank(rules, np.float32([np.nan]), *nothing).order[0].tolist()
    assert order == [index[LIKED], index[DISLIKED]]


async def test_it_starts_from_the_version_that_control_promoted(environment: Environment, tmp_path: Path) -> None:
    await published(Settings(**fields(environment)))
    place = another(tmp_path, "ranker")
    describe(tmp_path / "ranker" / place, read_manifest(tmp_path / "ranker" / place))
    environment |= {"WARDSTREAM_MODELS_DIR": str(tmp_path)}
    who = ("--actor", "dr.lee", "--reason", "Evaluated.")
    promoted = await asyncio.to_thread(wardstream, environment, "control", "model", "ranker", "--version", place, *who)
    assert promoted.returncode == 0, promoted.stderr
    done = await asyncio.to_thread(wardstream, environment, "learn", "--out", str(tmp_path / "learned"))
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "learned")[1].config["learned"]["from"] == place


async def test_without_answers_it_says_how_many_it_takes(environment: Environment, tmp_path: Path) -> None:
    done = await asyncio.to_thread(wardstream, environment, "learn", "--out", str(tmp_path / "learned"))
    assert done.returncode == 1
    assert "too few answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "learned").exists()
