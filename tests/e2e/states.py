"""Compares the state that workers left in Redis with that of one offline pass over the same records.

The only place that knows the commands `wardstream offline EVENTS.jsonl --state FILE` and `wardstream contexts dump`,
each of which gives one JSON object a patient and line: `patient`, and `events` with the event ids of each modality.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

from tests.e2e.harness import System
from tests.servers import ROOT

TOLERANCE = 1e-4
INCIDENTAL = {"version"}
"""Fields that count writes and so may differ."""
ORDER_FREE = {"patient", "recurrent", "clinical", "events"}
"""What does not depend on how a patient's topics were interleaved; all else is compared for one modality only."""


def difference_from_offline(system: System) -> str | None:
    """What differs first, or None."""
    events = system.folder / "events.jsonl"
    usable = [plan for plan in system.planned if plan.expect != "dead letter"]
    events.write_bytes(b"".join((plan.value or b"") + b"\n" for plan in usable))
    offline = system.folder / "offline.jsonl"
    _run(system, "offline", str(events), "--state", str(offline))
    dumped = _run(system, "contexts", "dump")
    (system.folder / "redis.jsonl").write_text(dumped)
    expected, found = _by_patient(offline.read_text()), _by_patient(dumped)
    if expected.keys() != found.keys():
        return f"patients differ: {sorted(expected.keys() ^ found.keys())[:5]}"
    for patient, state in expected.items():
        fields = state.keys() | found[patient].keys()
        one_modality = sum(bool(events) for events in state["events"].values()) == 1
        compared = (fields if one_modality else fields & ORDER_FREE) - INCIDENTAL
        for name in sorted(compared):
            if at := _differs(state.get(name), found[patient].get(name), name):
                return f"{patient}: {at}"
    return None


def _run(system: System, *arguments: str) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WARDSTREAM_")}
    done = subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        env={**ours, **system.settings, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=system.folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-500:]}"
    return done.stdout


def _by_patient(text: str) -> dict[str, dict[str, Any]]:
    states = [json.loads(line) for line in text.splitlines() if line.strip()]
    return {state["patient"]: state for state in states}


def _differs(a: Any, b: Any, path: str) -> str | None:
    """Path and values of the first difference."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{path}: fields {sorted(a.keys() ^ b.keys())}"
        return next((at for key in a if (at := _differs(a[key], b[key], f"{path}.{key}"))), None)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{path}: {len(a)} against {len(b)} items"
        pairs = enumerate(zip(a, b, strict=True))
        return next((at for i, (x, y) in pairs if (at := _differs(x, y, f"{path}[{i}]"))), None)
    if isinstance(a, float) and isinstance(b, float):
        same = math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(a) and math.isnan(b))
    else:
        same = a == b
    return None if same else f"{path}: {a} offline, {b} in Redis"
