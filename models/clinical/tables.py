"""Where the published rule tables lie: JSON with citations, shipped as package data."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load_table(name: str) -> dict[str, Any]:
    """The table `name` ("news2", "qsofa", "shock_index", "care_actions") as it is printed in its source."""
    text = resources.files("models.clinical").joinpath("data", f"{name}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
