"""Invoices through all agents, codecs and timers."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from typing import Any

import pytest

from streams import agents, topology
from streams.commands.order_view import invoice_sentence
from streams.domain import calendar
from streams.domain.rules import data
from streams.engine.local import Abort, Crash, LocalRunner
from tests.scenarios.invoicing import ADDRESS, CODE, DAY, ENTERPRISE, HOUR, MINUTE, SIGNED, T0, USCC, Office, line
from tests.scenarios.play import Played, new_runner, run


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


@pytest.mark.rule("TAX-01")
def test_a_profile_fills_in_what_the_request_lacks_and_a_special_invoice_without_it_is_blocked() -> None:
    office = Office().sell("A", invoice={"kind": "special"}).until(SIGNED + 3 * HOUR)
    assert office.status() == "refused"
    assert office.audit() == [
        (
            "TAX-01",
            "refused",
            "special invoice without name, tax_number, licence_no, bank, bank_account, address, phone",
        )
    ]
    [alert] = office.alerts("TAX-03")
    assert (alert["status"], alert["recipient"]) == ("open", "finance")
    assert not office.asks
    whole = {**ENTERPRISE, "licence_no": "L", "address": "杭州", "phone": "0571"}
    office.set(SIGNED + 3 * HOUR, kind="invoice_profile", customer_id="C", **whole)
    office.request("A", SIGNED + 4 * HOUR, kind="special").until(SIGNED + 6 * HOUR)
    assert [ask["invoice_kind"] for ask in office.asks] == ["special"]
    assert [ask["buyer_licence_no"] for ask in office.asks] == ["L"]
    assert [alert["status"] for alert in office.alerts("TAX-03")] == ["closed"]
    assert office.audit()[1] == ("TAX-01", "accepted", "profile version 1")


@pytest.mark.rule("TAX-01", "TAX-02")
def test_an_empty_wish_at_the_order_has_the_customers_profile() -> None:
    office = Office().set(T0 - DAY, kind="invoice_profile", customer_id="C", **ENTERPRISE)
    office.buy("A", invoice={}).pay("A", 10000).sign("A").until(SIGNED + HOUR)
    assert [ask["tax_number"] for ask in office.asks] == [USCC]


@pytest.mark.rule("TAX-02")
def test_a_wish_that_names_the_customer_the_order_did_not_has_the_customers_profile() -> None:
    office = Office().set(T0 - DAY, kind="invoice_profile", customer_id="K", **ENTERPRISE)
    for order_no, known in (("A", None), ("B", "C")):
        office.buy(order_no, customer_id=known)
        office.about("orders", "invoice_requested", T0 + HOUR, order_no, customer_id="K")
        office.pay(order_no, 10000).sign(order_no)
    office.until(SIGNED + HOUR)
    assert {ask["reply_to"]: ask["tax_number"] for ask in office.asks} == {"customer/K": USCC, "customer/C": None}
    assert Played(office.runner).states["A"]["customer_id"] == "K"


@pytest.mark.rule("TAX-02")
def test_the_newest_profile_counts_whatever_comes_first_and_another_buyer_is_not_it() -> None:
    office = Office()
    for at, name in ((2, "新公司"), (1, "旧公司")):
        office.set(T0 + at, kind="invoice_profile", customer_id="C", **{**ENTERPRISE, "name": name})
    office.sell("A", invoice={"type": "企业"}).sell("B", invoice={"type": "person", "name": "李雷"}).until(
        SIGNED + 2 * HOUR
    )
    asked = {ask["buyer_name"]: ask for ask in office.asks}
    assert set(asked) == {"新公司", "李雷"}
    assert asked["李雷"]["tax_number"] is None, "the profile is another buyer's"


@pytest.mark.rule("TAX-03")
@pytest.mark.parametrize("left_out", ["tax_number", "bank", "bank_account"])
def test_an_enterprise_without_its_data_is_refused_before_sending(left_out: str) -> None:
    office = Office().sell("A", invoice={**ENTERPRISE, left_out: None}).until(SIGNED + 3 * HOUR)
    assert not office.asks
    assert office.audit() == [("TAX-03", "refused", f"invoice of a buyer of type enterprise without {left_out}")]


@pytest.mark.rule("TAX-04")
def test_a_name_is_cleaned_and_the_audit_has_both() -> None:
    dirty = {**ENTERPRISE, "name": "杭州<云帆>\u0007贸易 & 有限公司\n"}
    office = Office().sell("A", invoice=dirty).until(SIGNED + 2 * HOUR)
    [ask] = office.asks
    assert (ask["buyer_name"], ask["tax_number"]) == ("杭州云帆贸易 有限公司", USCC)
    [(_, decision, reason), *_] = office.audit()
    assert decision == "accepted"
    assert reason == f"TAX-04: name {dirty['name']!r} became '杭州云帆贸易 有限公司'"


@pytest.mark.rule("TAX-05")
def test_goods_without_a_good_code_block_the_invoice_until_it_is_set() -> None:
    office = Office().set(T0 - HOUR, kind="tax_code", sku="TEA", tax_code=CODE, exempt=True, rate_per_10000=1300)
    office.sell("A", line(1, 60000), line(2, 60000, "TEA"), line(3, 60000, "CUP")).until(SIGNED + HOUR)
    assert (office.asks, office.status()) == ([], "blocked")
    found = {alert["alert_key"]: alert["status"] for alert in office.alerts("TAX-05")}
    assert found == {"TAX-05/sku/TEA": "escalated", "TAX-05/sku/CUP": "escalated"}, "since the request, hours ago"
    assert [entry[:2] for entry in office.audit()] == [("TAX-03", "accepted"), ("TAX-05", "refused")]
    office.set(SIGNED + HOUR, kind="tax_code", sku="TEA", tax_code=CODE, exempt=True, rate_per_10000=0)
    assert office.status() == "blocked"
    office.set(SIGNED + HOUR + 1, kind="tax_code", sku="CUP", tax_code=CODE, exempt=False, rate_per_10000=900)
    office.until(SIGNED + 2 * HOUR)
    [ask] = office.asks
    assert [(each["sku"], each["exempt"], each["tax_minor"]) for each in ask["lines"]] == [
        ("BAG", False, 6903),
        ("TEA", True, 0),
        ("CUP", False, 4954),
    ]
    assert {alert["status"] for alert in office.alerts("TAX-05")} == {"closed"}
    assert not office.runner.table("invoices", "refs").keys() & {"sku/TEA\x0000000000"}


@pytest.mark.rule("TAX-05", "TAX-09", "TAX-08")
def test_goods_that_were_paid_back_need_no_tax_code_for_the_rest_to_be_invoiced() -> None:
    office = Office().sell("A", line(1, 6000, "JAR"), line(2, 4000)).sell("B", line(1, 6000, "JAR"))
    office.until(SIGNED + 3 * HOUR)
    assert [(alert["status"], alert["detail"]) for alert in office.alerts("TAX-08")] == [
        ("open", "it waits for sku/JAR")
    ] * 2
    office.refund("A", 6000, SIGNED + 4 * HOUR, line_no=1).refund("B", 6000, SIGNED + 4 * HOUR)
    office.until(SIGNED + 5 * HOUR).answer(SIGNED + 5 * HOUR)
    assert [row["amount_minor"] for row in office.asks] == [4000]
    assert (office.status("A"), office.status("B")) == ("issued", "void")
    assert [alert["status"] for alert in office.alerts("TAX-08")] == ["closed", "closed"]
    office.set(SIGNED + 6 * HOUR, kind="tax_code", sku="JAR", tax_code=CODE, exempt=False, rate_per_10000=1300)
    office.until(SIGNED + 8 * HOUR)
    assert len(office.asks) == 1


@pytest.mark.rule("TAX-03", "TAX-09")
def test_a_refused_wish_is_no_matter_once_all_went_back() -> None:
    office = Office().sell("A", invoice={"type": "enterprise", "name": "云帆"})
    assert [alert["status"] for alert in office.alerts("TAX-03")] == ["open"]
    office.refund("A", 9999, SIGNED + HOUR)
    assert [alert["status"] for alert in office.alerts("TAX-03")] == ["open"]
    office.refund("A", 1, SIGNED + 2 * HOUR)
    assert [alert["status"] for alert in office.alerts("TAX-03")] == ["closed"]


@pytest.mark.rule("TAX-06")
@pytest.mark.parametrize(("total", "amounts"), [(1_000_000, [1_000_000]), (1_000_001, [600_000, 400_001])])
def test_above_the_cap_it_is_split(total: int, amounts: list[int]) -> None:
    office = Office().sell("A", line(1, 600_000), line(2, total - 600_000)).until(SIGNED + 2 * HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == amounts
    names = [ask["invoice_id"] for ask in office.asks]
    assert [ask["related"] for ask in office.asks] == [[other for other in names if other != name] for name in names]


@pytest.mark.rule("TAX-06")
def test_a_place_has_a_cap_of_its_own() -> None:
    office = Office().set(T0, kind="invoice_cap", place="杭州", cap_minor=30_000)
    office.sell("A", line(1, 20_000, quantity=3), invoice={**ENTERPRISE, "place": "杭州"}).until(SIGNED + 2 * HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == [20_000] * 3
    office.answer(SIGNED + 2 * HOUR)
    assert office.status() == "issued"


@pytest.mark.rule("TAX-06")
@pytest.mark.parametrize(("price", "status"), [(200_000_000, "requested"), (200_000_001, "refused")])
def test_an_order_that_would_take_more_than_two_hundred_invoices_is_refused(price: int, status: str) -> None:
    office = Office().sell("A", line(1, price)).until(SIGNED + HOUR)
    assert (office.status(), len(office.asks)) == (status, 200 if status == "requested" else 0)


@pytest.mark.rule("TAX-07", "TAX-06")
def test_the_vector_of_three_orders_of_one_day_and_address() -> None:
    """6,000 + 5,000 + 200 CNY are 11,200: invoices of 6,000 and 5,200 that name each other."""
    office = Office()
    for number, price in enumerate((600_000, 500_000, 20_000)):
        office.sell(f"N{number}", line(1, price), signed=SIGNED + number * MINUTE)
    office.until(SIGNED + 15 * MINUTE)
    assert [ask["amount_minor"] for ask in office.asks] == [600_000, 520_000]
    one, two = office.asks
    assert (one["related"], two["related"]) == ([two["invoice_id"]], [one["invoice_id"]])
    assert len(two["order_guids"]) == 2
    assert two["waybills"] == ["W-N1", "W-N2"]
    office.answer(SIGNED + HOUR)
    assert [office.status(f"N{n}") for n in range(3)] == ["issued"] * 3


@pytest.mark.rule("TAX-07", "TAX-06")
@pytest.mark.parametrize("names", ["ABD", "NOP", "XYZ"])
def test_the_vector_holds_for_orders_signed_in_one_moment_whatever_their_numbers(names: str) -> None:
    office = Office()
    for name, price in zip(names, (600_000, 500_000, 20_000), strict=True):
        office.sell(name, line(1, price))
    assert [ask["amount_minor"] for ask in office.until(SIGNED + HOUR).asks] == [600_000, 520_000]


@pytest.mark.rule("TAX-07")
def test_orders_stand_on_an_invoice_in_the_order_of_their_signatures() -> None:
    office = Office().sell("LATER", signed=SIGNED + MINUTE).sell("FIRST").until(SIGNED + 2 * HOUR)
    guids = {state["order_no"]: guid for guid, state in office.states.items()}
    [ask] = office.asks
    assert ask["order_guids"] == [guids["FIRST"], guids["LATER"]]
    assert ask["invoice_id"] == f"{guids['FIRST']}/1"


@pytest.mark.rule("TAX-07")
@pytest.mark.parametrize(("price", "minutes"), [(50_000, 15), (49_999, 60)])
def test_500_yuan_trigger_the_group(price: int, minutes: int) -> None:
    office = Office().sell("A", line(1, price - 100)).sell("B", line(1, 100)).until(SIGNED + minutes * MINUTE - 1)
    assert not office.asks
    office.until(SIGNED + minutes * MINUTE)
    assert [ask["amount_minor"] for ask in office.asks] == [price]


@pytest.mark.rule("TAX-07")
@pytest.mark.parametrize(
    "other",
    [
        {"customer_id": "D"},
        {"address": {**ADDRESS, "street": "文三路 2"}},
        {"signed": SIGNED + DAY},
        {"invoice": {**ENTERPRISE, "name": "另一家公司"}},
        {"invoice": {**ENTERPRISE, "bank_account": "6226"}},
    ],
)
def test_orders_of_another_customer_day_address_or_profile_have_an_invoice_of_their_own(other: dict[str, Any]) -> None:
    office = Office().sell("A").sell("B", **other).until(SIGNED + 2 * DAY)
    assert [len(ask["order_guids"]) for ask in office.asks] == [1, 1]


@pytest.mark.rule("TAX-08")
@pytest.mark.parametrize(("answered", "alerts"), [(SIGNED + 2 * HOUR, []), (SIGNED + 2 * HOUR + 1, ["closed"])])
def test_an_invoice_that_is_not_issued_within_two_hours_is_told(answered: int, alerts: list[str]) -> None:
    office = Office().sell("A").until(SIGNED + HOUR).answer(answered)
    assert [alert["status"] for alert in office.alerts("TAX-08")] == alerts
    assert [alert["recipient"] for alert in office.alerts("TAX-08")] == ["finance"] * len(alerts)


@pytest.mark.rule("TAX-08", "ST-05")
def test_a_confirmation_without_a_courier_waits_and_a_person_can_resolve_it() -> None:
    office = Office().buy("A").request("A", **ENTERPRISE).pay("A", 10000)
    office.about("orders", "buyer_confirmed", SIGNED, "A").until(SIGNED + 3 * HOUR)
    assert not office.asks
    [alert] = office.alerts("TAX-08")
    assert "courier" in alert["detail"]
    office.about(
        "ops", "manual_command", SIGNED + 3 * HOUR, "A", command="resolve_conflict", operator="li", reason="ok"
    )
    office.until(SIGNED + 3 * HOUR + 1)
    assert len(office.asks) == 1, "it is late already: nothing is waited for"


@pytest.mark.rule("TAX-08", "FIN-13")
def test_a_price_that_only_the_lines_tell_is_to_be_paid_in_full_too() -> None:
    lines = [line(1, 6000), line(2, 5000)]
    office = Office().buy("A", *lines, total_minor=None, discounts=[{"text": "券", "amount_minor": 1000}])
    office.request("A", **ENTERPRISE).pay("A", 4000).sign("A").until(SIGNED + DAY)
    assert office.asks == []
    office.pay("A", 6000, SIGNED + DAY).until(SIGNED + DAY + HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == [10000]
    assert Played(office.runner).states["A"]["total_minor"] == 10000


@pytest.mark.rule("TAX-08", "TAX-09", "ST-05")
@pytest.mark.parametrize(("back", "alerts", "status"), [(10000, [], "void"), (9000, ["open"], "accepted")])
def test_nobody_waits_for_the_invoice_of_a_doubtful_delivery_that_was_paid_back(
    back: int, alerts: list[str], status: str
) -> None:
    office = Office().buy("A").request("A", **ENTERPRISE).pay("A", 10000)
    office.about("orders", "buyer_confirmed", SIGNED, "A").refund("A", back, SIGNED + HOUR).until(SIGNED + 3 * HOUR)
    assert [alert["status"] for alert in office.alerts("TAX-08")] == alerts
    assert (office.status(), office.asks) == (status, [])


@pytest.mark.rule("TAX-08")
def test_what_is_not_paid_in_full_is_not_invoiced() -> None:
    office = Office().buy("A").request("A", **ENTERPRISE).pay("A", 9000).sign("A").until(SIGNED + DAY)
    assert (office.asks, office.alerts("TAX-08")) == ([], [])
    office.pay("A", 1000, SIGNED + DAY).until(SIGNED + DAY + HOUR)
    assert len(office.asks) == 1


@pytest.mark.rule("TAX-09")
def test_a_partial_refund_and_then_the_rest() -> None:
    office = Office().sell("A", line(1, 6000), line(2, 4000)).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    office.refund("A", 4000, SIGNED + 2 * HOUR, line_no=2)
    red = office.asks[-1]
    assert (red["kind"], red["amount_minor"], red["original_code"]) == ("red", -4000, "F1")
    assert [(each["line_no"], each["amount_minor"], each["tax_minor"]) for each in red["lines"]] == [(2, -4000, -460)]
    office.answer(SIGNED + 3 * HOUR)
    assert office.status() == "partly_red"
    office.refund("A", 6000, SIGNED + 4 * HOUR).answer(SIGNED + 5 * HOUR)
    [invoice] = office.invoices.values()
    assert (invoice["status"], invoice["red_minor"]) == ("red", 10000)
    found = office.invoice()
    assert found is not None
    assert found["invoices"][0]["red_codes"] == ["F2", "F3"]
    state = Played(office.runner).states["A"]
    assert "invoice_red" in state["flags"]
    assert invoice_sentence(state) == "red; F1; red F2, F3"


@pytest.mark.rule("TAX-09", "FIN-06")
def test_lines_without_numbers_have_those_of_the_ledger_gifts_counted() -> None:
    gift = {**line(1, 0, "TEA"), "is_gift": True}
    lines = [{**each, "line_no": None} for each in (gift, line(2, 6000), line(3, 4000, "BAG"))]
    office = Office().sell("A", *lines).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    sold = [entry["line_no"] for entry in office.out("ledger-entries") if entry["kind"] == "revenue"]
    assert [each["line_no"] for each in office.asks[0]["lines"]] == sold == [2, 3]
    office.refund("A", 1000, SIGNED + 2 * HOUR, line_no=2)
    assert [each["line_no"] for each in office.asks[-1]["lines"]] == [2]


@pytest.mark.rule("TAX-09")
def test_a_refund_before_the_invoice_lowers_it_and_a_full_one_makes_it_void() -> None:
    office = Office().sell("A").sell("B").refund("A", 3000, SIGNED + MINUTE).refund("B", 10000, SIGNED + MINUTE)
    office.until(SIGNED + 3 * HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == [7000]
    assert office.status("B") == "void"
    assert [alert["order_guid"] for alert in office.alerts("TAX-08")] == [office.asks[0]["order_guids"][0]]


@pytest.mark.rule("TAX-09")
def test_a_refund_while_the_invoice_is_under_way_waits_for_it() -> None:
    office = Office().sell("A").until(SIGNED + HOUR).refund("A", 3000, SIGNED + HOUR)
    assert [ask["kind"] for ask in office.asks] == ["issue"]
    office.answer(SIGNED + HOUR)
    assert [(ask["kind"], ask["amount_minor"]) for ask in office.asks] == [("issue", 10000), ("red", -3000)]


@pytest.mark.rule("TAX-09")
def test_more_refunded_than_was_invoiced_is_refused_and_told() -> None:
    office = Office().sell("A").until(SIGNED + HOUR).answer(SIGNED + HOUR).refund("A", 12000, SIGNED + 2 * HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == [10000, -10000]
    assert ("TAX-09", "refused", "refunded 2000 minor units more than was invoiced") in office.audit()
    [alert] = office.alerts("TAX-09")
    assert (alert["status"], alert["recipient"]) == ("open", "finance")


@pytest.mark.rule("TAX-09")
def test_what_was_paid_above_the_price_goes_back_without_a_red_invoice() -> None:
    office = Office().sell("A").pay("A", 2000, SIGNED).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    office.refund("A", 2500, SIGNED + 2 * HOUR)
    assert [ask["amount_minor"] for ask in office.asks] == [10000, -500]


@pytest.mark.rule("TAX-10")
def test_a_number_that_begins_with_zeros_is_the_same_from_input_to_output() -> None:
    number = "012345678901234"
    office = Office().sell("A", invoice={**ENTERPRISE, "tax_number": number}).until(SIGNED + HOUR)
    [ask] = office.asks
    office.answer(SIGNED + HOUR)
    [invoice] = office.invoices.values()
    assert (ask["tax_number"], invoice["tax_number"]) == (number, number)
    assert not office.alerts("TAX-10")


@pytest.mark.rule("TAX-10")
def test_a_number_that_the_sender_or_the_service_altered_is_told() -> None:
    number = "012345678901234"
    raw = f'{{"taxNo": "{number}"}}'
    office = Office().buy("A").request("A", raw=raw, **{**ENTERPRISE, "tax_number": number[1:]})
    assert office.audit() == [("TAX-10", "refused", "tax_number_altered: the number is not what source was given")]
    [alert] = office.alerts("TAX-10")
    assert (alert["title"], alert["recipient"]) == ("tax_number_altered", "tax accountant and tech lead")
    assert number[1:] not in str(alert)
    office.sell("B", invoice={**ENTERPRISE, "tax_number": number}).until(SIGNED + HOUR)
    office.answer(SIGNED + HOUR, tax_number=number[1:])
    assert len(office.alerts("TAX-10")) == 2


@pytest.mark.rule("TAX-10", "TAX-03")
def test_what_is_told_of_an_altered_number_ends_once_the_right_one_is_asked_for() -> None:
    number = "012345678901234"
    right, raw = {**ENTERPRISE, "tax_number": number}, f'{{"taxNo": "{number}"}}'
    office = Office().buy("A").request("A", raw=raw, **{**right, "tax_number": number[1:]})
    assert [alert["status"] for alert in office.alerts("TAX-10")] == ["open"]
    office.request("A", T0 + 2 * HOUR, raw=raw, **right)
    assert [alert["status"] for alert in office.alerts("TAX-10") + office.alerts("TAX-03")] == ["closed"] * 2

    profile = {"kind": "invoice_profile", "customer_id": "K", **right, "raw": raw}
    office.set(T0, **{**profile, "tax_number": number[1:]})
    assert {alert["alert_key"]: alert["status"] for alert in office.alerts("TAX-10")}["TAX-10/customer/K"] == "open"
    office.set(T0 + HOUR, **profile)
    assert {alert["status"] for alert in office.alerts("TAX-10")} == {"closed"}


@pytest.mark.rule("TAX-10", "TAX-16")
def test_a_number_that_the_adapter_found_altered_is_no_matter_once_the_invoice_is_asked_for_again() -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    office.answer(SIGNED + HOUR, "invoice_rejected", error_code="tax_number_altered", error="it does not fit its seal")
    assert [alert["status"] for alert in office.alerts("TAX-10")] == ["open"]
    office.request("A", SIGNED + 2 * HOUR, **ENTERPRISE)
    assert [alert["status"] for alert in office.alerts("TAX-10")] == ["closed"]


@pytest.mark.rule("TAX-12")
@pytest.mark.parametrize("ends", ["issued", "refunded"])
def test_the_warning_of_a_heading_ends_with_the_invoice(ends: str) -> None:
    office = Office().sell("N0", invoice={"type": "个人", "name": "李雷"}).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    office.sell("N1", invoice={"type": "个人", "name": "韩梅梅"}, signed=SIGNED + DAY)
    assert [alert["status"] for alert in office.alerts("TAX-12")] == ["open"]
    if ends == "issued":
        office.until(SIGNED + DAY + HOUR).answer(SIGNED + DAY + HOUR)
    else:
        office.refund("N1", 10000, SIGNED + DAY + MINUTE)
    assert [alert["status"] for alert in office.alerts("TAX-12")] == ["closed"]


@pytest.mark.rule("TAX-12")
def test_a_heading_that_the_customer_never_had_warns_and_goes_out() -> None:
    office = Office()
    for number, name in enumerate(("李雷", "李雷", "韩梅梅")):
        office.sell(f"N{number}", invoice={"type": "个人", "name": name}, signed=SIGNED + number * DAY)
        assert len(office.alerts("TAX-12")) == (number == 2)
    office.until(SIGNED + 4 * DAY)
    assert [ask["buyer_name"] for ask in office.asks] == ["李雷", "李雷", "韩梅梅"]


@pytest.mark.rule("TAX-13", "FIN-12")
def test_order_contract_and_invoice_are_matched_each_month() -> None:
    office = Office()
    contract = {"kind": "contract", "channel": "tmall", "buyer_name": ENTERPRISE["name"]}
    for name, amount in (("FITS", 10001), ("DEAR", 10002)):
        office.set(T0 - 1, contract_no=name, amount_minor=amount, order_no=name, **contract)
    office.set(T0 - 1, contract_no="X", amount_minor=10000, order_no="NAME", **{**contract, "buyer_name": "别家"})
    office.set(T0 - 1, contract_no="X", amount_minor=10000, order_no="ALONE", **contract)
    for name in ("FITS", "DEAR", "NAME", "NONE"):
        office.sell(name)
    office.buy("ALONE").pay("ALONE", 10000).sign("ALONE")
    office.sell("PERSON", invoice={"type": "person"})
    office.until(SIGNED + HOUR).answer(SIGNED + HOUR).until(SIGNED + 20 * DAY)
    assert {row["order_no"]: row["wrong"] for row in office.report("TAX-13")} == {
        "DEAR": "order and contract differ",
        "NAME": "buyers differ",
        "NONE": "no contract",
        "ALONE": "no invoice",
    }
    assert not office.dead


@pytest.mark.rule("TAX-14")
def test_profiles_that_nobody_used_for_twelve_months_are_listed_and_fill_nothing_in() -> None:
    begun = calendar.at(2025, 1, 21, 8)
    office = Office()
    office.set(begun, kind="invoice_profile", customer_id="C", **ENTERPRISE)
    office.set(begun + 30 * DAY, kind="invoice_profile", customer_id="D", **ENTERPRISE)
    office.buy("A").request("A", calendar.at(2026, 1, 21, 23), type="enterprise")
    assert office.audit()[0][1] == "accepted", "exactly twelve months"
    office.until(calendar.at(2026, 3, 3, 7))
    assert office.report("TAX-14") == [{"customer": "customer/D", "last_used": "2025-02-20"}]
    office.buy("B", customer_id="D").request("B", calendar.at(2026, 3, 4), type="enterprise")
    [(_, decision, reason), *_] = office.audit("B")
    assert decision == "refused"
    assert reason is not None
    assert reason.endswith("the profile was not used for 12 months (TAX-14)")


@pytest.mark.rule("TAX-15")
def test_the_deduction_list_of_the_month_is_there_by_the_5th() -> None:
    office = Office().set(T0, kind="tax_code", sku="TEA", tax_code=CODE, exempt=True, rate_per_10000=0)
    office.sell("A", line(1, 6000), line(2, 4000, "TEA")).until(SIGNED + HOUR).answer(SIGNED + HOUR)
    office.refund("A", 4000, SIGNED + DAY, line_no=2).answer(SIGNED + DAY)
    office.until(calendar.at(2026, 2, 5) - 1)
    [record] = [row for row in office.out("reports") if row["name"] == "TAX-15"]
    assert record["report_id"] == "TAX-15/2026-01"
    name = {"customer_name": ENTERPRISE["name"]}
    assert office.report("TAX-15") == [
        {**name, "invoice_code": "F1", "amount_minor": 4000, "tax_rate_per_10000": 0},
        {**name, "invoice_code": "F1", "amount_minor": 6000, "tax_rate_per_10000": 1300},
        {**name, "invoice_code": "F2", "amount_minor": -4000, "tax_rate_per_10000": 0},
    ]


@pytest.mark.rule("TAX-15", "TAX-13")
def test_the_list_comes_in_pages_and_once_more_for_what_is_known_late(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(data.tax(), page=2)
    monkeypatch.setattr(sys.modules["streams.agents.invoices"], "_SETTINGS", small)
    series = sys.modules["streams.agents.reports"]._SERIES
    monkeypatch.setitem(series, "invoices", (small, series["invoices"][1]))
    office = Office(new_runner(partitions=1))
    for number in range(5):
        office.sell(f"N{number}", customer_id=f"C{number}")
    office.until(SIGNED + HOUR)
    last = office.asks[-1]
    for ask in office.asks[:-1]:
        office.answered += 1
        office.reply(ask, SIGNED + HOUR)
    office.until(calendar.at(2026, 2, 3, 7))
    pages = {row["report_id"]: json.loads(row["rows"]) for row in office.out("reports") if row["name"] == "TAX-15"}
    assert {name: len(rows) for name, rows in pages.items()} == {"TAX-15/2026-01": 2, "TAX-15/2026-01/2": 2}
    assert [row["wrong"] for row in office.report("TAX-13")].count("no invoice, no contract") == 1
    office.reply(last, calendar.at(2026, 1, 31, 23), invoice_code="LATE").until(calendar.at(2026, 2, 3, 9))
    pages = {row["report_id"]: json.loads(row["rows"]) for row in office.out("reports") if row["name"] == "TAX-15"}
    assert sorted(len(rows) for rows in pages.values()) == [1, 2, 2]
    assert [row["wrong"] for row in office.report("TAX-13")].count("no invoice, no contract") == 0


@pytest.mark.rule("TAX-05")
def test_every_sku_is_asked_for_though_no_price_was_told_and_little_is_paid_yet() -> None:
    office = Office().buy("A", line(1, 0), line(2, 0, "CUP"), total_minor=None).pay("A", 1, T0 + 1)
    office.request("A", **ENTERPRISE).until(SIGNED)
    assert office.status() == "blocked", "nobody has set a code for CUP"


@pytest.mark.rule("TAX-16")
@pytest.mark.parametrize(("last", "told"), [(10 * MINUTE, 0), (10 * MINUTE - 1, 1)])
def test_the_same_error_three_times_in_ten_minutes(last: int, told: int) -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    [ask] = office.asks
    begun = SIGNED + HOUR
    for attempt, at in enumerate((begun, begun + 1, begun + last), 1):
        office.reply(ask, at, "attempt_failed", error_code="busy", attempt=attempt)
        office.reply(ask, at, "attempt_failed", error_code="busy", attempt=attempt)  # told twice, counted once
    found = [alert for alert in office.alerts("TAX-16") if alert["alert_key"] == "TAX-16/tax/busy"]
    assert len(found) == told


@pytest.mark.rule("TAX-16")
@pytest.mark.parametrize(("events", "told"), [(("a", "a", "b", "b", "a"), 0), (("a", "b", "a", "c"), 1)])
def test_attempts_without_a_number_count_by_their_events(events: tuple[str, ...], told: int) -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    [ask] = office.asks
    for second, event in enumerate(events):
        about = {"event_id": event, "event_time": SIGNED + HOUR + second, "source": "gateway", "error_code": "busy"}
        said = {**about, "event_type": "attempt_failed", "request_id": ask["request_id"], "reply_to": ask["reply_to"]}
        office.runner.send("tax", said, ask["request_id"])
        run(office.runner)
    found = [alert for alert in office.alerts("TAX-16") if alert["alert_key"] == "TAX-16/tax/busy"]
    assert len(found) == told


@pytest.mark.rule("TAX-16", "TAX-08")
def test_a_rejected_invoice_is_told_and_may_be_asked_for_again() -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    office.answer(SIGNED + HOUR, "invoice_rejected", error_code="E7", error="unknown bank")
    assert office.status() == "rejected"
    [alert] = [alert for alert in office.alerts("TAX-16") if "rejected" in alert["alert_key"]]
    assert (alert["status"], alert["recipient"]) == ("open", "finance and tech lead")
    assert "unknown bank" not in str(alert), "a service may name the buyer"
    assert [row["error"] for row in office.invoices.values()] == ["E7: unknown bank"]
    office.request("A", SIGNED + 2 * HOUR, **{**ENTERPRISE, "bank": "工商银行"}).until(SIGNED + 2 * HOUR + MINUTE)
    assert [ask["invoice_id"][-4:] for ask in office.asks] == [office.asks[0]["invoice_id"][-4:], "/1~2"]
    office.answer(SIGNED + 3 * HOUR)
    assert office.status() == "issued"
    assert sum(each["amount_minor"] for each in office.invoices.values() if each["status"] == "issued") == 10000


@pytest.mark.rule("TAX-17")
def test_a_parcel_that_leaves_later_is_on_the_invoice_too() -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    office.about("wms", "loaded", SIGNED + 2 * HOUR, "A", waybill_no="W-2")
    [invoice] = office.invoices.values()
    assert invoice["waybills"] == ["W-A", "W-2"]


@pytest.mark.rule("TAX-03", "TAX-01")
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("911100006000373410", "is no unified social credit code: InvalidChecksum"),
        (USCC.lower(), "holds something else than digits and capital letters"),
        (f" {USCC}", "holds something else than digits and capital letters"),
        (USCC[1:], "has 17 characters"),
    ],
)
def test_a_wrong_tax_number_is_refused_audited_and_never_mended(number: str, reason: str) -> None:
    office = Office().sell("A", invoice={**ENTERPRISE, "tax_number": number}).until(SIGNED + DAY)
    assert office.audit() == [("TAX-03", "refused", f"the tax number {reason}")]
    assert not office.asks
    office.set(T0, kind="invoice_profile", customer_id="X", **{**ENTERPRISE, "tax_number": number})
    assert office.dead == [f"the tax number {reason}"]


@pytest.mark.rule("TAX-01", "ID-08")
def test_requests_for_an_unknown_order_or_twice_have_one_outcome() -> None:
    office = Office().request("GHOST", **ENTERPRISE).until(T0 + 2 * DAY)
    assert [alert["title"] for alert in office.alerts("ID-08")] == ["unresolved events"]
    office = Office().buy("A").request("A", **ENTERPRISE).request("A", T0 + 2 * HOUR, **ENTERPRISE)
    assert [entry for entry in office.audit(topic="orders") if entry[0] == "TAX-01"] == [
        ("TAX-01", "accepted", None),
        ("TAX-01", "refused", "an invoice was asked for before: it is accepted"),
    ]


def test_an_answer_to_nothing_is_a_dead_letter_and_another_invoice_for_one_request_an_alert() -> None:
    office = Office().sell("A").until(SIGNED + HOUR)
    [ask] = office.asks
    office.reply({**ask, "request_id": "other"}, SIGNED + HOUR)
    assert office.dead == ["an answer to a request that was never made, or has ended"]
    for code in ("F1", "F1", "F9"):
        office.reply(ask, SIGNED + HOUR, invoice_code=code)
    assert [alert["title"] for alert in office.alerts("TAX-08")] == ["invoice issued twice"]
    assert [row["invoice_code"] for row in office.invoices.values()] == ["F1"]


def test_events_told_twice_change_nothing() -> None:
    class Twice(Office):
        def say(self, *args: Any, **fields: Any) -> Office:
            super().say(*args, **fields)
            self.told -= 1
            super().say(*args, **fields)
            return self

    def story(office: Office) -> list[dict[str, Any]]:
        office.sell("A").sell("B", line(1, 70_000)).until(SIGNED + HOUR).answer(SIGNED + HOUR)
        office.refund("B", 30_000, SIGNED + 2 * HOUR).answer(SIGNED + 3 * HOUR)
        return [*office.asks, *office.invoices.values(), *office.alerts("TAX-09")]

    assert story(Twice()) == story(Office())


@pytest.mark.parametrize("seed", range(3))
def test_whatever_dies_the_outputs_are_the_same(seed: int) -> None:
    def story(office: Office) -> list[str]:
        for number in range(4):
            office.sell(f"N{number}", line(1, 400_000), line(2, 300_000 + number), signed=SIGNED + number * MINUTE)
        office.refund("N0", 1000, SIGNED + 5 * MINUTE).until(SIGNED + 30 * MINUTE).answer(SIGNED + HOUR)
        office.refund("N1", 700_001, SIGNED + 2 * HOUR).answer(SIGNED + 3 * HOUR)
        office.until(SIGNED + 20 * DAY)
        names = ("invoices", "tax-requests", "alerts", "reports")
        return sorted(str(row) for name in names for row in office.out(name))

    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == "invoices" and chance.random() < 0.05:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    assert story(Office(new_runner(fault=fault))) == story(Office())
    assert died > 5


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(("waited", "alerts"), [(30_000, []), (30_001, ["BRK-07/invoice"])])
def test_a_branch_that_says_nothing_for_30_s_is_told_to_the_platform(
    waited: int, alerts: list[str], later: bool
) -> None:
    """With no invoices agent at all; of an order that wants no invoice nothing is said."""
    others = [agent for agent in agents.ALL if agent.name != "invoices"]
    office = Office(LocalRunner(others, topology.load()))
    if later:
        office.buy("A").buy("B").request("A", T0 + HOUR, **ENTERPRISE)
    else:
        office.buy("A", invoice=ENTERPRISE).buy("B")
    office.until(T0 + later * HOUR + waited)
    found = office.alerts("BRK-07")
    assert [alert["alert_key"].rpartition("/")[0] for alert in found] == alerts
    assert [alert["recipient"] for alert in found] == ["platform"] * len(alerts)


@pytest.mark.rule("BRK-07")
def test_an_agent_that_answers_in_time_is_no_alert() -> None:
    office = Office().buy("A", invoice=ENTERPRISE).buy("B", invoice={"kind": "special"}).until(T0 + HOUR)
    assert office.alerts("BRK-07") == []
    assert [office.status("A"), office.status("B")] == ["accepted", "refused"]
