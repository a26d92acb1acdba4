"""Failure cases 11, 12 (its half about the tax service), 13 and 28: through `oms replay`, and with a service that is
hard on its caller."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.tax.integrity import seal
from streams.tax.fake import FakeTax, serving
from streams.tax.http import HttpService
from tests.scenarios import invoicing
from tests.scenarios.invoicing import CODE, DAY, ENTERPRISE, HOUR, MINUTE, SIGNED, T0, line
from tests.scenarios.replayed import Replayed, Story
from tests.unit.tax.desk import Killed, Office

NUMBER = "012345678901234"


class Sales(Story):
    """Orders of a shop that are asked for, paid, signed."""

    def __init__(self) -> None:
        super().__init__("tmall")
        self.set(kind="tax_code", sku="BAG", tax_code=CODE, exempt=False, rate_per_10000=1300)

    def set(self, at: int = T0 - DAY, **value: Any) -> Sales:
        self.say("ops", "reference_set", at, None, value=json.dumps(value))
        return self

    def sell(self, order_no: str, *lines: dict[str, Any], raw: str | None = None, **invoice: Any) -> Sales:
        bought = list(lines) or [line(1, 60_000)]
        total = sum(each["unit_price_minor"] for each in bought)
        self.created(T0, order_no, lines=bought, total_minor=total, customer_id=f"C-{order_no}")
        self.say("orders", "invoice_requested", T0 + 1, order_no, invoice=invoice or ENTERPRISE, raw=raw)
        self.say("payments", "payment_succeeded", T0 + 2, order_no, amount_minor=total, currency="CNY")
        self.picked_up(T0 + HOUR, order_no)
        self.say("couriers", "signed", SIGNED - 1, order_no)
        self.say("orders", "buyer_confirmed", SIGNED, order_no)
        return self

    def answered(self, first: Replayed, at: int, kind: str = "invoice_issued", **fields: Any) -> Sales:
        """The requests of a run, answered in the next one."""
        for number, ask in enumerate(first.rows("tax-requests")):
            names = {name: ask[name] for name in ("request_id", "reply_to", "interface", "tax_number")}
            code = {"invoice_code": f"F{number}"} if kind == "invoice_issued" else {}
            self.say("tax", kind, at + number, None, **{**names, **code, **fields})
        return self


def asked(run: Replayed) -> dict[str, list[dict[str, Any]]]:
    """Requests by order number."""
    names = {state["order_guid"]: state["order_no"] for state in run.rows("order-states")}
    found: dict[str, list[dict[str, Any]]] = {}
    for ask in run.rows("tax-requests"):
        found.setdefault(names[ask["order_guids"][0]], []).append(ask)
    return found


@pytest.mark.rule("TAX-10", "TAX-16")
def test_case_11_a_trim_step_that_cuts_zeros_is_told_at_once_and_by_its_place(tmp_path: Path) -> None:
    """Three days of failures: the buyers' input was valid, a new step removed leading zeros on the way."""
    sales, typed = Sales(), {**ENTERPRISE, "tax_number": NUMBER}
    raw = json.dumps({"buyer": {"taxNo": NUMBER}})
    sales.sell("GOOD", raw=raw, **typed)
    sales.sell("TRIMMED", raw=raw, **{**typed, "tax_number": NUMBER.lstrip("0")})
    sealed = {**typed, "tax_number_hash": seal(NUMBER)}
    sales.sell("SEALED", **{**sealed, "tax_number": NUMBER.lstrip("0")})
    run = sales.replay(tmp_path, SIGNED + 90 * MINUTE)
    assert {name: [ask["tax_number"] for ask in asks] for name, asks in asked(run).items()} == {"GOOD": [NUMBER]}
    assert {row["tax_number"] for row in run.rows("invoices")} == {NUMBER}, "byte by byte"
    alerts = run.alerts("TAX-10")
    assert [alert["title"] for alert in alerts] == ["tax_number_altered"] * 2
    assert all("source" in alert["first_detail"] and NUMBER[1:] not in str(alert) for alert in alerts)
    refused = [row for row in run.rows("audit-log") if row["rule"] == "TAX-10"]
    assert [row["decision"] for row in refused] == ["refused", "refused"]


@pytest.mark.rule("TAX-16")
def test_case_11_the_same_error_is_told_at_the_third_request_not_after_three_days(tmp_path: Path) -> None:
    sales = Sales()
    for number in range(4):
        sales.sell(f"N{number}")
    first = sales.replay(tmp_path, SIGNED + 15 * MINUTE)
    told = {"error_code": "invalid_tax_number"}
    run = sales.answered(first, SIGNED + 20 * MINUTE, "invoice_rejected", **told).replay(tmp_path, SIGNED + HOUR)
    alerts = {alert["alert_key"]: alert for alert in run.alerts("TAX-16")}
    found = alerts["TAX-16/tax/invalid_tax_number"]
    assert (found["recipient"], found["opened_at"]) == ("finance and tech lead", SIGNED + 20 * MINUTE + 2)
    assert sum(name.startswith("TAX-16/rejected/") for name in alerts) == 4


@pytest.mark.rule("TAX-03", "TAX-04", "TAX-05", "TAX-06", "TAX-14")
def test_case_13_the_four_causes_of_rejection_never_reach_the_service(tmp_path: Path) -> None:
    sales = Sales()
    sales.set(kind="tax_code", sku="RICE", tax_code=CODE, exempt=True, rate_per_10000=900)  # tax-free, coded taxable
    old = calendar.at(2024, 12, 1)
    sales.set(old, kind="invoice_profile", customer_id="C-OLD", **{**ENTERPRISE, "bank_account": "closed long ago"})
    sales.sell("CHARS", **{**ENTERPRISE, "name": "家电<行>\t公司"})
    sales.sell("RICE", line(1, 60_000, "RICE"))
    sales.sell("LARGE", line(1, 900_000), line(2, 900_000))
    sales.sell("OLD", type="enterprise", name=ENTERPRISE["name"], tax_number=ENTERPRISE["tax_number"])
    run = sales.replay(tmp_path, SIGNED + HOUR)
    found = asked(run)
    assert set(found) == {"CHARS", "LARGE"}
    assert [ask["buyer_name"] for ask in found["CHARS"]] == ["家电行公司"]
    assert [ask["amount_minor"] for ask in found["LARGE"]] == [900_000, 900_000]
    states = {state["order_no"]: state["invoice"] for state in run.rows("order-states")}
    assert (states["RICE"]["status"], states["OLD"]["status"]) == ("blocked", "refused")
    assert "TAX-14" in states["OLD"]["reason"]
    assert [alert["recipient"] for alert in run.alerts("TAX-05")] == ["tax accountant"]


@pytest.mark.rule("TAX-01", "TAX-09", "TAX-13", "TAX-17")
def test_case_28_the_invoice_hangs_on_the_order(tmp_path: Path) -> None:
    """A special invoice cannot be made afterwards, several parcels are on one invoice, a refund has its red one."""
    sales = Sales()
    sales.sell("SPECIAL", **{**ENTERPRISE, "kind": "special"})
    sales.sell("PARCELS").say("wms", "loaded", T0 + 2 * HOUR, "PARCELS", waybill_no="W-2")
    sales.sell("BACK")
    first = sales.replay(tmp_path, SIGNED + 15 * MINUTE)
    sales.answered(first, SIGNED + 30 * MINUTE)
    sales.say("payments", "refund_settled", SIGNED + HOUR, "BACK", amount_minor=60_000, currency="CNY")
    run = sales.replay(tmp_path, calendar.at(2026, 2, 4))
    states = {state["order_no"]: state["invoice"] for state in run.rows("order-states")}
    assert states["SPECIAL"]["status"] == "refused", "told while the order is open, not after the delivery"
    assert asked(run)["PARCELS"][0]["waybills"] == ["W-PARCELS", "W-2"]
    assert [(ask["kind"], ask["amount_minor"]) for ask in asked(run)["BACK"]] == [("issue", 60_000), ("red", -60_000)]
    [report] = [row for row in run.rows("reports") if row["name"] == "TAX-13"]
    assert {row["order_no"]: row["wrong"] for row in json.loads(report["rows"])} == {
        "PARCELS": "no contract",
        "BACK": "order and invoice differ, no contract",  # the red invoice is not there yet
    }


@pytest.mark.rule("TAX-11", "TAX-08", "TAX-09")
def test_case_12_a_service_that_throttles_fails_and_answers_late_issues_each_invoice_once(tmp_path: Path) -> None:
    """The whole way: orders, adapter, service and back, the adapter killed again and again."""
    shop, chance, deaths = invoicing.Office(), random.Random(5), 0
    for number in range(25):
        shop.sell(f"N{number}", line(1, 60_000), customer_id=f"C{number}")
    shop.until(SIGNED + 15 * MINUTE)
    fake = FakeTax(per_second=5, fail_every=9, break_every=6)

    def around(call: Any) -> Any:
        nonlocal deaths
        answer = call()
        if chance.random() < 0.2:
            deaths += 1
            raise Killed
        return answer

    with serving(fake) as url:
        desk = Office(HttpService(url), tmp_path)
        fake.clock = lambda: desk.now / 1000
        desk.around, told = around, 0
        for round_ in range(2):
            desk.records.say(*shop.asks[len(desk.records.records) :])
            desk.until_done()
            for event in desk.events[told:]:
                at = SIGNED + (20 + round_) * MINUTE
                said = {
                    name: value for name, value in event.items() if name not in ("event_type", "event_time", "source")
                }
                shop.say("tax", event["event_type"], at, "oms-tax", **{**said, "event_id": event["event_id"]})
            told = len(desk.events)
            if round_ == 0:
                for number in range(0, 25, 5):
                    shop.refund(f"N{number}", 60_000, SIGNED + 20 * MINUTE)
    assert deaths > 3
    assert len(fake.issued) == 30
    assert set(fake.issued.values()) == {1}
    assert {shop.status(f"N{number}") for number in range(25)} == {"issued", "red"}
    assert max(sum(at <= other < at + 1 for other in fake.calls) for at in fake.calls) <= 5
    assert not [alert for alert in shop.alerts("TAX-08") if "twice" in alert["alert_key"]]
