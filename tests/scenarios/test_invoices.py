"""Invoices through all agents, codecs and timers."""

from __future__ import annotations

import pytest

from tests.scenarios.invoicing import CODE, DAY, ENTERPRISE, HOUR, MINUTE, SIGNED, USCC, Office


@pytest.mark.rule("TAX-08", "TAX-03", "TAX-17")
def test_an_invoice_from_the_request_to_its_pdf() -> None:
    office = Office().sell("A")
    assert (office.status(), office.asks) == ("accepted", [])
    office.until(SIGNED + 59 * MINUTE)
    assert not office.asks
    office.until(SIGNED + 60 * MINUTE)
    [ask] = office.asks
    assert (ask["kind"], ask["amount_minor"], ask["tax_minor"]) == ("issue", 10000, 1150)
    assert (ask["buyer_name"], ask["tax_number"], ask["waybills"]) == (ENTERPRISE["name"], USCC, ["W-A"])
    assert [(each["name"], each["tax_code"], each["rate_per_10000"]) for each in ask["lines"]] == [("礼盒", CODE, 1300)]
    assert office.status() == "requested"
    office.answer(SIGNED + HOUR)
    [invoice] = office.invoices.values()
    assert (invoice["status"], invoice["invoice_code"], invoice["order_guids"]) == ("issued", "F1", ask["order_guids"])
    found = office.invoice()
    assert found is not None
    assert found["status"] == "issued"
    assert found["invoices"] == [
        {
            "invoice_id": invoice["invoice_id"],
            "status": "issued",
            "code": "F1",
            "pdf_url": "https://tax.example.com/1.pdf",
            "red_codes": [],
        }
    ]
    events = [event for event in office.out("order-events") if event["event"] == "invoiced"]
    assert [(event["at"], event["source"]) for event in events] == [(SIGNED + HOUR, "invoices")]
    assert not office.alerts("TAX-08")
    assert not office.dead


def test_an_order_without_a_request_sends_nothing() -> None:
    office = Office().buy("A").pay("A", 10000).sign("A").until(SIGNED + DAY)
    assert [message["do"] for _, message in office.runner.output("invoice-facts")] == ["set"]
    assert office.invoice() is None


@pytest.mark.rule("TAX-01")
def test_the_data_may_come_with_the_order() -> None:
    office = Office().buy("A", invoice=ENTERPRISE).pay("A", 10000).sign("A").until(SIGNED + HOUR)
    assert len(office.asks) == 1
    assert office.status() == "requested"
