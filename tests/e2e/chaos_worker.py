"""A worker whose vitals network fails on purpose: `python -m tests.e2e.chaos_worker`.

WARDSTREAM_CHAOS is `raise` or `hang`. The network does so for rows that measure the mark, an end-tidal carbon dioxide
that the load gives to the victim's events alone: a network sees numbers, never who or which event they are of.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from models.bundle import load_bundle
from models.columns import INDEX
from workers.app import run
from workers.settings import Settings

MARK = 77.0
"""mm[Hg], beyond what the load gives to anybody else."""


def spoil(network: Any, how: str) -> None:
    """Make `explain` and `step` fail on a marked row."""

    def failing(real: Any) -> Any:
        def call(h: Any, values: Any, *more: Any, **named: Any) -> Any:
            if (values[:, INDEX["etco2"]] == MARK).any():
                if how == "raise":
                    raise RuntimeError("chaos")
                time.sleep(3600)
            return real(h, values, *more, **named)

        return call

    network.explain = failing(network.explain)
    network.step = failing(network.step)


if __name__ == "__main__":
    bundle = load_bundle()
    spoil(bundle.vitals, os.environ.pop("WARDSTREAM_CHAOS"))
    sys.exit(run(Settings(), bundle=bundle))
