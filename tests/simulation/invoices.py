"""Wishes for invoices among the events of a story, and what comes of them: answers of the tax service, refunds, red
invoices that are rejected and asked for again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from streams import agents, topology
from streams.domain import calendar
from streams.engine.codec.errors import DecodeError
from streams.engine.local import LocalRunner
from tests.scenarios.play import Record

EVERY: Final = 15
"""Each so many orders there is one whose buyer wants an invoice; each third of those that are confirmed has one too."""
FIRM: Final = {
    "type": "enterprise", "name": "杭州云帆贸易有限公司", "tax_number": "91110000600037341L", "bank": "招商银行",
    "bank_account": "6225",
}  # fmt: skip
PERSON: Final = {"type": "person"}
Name = tuple[str, str]
"""(channel, order number)."""


class _Writer:
    def __init__(self) -> None:
        self.codecs, self.number = topology.load(), 0

    def __call__(self, topic: str, kind: str, at: int, source: str, name: Name | None = None, **fields: Any) -> Record:
        self.number += 1
        about = {} if name is None else {"channel": name[0], "order_no": name[1]}
        event = {"event_id": f"wish-{self.number}", "event_type": kind, "event_time": at, "source": source}
        return topic, self.codecs.encoder(topic)({**event, **about, **fields}), None if name is None else name[1]


def with_invoices(events: Sequence[Record]) -> tuple[tuple[Record, ...], ...]:
    """The events with wishes among them, then what follows, part by part: each comes when the one before is done."""
    write, orders = _Writer(), list[dict[str, Any] | None]()
    decode = write.codecs.decoder("orders")
    for topic, payload, _ in events:
        try:
            orders.append(decode(payload) if topic == "orders" else None)
        except DecodeError:
            orders.append(None)
    confirmed = [event["order_no"] for event in orders if event and event["event_type"] == "buyer_confirmed"]
    wanted, told, skus, seen = {*confirmed[::3]}, list[Record](), dict[str, None](), 0
    for record, event in zip(events, orders, strict=True):
        told.append(record)
        if event is None or event["event_type"] != "order_created":
            continue
        seen += 1
        if seen % EVERY and event["order_no"] not in wanted:
            continue
        skus |= dict.fromkeys(line["sku"] for line in event["lines"] or () if line["sku"])
        name, buyer = (event["channel"], event["order_no"]), FIRM if seen % 2 else PERSON
        if seen % 3:
            told.append(write("orders", "invoice_requested", event["event_time"], name[0], name, invoice=buyer))
        else:
            told[-1] = ("orders", write.codecs.encoder("orders")({**event, "invoice": buyer}), record[2])
    coded = [sku for number, sku in enumerate(skus) if number % 5 != 4]
    return _consequences(write, (*_codes(write, coded, 0), *told))


def _codes(write: _Writer, skus: Sequence[str], at: int) -> list[Record]:
    value = {"kind": "tax_code", "tax_code": "1" * 19, "exempt": False, "rate_per_10000": 1300}
    first = calendar.at(2016, 1, 1) + at
    return [write("ops", "reference_set", first, "console", value=json.dumps({**value, "sku": sku})) for sku in skus]


def _consequences(write: _Writer, told: tuple[Record, ...]) -> tuple[tuple[Record, ...], ...]:
    """Ids of requests follow from the orders, so a run without faults says what the answers are to name."""
    runner = LocalRunner(agents.ALL, write.codecs)
    for topic, payload, key in told:
        runner.send_bytes(topic, payload, key)
        runner.run()
    names = {state["order_guid"]: (state["channel"], state["order_no"])
             for _, state in runner.output("order-states") if state is not None}  # fmt: skip
    asks = [ask for _, ask in runner.output("tax-requests") if ask is not None]
    at = runner.time + calendar.MINUTE_MS

    def answer(ask: dict[str, Any], kind: str, after: int, request_id: str = "", **fields: Any) -> Record:
        about = {"request_id": request_id or ask["request_id"], "reply_to": ask["reply_to"], "attempt": 1}
        return write("tax", kind, at + after, "oms-tax", interface=ask["interface"], **about, **fields)

    first, refunds, reds, again, last = (list[Record]() for _ in range(5))
    for number, ask in enumerate(asks):
        name, red = names[ask["order_guids"][0]], f"{ask['invoice_id']}/red/1"
        if number % 4 == 3:
            first.append(answer(ask, "invoice_rejected", 1, error_code="E7", error="unknown bank"))
            refunds.append(write("orders", "invoice_requested", at + 2000, name[0], name, invoice=PERSON))
            continue
        if number % 4 == 2:
            first.append(answer(ask, "attempt_failed", 1, error_code="busy"))
        code = {"invoice_code": f"F{number}", "tax_number": ask["tax_number"]}
        first += [answer(ask, "invoice_issued", 2, **code)] * (1 + number % 2)
        money = {"amount_minor": 100 + number, "currency": ask["currency"]}
        refunds.append(write("payments", "refund_settled", at + 3000, "wechatpay", name, **money))
        if number % 2:
            reds.append(answer(ask, "invoice_issued", 4000, red, invoice_code=f"R{number}"))
            continue
        reds.append(answer(ask, "invoice_rejected", 4000, red, error_code="E9"))
        command = {"command": "retry_red_invoice", "operator": "li", "reason": "r"}
        again.append(write("ops", "manual_command", at + 5000, "console", name, **command))
        last.append(answer(ask, "invoice_issued", 6000, f"{red}~2", invoice_code=f"R{number}"))
    return told, tuple(first), tuple(refunds), tuple(reds), tuple(again), tuple(last)
