"""Invoices that were rejected, or lowered before they went out: what is asked for then (TAX-06, TAX-07, TAX-09)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.invoicing import ENTERPRISE, HOUR, MINUTE, SIGNED, Office, line


def reject(office: Office, at: int) -> None:
    office.answer(at, "invoice_rejected", error_code="E9", error="closed")


def shape(ask: dict[str, Any]) -> list[tuple[int, int | None, int]]:
    return [(each["line_no"], each["quantity"], each["amount_minor"]) for each in ask["lines"]]


@pytest.mark.rule("TAX-06")
def test_parts_of_one_unit_are_parts_when_they_are_asked_for_again() -> None:
    office = Office().sell("A", line(1, 2_500_000)).until(SIGNED + 15 * MINUTE)
    first = [shape(ask) for ask in office.asks]
    assert first == [[(1, None, 1_000_000)], [(1, None, 1_000_000)], [(1, None, 500_000)]]
    reject(office, SIGNED + 16 * MINUTE)
    office.request("A", SIGNED + 17 * MINUTE, **ENTERPRISE).until(SIGNED + HOUR)
    assert [shape(ask) for ask in office.asks[3:]] == first


@pytest.mark.rule("TAX-09")
def test_a_line_lowered_by_a_refund_says_no_units() -> None:
    office = Office().sell("A", line(1, 3_500, quantity=2), line(2, 1_000)).refund("A", 3_500, SIGNED + 1, line_no=1)
    office.until(SIGNED + 2 * HOUR)
    [ask] = office.asks
    assert shape(ask) == [(1, None, 3_500), (2, 1, 1_000)]


@pytest.mark.rule("TAX-07", "TAX-08")
def test_the_id_of_an_invoice_is_used_once_whomever_its_order_shares_one_with() -> None:
    office = Office().buy("A", line(1, 70_000)).pay("A", 70_000).sign("A").sell("B", line(1, 70_000), signed=SIGNED + 1)
    at = SIGNED + 15 * MINUTE
    for wanted in (("B",), ("A", "B"), ("B",)):
        reject(office.until(at + MINUTE), at + MINUTE)
        for order_no in wanted:
            office.request(order_no, at + MINUTE, **ENTERPRISE)
        at += 17 * MINUTE
    office.until(at + MINUTE)
    names = [ask["request_id"] for ask in office.asks]
    assert len(names) == len(set(names)) == 4
    assert [len(ask["order_guids"]) for ask in office.asks] == [1, 1, 2, 1]


@pytest.mark.rule("TAX-06")
def test_two_hundred_invoices_are_counted_as_they_would_be_split() -> None:
    office = Office().sell("A", *(line(n, 500_001) for n in range(1, 202))).until(SIGNED + HOUR)
    assert (office.status(), office.asks) == ("refused", [])


@pytest.mark.rule("TAX-16", "TAX-09")
def test_a_rejected_invoice_of_which_nothing_is_left_is_nobodys_worry() -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    reject(office, SIGNED + HOUR)
    assert [alert["status"] for alert in office.alerts("TAX-16")] == ["open"]
    office.refund("A", 10_000, SIGNED + 2 * HOUR)
    assert office.status() == "void"
    assert [alert["status"] for alert in office.alerts("TAX-16")] == ["closed"]
