"""Shared fixtures: the real broker and registry, one per session, and what to say where they cannot run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams.connect import install
from tests.servers import apicurio, kafka, postgres
from tests.servers.apicurio import ApicurioServer
from tests.servers.kafka import KafkaServer, Missing

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
# Marker -> the server its tests need, and what keeps it from running here.
NEEDS = {
    "integration": ("real broker", kafka.missing),
    "chaos": ("real broker", kafka.missing),
    "registry": ("real registry", apicurio.missing),
    "connect": ("database of finance", lambda: apicurio.missing() or install.missing() or postgres.missing()),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need a server skip where Java or Maven is missing; in CI that is a failure."""
    for marker, (server, missing) in NEEDS.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            absent(server, reason)


def absent(server: str, reason: str) -> None:
    """Skip, or in CI fail: this server is not here."""
    if IN_CI:
        pytest.fail(f"tests on the {server} must run in CI: {reason}", pytrace=False)
    pytest.skip(f"no {server}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for server in dict.fromkeys(server for server, _ in NEEDS.values()):
        mine = [text for text in told if f"no {server}: " in text]
        if mine:
            reason = mine[0].partition(f"no {server}: ")[2].removesuffix("')")
            line = f"{len(mine)} tests on the {server} SKIPPED: {reason}"
            terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.fixture(scope="session", name="kafka")
def _kafka() -> Iterator[KafkaServer]:
    """A running Apache Kafka, shared by the session: use topic and group names of your own."""
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def registry() -> Iterator[ApicurioServer]:
    """A running Apicurio Registry, shared by the session: it knows whatever earlier tests have registered."""
    server = ApicurioServer()
    try:
        server.start()
    except Missing as reason:  # Maven is here and cannot fetch it
        absent("real registry", str(reason))
    try:
        yield server
    finally:
        server.close()
