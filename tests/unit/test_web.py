"""What the pages of a worker answer while its partitions are shared out anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams import catalogue
from streams.web import add_pages

PAGES = {
    "/api/codes/{code}": {"identity", "channels"},
    "/api/customers/{customer}": {"identity"},
    "/api/orders/{guid}": {"orders"},
    "/api/money/{guid}": {"facets"},
}


def asked(page: str, restoring: str | None) -> int:
    """The status of a page of a worker that runs all agents, of which one still restores."""
    pages: dict[str, Any] = {}

    def service(agent: Any) -> Any:
        source = SimpleNamespace(tasks={}, settled=agent.name != restoring)
        return SimpleNamespace(runner=SimpleNamespace(seats=[SimpleNamespace(agent=agent, source=source)]))

    app: Any = SimpleNamespace(
        sources=[service(agent) for agent in catalogue.choose(None)],
        page=lambda path: lambda function: pages.setdefault(path, function),
    )
    add_pages(app, None, None)  # type: ignore[arg-type]
    web = SimpleNamespace(json=lambda body, status=200: status)
    name = page.partition("{")[2].rstrip("}")
    status: int = asyncio.run(pages[page](web, None, **{name: "X"}))
    return status


@pytest.mark.parametrize("page", PAGES)
def test_what_may_be_on_its_way_here_is_not_called_unknown(page: str) -> None:
    assert asked(page, None) == 404
    for agent in catalogue.choose(None):
        assert asked(page, agent.name) == (503 if agent.name in PAGES[page] else 404), agent.name
