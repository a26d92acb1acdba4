"""Do alerts come before orders are late? The real Olist orders, replayed by event time through all agents.

An order is late if it was delivered after the delivery date that was promised to its buyer. It was warned of if an
alert about it opened before that date. What is true of an order comes from the input events alone, never from what
the agents make of them.

An order warned of and delivered in time counts as a false alert; one that was never delivered, in the data, counts as
neither.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from streams.commands.replay import run as replay
from streams.convert.common import write
from streams.convert.olist import convert
from streams.data import SAMPLE
from streams.domain import calendar
from streams.lines import BadLine, read_lines

RULES = ("ST-10", "ST-15", "RSK-03", "RSK-04", "RSK-10", "RSK-11", "LOG-01", "LOG-02", "LOG-03")
"""Rules that say of an order that it is, or will be, late."""
PROMISE = "RSK-11 promise"
"""RSK-11 has two alerts; this one goes by the promised delivery."""
RECEIVED_AT = 2_000_000_000_000
_AFTER_MS = 3 * calendar.DAY_MS
UNEXPLAINED = "unexplained"


@dataclass(slots=True)
class Order:
    """What the input says of an order; times in ms UTC."""

    promised: int
    created: int
    lines: bool
    ship_by: int | None
    paid: int | None = None
    carried: int | None = None
    signed: int | None = None
    closed: int | None = None
    warned: dict[str, int] = field(default_factory=dict)
    """Rule -> when its first alert opened, of those before the promised delivery."""

    @property
    def late(self) -> bool:
        return self.signed is not None and self.signed > self.promised

    @property
    def in_time(self) -> bool:
        return self.signed is not None and not self.late


def run(say: Callable[[str], None], small: bool) -> dict[str, Any]:
    """The figures; `small`: of the bundled sample, not of the whole extract."""
    root = Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[2] / "shared") / "data" / "olist"
    with tempfile.TemporaryDirectory() as folder:
        source = SAMPLE
        if not small and root.is_dir():
            source = Path(folder) / "olist.jsonl"
            write(source, convert(root))
        orders = read(source)
        say(f"recall: {len(orders):,} orders of {source.name}")
        out = Path(folder) / "out"
        summary = replay([source], out, max(order.promised for order in orders.values()) + _AFTER_MS, RECEIVED_AT)
        say(f"recall: {summary['lines']:,} events replayed in {summary['seconds']:.0f} s")
        warn(orders, _rows(out / "order-states.jsonl"), _rows(out / "alerts.jsonl"))
    return judge(orders, summary["lines"])


def read(source: Path) -> dict[str, Order]:
    """The orders by number, from the input events. A courier names the waybill alone; its event id begins with the
    order's number."""
    orders: dict[str, Order] = {}
    rest: list[dict[str, Any]] = []
    for entry in read_lines([source]):
        assert not isinstance(entry, BadLine)
        value = entry.value
        if value["event_type"] == "order_created":
            orders[value["order_no"]] = Order(
                value["promised_delivery_at"],
                value["event_time"],
                bool(value["lines"]),
                value.get("promised_ship_at"),
            )
        else:
            rest.append(value)
    fields = {"payment_succeeded": "paid", "picked_up": "carried", "signed": "signed"}
    for value in rest:
        order, at = orders[value["event_id"].partition("-")[0]], value["event_time"]
        name = fields.get(value["event_type"])
        if value.get("raw_status") in ("canceled", "unavailable"):
            name = "closed"
        if name is not None:
            known = getattr(order, name)
            setattr(order, name, at if known is None else min(at, known))
    return orders


def warn(orders: Mapping[str, Order], states: Iterable[Any], alerts: Iterable[Any]) -> None:
    """Note in `orders` which alerts opened about them before their promised delivery."""
    numbers = {row["key"]: row["value"]["order_no"] for row in states if row["value"] is not None}
    for row in alerts:
        alert = row["value"]
        if alert is None or alert["rule"] not in RULES or alert["opened_at"] is None:
            continue
        order = orders.get(numbers.get(alert["order_guid"], ""))
        if order is None or alert["opened_at"] >= order.promised:
            continue
        rule = PROMISE if row["key"].startswith("RSK-11/promise/") else alert["rule"]
        order.warned[rule] = min(alert["opened_at"], order.warned.get(rule, alert["opened_at"]))


def why_not(order: Order) -> str:
    """Why nobody could be, or was, warned of a late order."""
    if not order.lines:
        return "refused: the source has no lines of the order"
    if order.paid is None and order.carried is None:
        return "never paid and never with the carrier, in the data"
    if order.closed is not None and order.closed <= order.promised:
        return "cancelled before the promised delivery, yet delivered"
    if order.promised <= order.created:
        return "promised for before the order was placed"
    begun = min(at for at in (order.paid, order.carried) if at is not None)
    if begun >= order.promised:
        return "paid only after the promised delivery"
    return UNEXPLAINED


def cause(order: Order) -> str:
    """Where a late order lost its time, as far as the data tells."""
    if order.carried is None:
        return "no carrier's date in the data"
    if order.carried > order.promised:
        return "handed to the carrier after the promised delivery already"
    if order.ship_by is not None and order.carried > order.ship_by:
        return "handed to the carrier after its shipping limit"
    if order.signed is not None and order.signed - order.promised <= calendar.DAY_MS:
        return "handed over in time, late by a day at most (the last mile)"
    return "handed over in time or without a limit, late on the way (no scans in the data)"


def judge(orders: Mapping[str, Order], events: int) -> dict[str, Any]:
    late = [order for order in orders.values() if order.late]
    in_time = sum(order.in_time for order in orders.values())
    missed = Counter(why_not(order) for order in late if not order.warned)
    missed_promise = Counter(why_not(order) for order in late if PROMISE not in order.warned)
    first = Counter(min(order.warned, key=lambda rule: order.warned[rule]) for order in late if order.warned)
    rules = sorted({rule for order in orders.values() for rule in order.warned})
    names = [("any rule", None), *((rule, rule) for rule in rules)]
    table = [_rule(name, rule, orders.values(), late, first) for name, rule in names]
    return {
        "method": METHOD.format(base=f"{100 * in_time / max(1, in_time + len(late)):.1f} %"),
        "orders": len(orders),
        "events": events,
        "late": len(late),
        "in_time": in_time,
        "undelivered": len(orders) - len(late) - in_time,
        "rules": table,
        "missed": dict(sorted(missed.items())),
        "missed_promise": dict(sorted(missed_promise.items())),
        "causes": dict(sorted(Counter(cause(order) for order in late).items())),
        "reached": UNEXPLAINED not in missed_promise,
    }


def _rule(
    name: str, rule: str | None, orders: Iterable[Order], late: list[Order], first: Mapping[str, int]
) -> dict[str, Any]:
    def at(order: Order) -> int | None:
        return min(order.warned.values(), default=None) if rule is None else order.warned.get(rule)

    warned = [order for order in orders if at(order) is not None]
    leads = [order.promised - when for order in late if (when := at(order)) is not None]
    false = sum(order.in_time for order in warned)
    judged = len(leads) + false
    return {
        "rule": name,
        "warned": len(warned),
        "late": len(leads),
        "recall": round(len(leads) / len(late), 4) if late else None,
        "in_time": false,
        "undelivered": len(warned) - judged,
        "false_share": round(false / judged, 4) if judged else None,
        "lead_h": round(median(leads) / calendar.HOUR_MS, 1) if leads else None,
        "first": sum(first.values()) if rule is None else first.get(rule, 0),
    }


def _rows(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        for text in lines:
            yield json.loads(text)


METHOD = """Real Olist orders, converted by `oms convert olist` and replayed by `oms replay` with all agents, on event
time, without a broker. Late: delivered after the delivery date promised to the buyer. Warned of: an alert about the
order opened before that date. False share: of the orders warned of that were delivered, those that came in time; of
all delivered orders that share was {base}. First: how often the rule was the first to tell of a late order.
An alert about every order would find every late one: a rule whose false share is that of all orders tells nothing. So
it is with ST-15 and ST-10 here, as this carrier tells of no scans between pickup and delivery. The rule on the promise
finds late orders by the way it is made; what it is worth shows in its false share and in the time it leaves."""
