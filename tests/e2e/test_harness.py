"""Harness and checker themselves: a right worker passes after kill -9, one that commits first is caught.

Without these a fault test that passes would say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.checker import Verdict
from tests.e2e.harness import System
from tests.e2e.load import REASONS, Load, hours_ago
from tests.e2e.processes import COMMIT_FIRST, STAND_IN
from tests.servers import EmbeddedRedis, Tansu

pytestmark = [pytest.mark.integration, pytest.mark.fault]


async def killed_run(
    tansu: Tansu, valkey: EmbeddedRedis, unique: str, folder: Path, command: Sequence[str]
) -> tuple[Verdict, System]:
    async with System(tansu, valkey.url, f"{unique}.", folder, command=command) as system:
        supervisor = await system.worker()
        system.feed(Load(seed=3, start=hours_ago(10)).records(1200), rate=600)
        for share in (300, 700):
            await system.written(share)
            supervisor.kill9()
            await supervisor.worker.ready()
        await system.ended(timeout_s=6.0)
        verdict = await system.verdict()
        assert supervisor.exits == [-9, -9]
    return verdict, system


async def test_a_worker_that_publishes_first_passes(
    tansu: Tansu, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    verdict, system = await killed_run(tansu, valkey, unique, tmp_path, STAND_IN)
    assert not verdict.violations, repr(verdict)
    assert verdict.ends["recommendation"] > 1000
    assert verdict.ends["duplicate"] > 0
    assert system.reasons_by_kind() == {kind: {reason} for kind, reason in REASONS.items()}


async def test_a_worker_that_commits_first_is_caught(
    tansu: Tansu, valkey: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    verdict, _ = await killed_run(tansu, valkey, unique, tmp_path, COMMIT_FIRST)
    assert {"lost", "committed early"} <= verdict.promises, verdict
