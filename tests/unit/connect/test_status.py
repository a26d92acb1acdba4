"""What Connect says becomes one line per part; what has failed is started again after pauses that grow."""

from __future__ import annotations

from typing import Any

import pytest

from streams.connect.status import Part, Restarts, cause, parts

TRACE = """org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to unrecoverable exception.
\tat org.apache.kafka.connect.runtime.WorkerSinkTask.deliverMessages(WorkerSinkTask.java:636)
Caused by: org.apache.kafka.connect.errors.ConnectException: JDBC sink connector failure
\tat io.debezium.connector.jdbc.JdbcSinkConnectorTask.put(JdbcSinkConnectorTask.java:98)
\t... 10 more
Caused by: org.postgresql.util.PSQLException: ERROR: permission denied for table alerts
  Hint: ask
\tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2713)
"""


def entry(state: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    return {"connector": {"state": state, "worker_id": "w"}, "tasks": [*tasks], "type": "sink"}


def test_every_wanted_connector_and_task_is_told() -> None:
    statuses = {
        "a": entry("RUNNING", {"id": 0, "state": "RUNNING"}),
        "b": entry("RUNNING", {"id": 0, "state": "FAILED", "trace": TRACE}),
        "c": entry("RUNNING"),
        "e": entry("PAUSED", {"id": 0, "state": "PAUSED"}),
        "not ours": entry("FAILED"),
    }
    found = parts(statuses, ["a", "b", "c", "d", "e"])
    why = "org.postgresql.util.PSQLException: ERROR: permission denied for table alerts"
    assert [str(part) for part in found] == [
        "a RUNNING",
        "a task 0 RUNNING",
        "b RUNNING",
        f"b task 0 FAILED: {why}",
        "c RUNNING",
        "c task 0 STARTING",
        "d MISSING: not there: run `oms connect apply`",
        "e PAUSED",
        "e task 0 PAUSED",
    ]
    assert [part.connector for part in found if part.failed] == ["b", "d"]
    assert [part.connector for part in found if not part.runs] == ["b", "c", "d", "e", "e"]


@pytest.mark.parametrize(
    ("trace", "said"),
    [(None, ""), ("", ""), ("java.lang.Error: x\n\tat y", "java.lang.Error: x"), ("e " * 400, "e " * 150)],
)  # fmt: skip
def test_a_cause_is_one_line(trace: str | None, said: str) -> None:
    assert cause(trace) == said
    assert "\n" not in cause(TRACE)


def test_what_has_failed_is_started_at_once_and_then_after_growing_pauses() -> None:
    restarts = Restarts()
    started = [second for second in range(200) if restarts.due(["a"], float(second))]
    assert started == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert restarts.due(["b", "b"], 200.0) == ["b"]
    assert restarts.due([], 250.0) == []
    assert restarts.due(["a"], 500.0) == ["a"]
    assert restarts.due(["a"], 501.0) == ["a"], "after a quiet time pauses are short again"


def test_a_part_is_its_line() -> None:
    assert str(Part("a", 3, "FAILED", "why")) == "a task 3 FAILED: why"
