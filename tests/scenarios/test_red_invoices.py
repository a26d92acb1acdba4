"""Red invoices that the tax service rejects: asked for again by a person, issued once, whatever comes late or twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from tests.scenarios.invoicing import DAY, HOUR, MINUTE, SIGNED, Office, line

RED_AT, AGAIN = SIGNED + 2 * HOUR, SIGNED + 4 * HOUR


class Desk(Office):
    def again(self, at: int = AGAIN, order_no: str = "A", **fields: Any) -> Desk:
        said = {"command": "retry_red_invoice", "operator": "li", "reason": "the period was closed", **fields}
        self.about("ops", "manual_command", at, order_no, **said)
        return self

    def reject(self, at: int, number: int = -1) -> Desk:
        self.reply(self.asks[number], at, "invoice_rejected", error_code="E9", error="period is closed")
        return self

    def issue(self, at: int, code: str, number: int = -1) -> Desk:
        self.reply(self.asks[number], at, invoice_code=code)
        return self

    @property
    def reds(self) -> list[tuple[str, str | None]]:
        [invoice] = self.invoices.values()
        return [(red["status"], red["code"]) for red in invoice["reds"]]

    @property
    def red_minor(self) -> int:
        [invoice] = self.invoices.values()
        return int(invoice["red_minor"])

    def twice(self) -> list[str]:
        return [alert["title"] for alert in self.alerts("TAX-08") if "twice" in alert["alert_key"]]

    def red_alerts(self) -> list[str]:
        return [alert["status"] for alert in self.alerts("TAX-09")]


def rejected() -> Desk:
    """10,000 invoiced, 3,000 refunded, the red invoice of it rejected."""
    desk = Desk()
    desk.sell("A", line(1, 6000), line(2, 4000)).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    desk.refund("A", 3000, RED_AT, line_no=2)
    return desk.reject(RED_AT + MINUTE)


@pytest.mark.rule("TAX-09")
def test_a_rejected_red_invoice_stays_with_its_invoice_is_asked_for_again_and_issued() -> None:
    desk = rejected()
    first = desk.asks[-1]
    assert (desk.reds, desk.red_minor, desk.status()) == ([("rejected", None)], 0, "issued")
    assert desk.red_alerts() == ["open"]
    detail = f"red invoice {first['request_id']} was rejected, E9"
    assert desk.audit()[-1] == ("TAX-09", "refused", detail)
    found = desk.invoice()
    assert found is not None
    assert found["reason"] == detail
    desk.again()
    asked = desk.asks[-1]
    assert asked["request_id"] == f"{first['request_id']}~2"
    same = ("kind", "invoice_id", "lines", "amount_minor", "tax_minor", "original_code", "tax_number")
    assert {name: asked[name] for name in same} == {name: first[name] for name in same}
    assert desk.reds == [("requested", None)]
    assert desk.red_alerts() == ["open"], "it is asked for again, not issued yet"
    assert desk.audit()[-1] == ("TAX-09", "accepted", f"red invoice asked for again as {asked['request_id']}")
    assert desk.audit(topic="ops")[-1] == ("TAX-09", "accepted", None)
    desk.issue(AGAIN + MINUTE, "R1")
    assert (desk.reds, desk.red_minor, desk.status()) == ([("issued", "R1")], 3000, "partly_red")
    assert desk.red_alerts() == ["closed"]
    found = desk.invoice()
    assert found is not None
    assert (found["reason"], found["invoices"][0]["red_codes"]) == (None, ["R1"])
    assert not desk.dead


@pytest.mark.rule("TAX-09")
def test_it_is_rejected_and_asked_for_as_often_as_it_takes() -> None:
    desk = rejected().again().reject(AGAIN + MINUTE)
    assert (desk.reds, desk.red_alerts()) == ([("rejected", None)], ["escalated"])
    desk.again(AGAIN + HOUR)
    assert desk.asks[-1]["request_id"].endswith("/red/1~3")
    desk.issue(AGAIN + 2 * HOUR, "R1")
    assert (desk.reds, desk.red_alerts()) == ([("issued", "R1")], ["closed"])


@pytest.mark.rule("TAX-09")
def test_one_that_is_under_way_or_issued_is_not_asked_for_again() -> None:
    desk = rejected().again().again(AGAIN + MINUTE)
    assert len(desk.asks) == 3
    refused = ("TAX-09", "refused", "no red invoice of the order was rejected")
    assert desk.audit()[-1] == refused
    desk.issue(AGAIN + HOUR, "R1").again(AGAIN + 2 * HOUR)
    assert len(desk.asks) == 3
    assert desk.audit()[-1] == refused


@pytest.mark.rule("TAX-09")
@pytest.mark.parametrize("missing", ["operator", "reason"])
def test_whoever_asks_says_who_and_why(missing: str) -> None:
    fields: dict[str, Any] = {missing: None}
    desk = rejected().again(**fields)
    assert len(desk.asks) == 2
    said = "retry_red_invoice needs an operator and a reason"
    assert desk.audit(topic="ops")[-1] == ("TAX-09", "refused", said)


@pytest.mark.rule("TAX-09")
def test_an_order_without_an_invoice_has_no_red_one() -> None:
    desk = Desk()
    desk.buy("A")
    desk.again()
    assert desk.audit(topic="ops") == [("TAX-09", "refused", "the order has no invoice")]
    assert [message["do"] for _, message in desk.runner.output("invoice-facts")] == ["set"]


@pytest.mark.rule("TAX-09")
def test_answers_that_come_twice_change_nothing() -> None:
    desk = rejected().reject(RED_AT + 2 * MINUTE).again()
    desk.reject(AGAIN + 1, number=-2)
    assert desk.reds == [("requested", None)], "the first request's answer is not the second's"
    for at in range(2):
        desk.issue(AGAIN + HOUR + at, "R1")
    desk.reject(AGAIN + 2 * HOUR)
    assert (desk.reds, desk.red_minor, desk.red_alerts(), desk.twice()) == ([("issued", "R1")], 3000, ["closed"], [])
    desk.issue(AGAIN + 3 * HOUR, "R2")
    assert (desk.reds, desk.red_minor) == ([("issued", "R1")], 3000)
    assert desk.twice() == ["red invoice issued twice"]


@pytest.mark.rule("TAX-09")
def test_a_rejected_one_that_is_issued_after_all_is_not_asked_for_again() -> None:
    desk = rejected().issue(RED_AT + HOUR, "R1")
    assert (desk.reds, desk.red_minor, desk.red_alerts()) == ([("issued", "R1")], 3000, ["closed"])
    desk.again()
    assert len(desk.asks) == 2


@pytest.mark.rule("TAX-09")
@pytest.mark.parametrize(
    ("late_first", "second", "twice"),
    [(True, "R2", 1), (False, "R2", 1), (True, "R1", 0), (False, "R1", 0), (True, None, 0)],
)
def test_the_first_answer_comes_late_while_another_is_under_way(
    late_first: bool, second: str | None, twice: int
) -> None:
    desk = rejected().again()
    for at, first in enumerate((late_first, not late_first)):
        if first:
            desk.issue(AGAIN + HOUR + at, "R1", number=-2)
        elif second is None:
            desk.reject(AGAIN + HOUR + at)
        else:
            desk.issue(AGAIN + HOUR + at, second)
    [(status, code)] = desk.reds
    assert (status, code) == ("issued", "R1" if late_first else second)
    assert (desk.red_minor, desk.red_alerts(), len(desk.twice())) == (3000, ["closed"], twice)


@pytest.mark.rule("TAX-09", "TAX-06")
@pytest.mark.parametrize("parts", [[5, 5], [3, 3, 4], [10], [9, 1]])
def test_the_taxes_of_all_reds_of_a_line_are_its_own(parts: list[int]) -> None:
    desk = Desk()
    desk.sell("A", line(1, 10), line(2, 10_000)).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    blue = desk.asks[0]["lines"][0]["tax_minor"]
    for at, amount in enumerate(parts):
        desk.refund("A", amount, RED_AT + at, line_no=1)
    taxes = [each["tax_minor"] for ask in desk.asks[1:] for each in ask["lines"]]
    assert all(tax <= 0 for tax in taxes)
    assert sum(taxes) == -blue == -1


@pytest.mark.rule("TAX-09", "TAX-15")
def test_the_deduction_list_has_it_once_in_the_month_it_was_issued() -> None:
    desk = rejected().again()
    desk.issue(AGAIN + HOUR, "R1", number=-2).issue(AGAIN + 2 * HOUR, "R2")
    desk.until(calendar.at(2026, 2, 5))
    [record] = [row for row in desk.out("reports") if row["report_id"] == "TAX-15/2026-01"]
    amounts = [row["amount_minor"] for row in json.loads(record["rows"])]
    assert sorted(amounts) == [-3000, 10000]


@pytest.mark.rule("TAX-09")
def test_what_a_rejected_one_takes_back_stays_taken() -> None:
    desk = rejected()
    desk.refund("A", 8000, RED_AT + HOUR)
    assert desk.asks[-1]["amount_minor"] == -7000, "10,000 less the 3,000 that are still to be taken back"
    desk.issue(RED_AT + HOUR, "R2").again().issue(AGAIN + DAY, "R1")
    assert (desk.reds, desk.red_minor, desk.status()) == ([("issued", "R1"), ("issued", "R2")], 10000, "red")


@pytest.mark.rule("TAX-09", "FIN-07")
@pytest.mark.parametrize("refunded", [0, 1])
def test_a_red_invoice_takes_back_the_refunded_line_of_an_order_whose_lines_begin_at_0(refunded: int) -> None:
    desk = Desk()
    desk.sell("A", line(0, 6000), line(1, 4000)).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    desk.refund("A", 3000, RED_AT, line_no=refunded)
    assert [(row["line_no"], row["amount_minor"]) for row in desk.asks[-1]["lines"]] == [(refunded, -3000)]


@pytest.mark.rule("TAX-13", "TAX-09")
def test_an_order_that_is_paid_again_after_its_red_invoice_does_not_agree_with_it() -> None:
    office = Office().sell("A", invoice={"type": "person"}).until(SIGNED + 2 * HOUR).answer(SIGNED + 2 * HOUR)
    office.refund("A", 10000, SIGNED + DAY).answer(SIGNED + DAY + HOUR).until(calendar.at(2026, 2, 3, 8))
    assert not office.report("TAX-13")
    office.pay("A", 10000, calendar.at(2026, 2, 3, 9)).until(calendar.at(2026, 2, 3, 12))
    [row] = office.report("TAX-13")
    assert (row["order_minor"], row["invoice_minor"], row["wrong"]) == (10000, 0, "order and invoice differ")
