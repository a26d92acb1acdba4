"""Shared fixtures: the real broker, one per session, and what to say where it cannot run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.servers.kafka import KafkaServer, missing

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Real-broker tests skip where Java or Maven is missing; in CI that is a failure."""
    if item.get_closest_marker("integration") or item.get_closest_marker("chaos"):
        reason = missing()
        if reason and IN_CI:
            pytest.fail(f"real-broker tests must run in CI: {reason}", pytrace=False)
        if reason:
            pytest.skip(f"no real broker: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reason = missing()
    skipped = sum("no real broker" in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if reason and skipped:
        terminalreporter.write_line(f"{skipped} tests on the real broker SKIPPED: {reason}", yellow=True, bold=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A running Apache Kafka, shared by the session: use topic and group names of your own."""
    with KafkaServer() as server:
        yield server
