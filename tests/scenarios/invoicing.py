"""A shop whose customers want invoices, and a tax service that answers when it is told to."""

from __future__ import annotations

import json
from typing import Any

from streams.domain import calendar
from tests.scenarios.play import Played
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 1, 20, 9)
MINUTE, HOUR, DAY = calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS
SIGNED = T0 + 10 * HOUR
USCC = "91110000600037341L"
CODE = "1090101010000000000"
ADDRESS = {"province": "浙江", "city": "杭州", "district": "西湖", "street": "文三路 1", "receiver": "李", "phone": "1"}
ENTERPRISE: dict[str, Any] = {
    "type": "enterprise", "name": "杭州云帆贸易有限公司", "tax_number": USCC, "bank": "招商银行", "bank_account": "6225"
}  # fmt: skip


def line(number: int, price: int, sku: str = "BAG", quantity: int = 1) -> dict[str, Any]:
    name = {"line_no": number, "sku": sku, "name": None, "quantity": quantity}
    return {**name, "unit_price_minor": price, "is_gift": False}


class Office(Shop):
    """Orders of channel tmall, customer C unless told otherwise; SKU BAG is taxed at 13 %."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answered = 0
        self.set(T0 - DAY, kind="tax_code", sku="BAG", tax_code=CODE, exempt=False, rate_per_10000=1300, name="礼盒")

    def set(self, at: int, **value: Any) -> Office:
        about = {name: value.pop(name) for name in ("channel", "order_no", "raw") if name in value}
        self.ops("reference_set", at, value, **about)
        return self

    def buy(self, order_no: str = "A", *lines: dict[str, Any], at: int = T0, **fields: Any) -> Office:
        bought = list(lines) or [line(1, 10000)]
        total = sum(each["quantity"] * each["unit_price_minor"] for each in bought)
        given = {"lines": bought, "total_minor": total, "customer_id": "C", "address": ADDRESS, **fields}
        self.order("tmall", order_no, at, **given)
        return self

    def about(self, topic: str, kind: str, at: int, order_no: str, **fields: Any) -> Office:
        self.say(topic, kind, at, fields.pop("source", topic), channel="tmall", order_no=order_no, **fields)
        return self

    def request(self, order_no: str = "A", at: int = T0 + HOUR, raw: str | None = None, **invoice: Any) -> Office:
        return self.about("orders", "invoice_requested", at, order_no, invoice=invoice or None, raw=raw)

    def pay(self, order_no: str, amount: int, at: int = T0 + 2 * HOUR) -> Office:  # type: ignore[override]
        return self.about("payments", "payment_succeeded", at, order_no, amount_minor=amount, currency="CNY")

    def refund(self, order_no: str, amount: int, at: int, line_no: int | None = None) -> Office:
        money = {"amount_minor": amount, "currency": "CNY", "line_no": line_no}
        return self.about("payments", "refund_settled", at, order_no, **money)

    def sign(self, order_no: str = "A", at: int = SIGNED, waybill: str | None = None) -> Office:
        """Signed at the courier's and by the customer."""
        name = waybill or f"W-{order_no}"
        self.about("wms", "loaded", at - 5 * HOUR, order_no, waybill_no=name)
        self.about("couriers", "signed", at - 1, order_no, waybill_no=name, courier="zto")
        return self.about("orders", "buyer_confirmed", at, order_no)

    def sell(
        self, order_no: str, *lines: dict[str, Any], signed: int = SIGNED, invoice: Any = None, **fields: Any
    ) -> Office:
        """Bought, asked for, paid and signed."""
        bought = list(lines) or [line(1, 10000)]
        self.buy(order_no, *bought, **fields).request(order_no, **(ENTERPRISE if invoice is None else invoice))
        self.pay(order_no, sum(each["quantity"] * each["unit_price_minor"] for each in bought))
        return self.sign(order_no, signed)

    # -- the tax service ---------------------------------------------------------------------------------------------

    def answer(self, at: int, kind: str = "invoice_issued", **fields: Any) -> Office:
        """To every request that was not answered yet."""
        for request in self.asks[self.answered :]:
            self.answered += 1
            self.reply(request, at, kind, **fields)
        return self

    def reply(self, request: dict[str, Any], at: int, kind: str = "invoice_issued", **fields: Any) -> Office:
        said = {name: request[name] for name in ("request_id", "reply_to", "interface", "tax_number")}
        if kind == "invoice_issued":
            said |= {"invoice_code": f"F{self.answered}", "pdf_url": f"https://tax.example.com/{self.answered}.pdf"}
        self.say("tax", kind, at, "oms-tax", **{**said, **fields})
        return self

    # -- looking -----------------------------------------------------------------------------------------------------

    @property
    def asks(self) -> list[dict[str, Any]]:
        return self.out("tax-requests")

    @property
    def invoices(self) -> dict[str, dict[str, Any]]:
        return {value["invoice_id"]: value for value in self.out("invoices")}

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """By guid."""
        return {state["order_guid"]: state for state in Played(self.runner).states.values()}

    def invoice(self, order_no: str = "A") -> dict[str, Any] | None:
        found: dict[str, Any] | None = Played(self.runner).states[order_no]["invoice"]
        return found

    def status(self, order_no: str = "A") -> str | None:
        found = self.invoice(order_no)
        return None if found is None else str(found["status"])

    def audit(self, order_no: str = "A", topic: str = "invoices") -> list[tuple[str, str, str | None]]:
        rows = Played(self.runner).audit(order_no)
        return [(row["rule"], row["decision"], row["reason"]) for row in rows if row["topic"] == topic]

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        return Played(self.runner).alerts(rule)

    def report(self, name: str) -> list[dict[str, Any]]:
        """The rows of the newest record of a report."""
        last = {row["report_id"]: row for row in self.out("reports") if row["name"] == name}
        found: list[dict[str, Any]] = json.loads(list(last.values())[-1]["rows"])
        return found

    @property
    def dead(self) -> list[str]:
        return [row["error"] for row in self.out("dead-letters")]
