"""What a worker's web pages answer about codes, customers and orders, out of the rows this worker owns."""

from __future__ import annotations

from typing import Any

from streams.agents.alerts import ALERTS
from streams.agents.channels import TABLES as CHANNELS
from streams.agents.identity import TABLES
from streams.agents.ledger import ORDERS as LEDGER
from streams.domain import ids, ledger
from streams.domain.alert import published
from streams.domain.channel.outcome import GATES, HELD
from streams.domain.identity import CODES, CUSTOMERS
from streams.domain.order import record
from streams.domain.rules import data
from streams.engine.runner import Seat
from streams.engine.task import Task


def tasks_of(app: Any, agent: str) -> list[Task]:
    """The tasks of an agent, or of a part of one, that this worker owns now."""
    sources = [seat.source for seat in _seats(app) if seat.source is not None]
    wholes = [whole for source in sources for whole in [*source.tasks.values()]]
    return [task for whole in wholes for task in whole.tasks if task.agent.name == agent]


def can_tell(app: Any, *agents: str) -> bool:
    """Whether those of these agents, or agents with such a part, that run here have all rows the group gave them."""
    for seat in _seats(app):
        concerned = any(one.name in agents for one in (seat.agent, *seat.agent.parts))
        if concerned and (seat.source is None or not seat.source.settled):
            return False
    return True


def _seats(app: Any) -> list[Seat]:
    return [seat for service in app.sources for seat in service.runner.seats]


def code(app: Any, text: str) -> dict[str, Any] | None:
    """The order of a code of any kind (ID-03), or what waits for it; None if no row of it is here."""
    guid = ids.guid_of_alias(text)
    if guid is not None or ids.is_guid(text):
        return {"guid": guid or text, "code": text, "kind": "alias18" if guid else ids.ORDER_GUID}
    waiting = None
    for task in tasks_of(app, "identity"):
        for key, row in task.peek(TABLES[CODES], text + "\0"):
            kind, scope, _ = ids.code_of_row(key)
            if "guid" in row:
                return {"guid": row["guid"], "code": text, "kind": kind, "channel": scope or None}
            waiting = {"guid": None, "code": text, "kind": kind, "parked": row["events"], "since": row["since"]}
    return _held(app, text) or waiting


def _held(app: Any, order_no: str) -> dict[str, Any] | None:
    """A new order that its channel's gate holds back (BRK-01, BRK-03): its place in the queue, and why it waits."""
    for task in tasks_of(app, "channels"):
        place: dict[str, int] = {}
        for key, message in task.peek(CHANNELS[HELD], ""):
            channel = key.rpartition("\0")[0]
            place[channel] = place.get(channel, 0) + 1
            if message["code"][2] == order_no:
                gate = next(row for name, row in task.peek(CHANNELS[GATES], channel) if name == channel)
                suspended = gate["since"] is not None
                said = {"channel": channel, "position": place[channel], "suspended": suspended, "since": gate["since"]}
                return {"guid": None, "code": order_no, "kind": ids.ORDER_NO, "held": said}
    return None


def customer(app: Any, name: str) -> dict[str, Any] | None:
    """The orders of a customer over all channels (ID-06) that this worker knows of."""
    guids = [
        key.rpartition("\0")[2]
        for task in tasks_of(app, "identity")
        for key, _ in task.peek(TABLES[CUSTOMERS], name + "\0")
    ]
    return {"customer_id": name, "orders": guids} if guids else None


def order(app: Any, guid: str) -> dict[str, Any] | None:
    """An order's record as order-states has it, and its open alerts as far as they are here."""
    for task in tasks_of(app, "orders"):
        table = task.agent.tables["orders"]
        for key, state in task.peek(table, guid):
            if key == guid:
                return {"state": record(guid, state), "alerts": _alerts(tasks_of(app, "alerts"), guid)}
    return None


def money(app: Any, guid: str) -> dict[str, Any] | None:
    """FIN-13: what was paid, refunded and recognised of an order, and what its revenue waits for."""
    for task in tasks_of(app, "ledger"):
        for key, row in task.peek(LEDGER, guid):
            if key == guid:
                return ledger.view(row, data.ledger())
    return None


def _alerts(tasks: list[Task], guid: str) -> list[dict[str, Any]]:
    found = []
    for task in tasks:
        for key, row in task.peek(ALERTS, ""):
            if row.get("order_guid") == guid:
                alert = published(key, row)
                if alert is not None:
                    found.append(alert)
    return found
