"""Orders out of a replay's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from streams.commands.order_view import codes_of
from streams.domain.ledger import of_entries, waits_for
from streams.domain.rules import data
from streams.errors import OmsError, UsageError


def find(folder: Path, code: str) -> list[dict[str, Any]]:
    """The orders with that code (at most one) or of that customer, as {"state", "audit", "events", "alerts", "money"}.

    Raises UsageError if the folder holds no replay.
    """
    if not (folder / "order-states.jsonl").is_file():
        raise UsageError(f"{folder} is no folder of `oms replay`: it has no order-states.jsonl")
    states: dict[str, dict[str, Any]] = {}
    # Quoted as JSON writes it, so that a line without the code is skipped without being parsed.
    for key, value in rows(folder, "order-states", [code]):
        states[key] = value
    by_code = [state for state in states.values() if any(code in codes for codes in codes_of(state).values())]
    chosen = by_code or [state for state in states.values() if state.get("customer_id") == code]
    guids = [state["order_guid"] for state in chosen]
    details: dict[str, dict[str, Any]] = {
        guid: {"state": state, "audit": [], "events": [], "alerts": [], "entries": []}
        for guid, state in zip(guids, chosen, strict=True)
    }
    for name, topic in (("audit", "audit-log"), ("events", "order-events"), ("entries", "ledger-entries")):
        for _, value in rows(folder, topic, guids):
            if value["order_guid"] in details:
                details[value["order_guid"]][name].append(value)
    for order in details.values():
        order["money"] = of_entries(order.pop("entries"))
        if order["money"] is not None and order["money"]["recognised_at"] is None:
            order["money"]["waits_for"] = waits_for(order["state"], data.ledger())
    alerts = dict(rows(folder, "alerts", guids))
    for alert in alerts.values():
        if alert and alert.get("order_guid") in details:
            details[alert["order_guid"]]["alerts"].append(alert)
    return list(details.values())


def rows(folder: Path, topic: str, needles: list[str]) -> Iterator[tuple[str, Any]]:
    """(key, value) of the lines of DIR/TOPIC.jsonl that mention one of the texts; none if there is no such file."""
    if needles:
        for _, key, value in lines(folder, topic, needles):
            yield key, value


def lines(folder: Path, topic: str, needles: list[str] | None = None) -> Iterator[tuple[int, str, Any]]:
    """(number, key, value) of the lines of DIR/TOPIC.jsonl, of those that mention one of the texts; none if there is no
    such file. OmsError for what is no line of a replay."""
    path = folder / f"{topic}.jsonl"
    if not path.is_file():
        return
    quoted = [orjson.dumps(needle) for needle in needles or ()]
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not quoted or any(needle in raw for needle in quoted):
                try:
                    row = orjson.loads(raw)
                    yield number, row["key"], row["value"]
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    raise OmsError(f"{path}:{number}: not a line of `oms replay`") from None
