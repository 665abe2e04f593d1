"""The worker's web server: /health/live, /health/ready, /metrics, /shadow. It serves operators, and no patient data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import faust
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

log = structlog.get_logger(__name__)


class Web(faust.Service):  # type: ignore[misc]
    """A Faust service that owns a small aiohttp server.

    Args:
        host: Address.
        port: Port; 0 picks a free one.
        ready: What readiness needs, and whether it is there.
        alive: Whether the process makes progress.
        shadow: What a candidate that scores along has shown so far; None without one.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, ready: Callable[[], dict[str, bool]],
        alive: Callable[[], bool], shadow: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._host, self._port = host, port
        self._registry = registry
        self._ready, self._alive, self._shadow = ready, alive, shadow
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/health/live", self._get_live),
                web.get("/health/ready", self._get_ready),
                web.get("/metrics", self._get_metrics),
                web.get("/shadow", self._get_shadow),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        log.info("web_listening", addresses=[f"{address[0]}:{address[1]}" for address in self._runner.addresses])

    async def on_stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get_live(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n") if self._alive() else web.Response(status=503, text="stalled\n")

    async def _get_ready(self, _request: web.Request) -> web.Response:
        parts = self._ready()
        return web.Response(
            status=200 if all(parts.values()) else 503, text=json.dumps(parts) + "\n", content_type="application/json"
        )

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _get_shadow(self, _request: web.Request) -> web.Response:
        return web.json_response(self._shadow() or {"candidates": {}})
