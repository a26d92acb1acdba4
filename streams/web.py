"""Pages of a worker's web server (Faust's): health, metrics, and the orders whose partitions this worker owns.

Rows are read from the local stores, that is, as committed. A code or an order that another worker owns is a 404 here;
`oms order` asks every worker. A 503 says that the row may be among those that are on their way here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.engine.health import Health
from streams.engine.metrics import Metrics


def add_pages(app: Any, metrics: Metrics, health: Health) -> None:
    """/healthz, /metrics, /api/codes/CODE, /api/customers/ID, /api/orders/GUID, /api/money/GUID."""
    from streams import views

    async def answer(web: Any, look: Any, wanted: str, *agents: str) -> Any:
        found = await asyncio.get_running_loop().run_in_executor(None, look, app, wanted)
        if found is not None:
            return web.json(found)
        if not views.can_tell(app, *agents):
            return web.json({"error": "not all rows are here yet"}, status=503)
        return web.json({"error": "not found here"}, status=404)

    @app.page("/healthz")  # type: ignore[untyped-decorator]
    async def healthz(web: Any, request: Any) -> Any:
        healthy, agents = health.report()
        return web.json({"healthy": healthy, "agents": agents}, status=200 if healthy else 503)

    @app.page("/metrics")  # type: ignore[untyped-decorator]
    async def exposition(web: Any, request: Any) -> Any:
        return web.bytes(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST.split(";")[0])

    @app.page("/api/codes/{code}")  # type: ignore[untyped-decorator]
    async def codes(web: Any, request: Any, code: str) -> Any:
        return await answer(web, views.code, code, "identity", "channels")

    @app.page("/api/customers/{customer}")  # type: ignore[untyped-decorator]
    async def customers(web: Any, request: Any, customer: str) -> Any:
        return await answer(web, views.customer, customer, "identity")

    @app.page("/api/orders/{guid}")  # type: ignore[untyped-decorator]
    async def orders(web: Any, request: Any, guid: str) -> Any:
        return await answer(web, views.order, guid, "orders")

    @app.page("/api/money/{guid}")  # type: ignore[untyped-decorator]
    async def money(web: Any, request: Any, guid: str) -> Any:
        return await answer(web, views.money, guid, "ledger")
