"""The rows of invoices end: 400 days after the last word, and what comes later has an outcome of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.agents.invoices import invoices
from streams.domain import calendar
from streams.domain.tax import desk
from tests.scenarios.invoicing import DAY, ENTERPRISE, HOUR, SIGNED, T0, Office, line
from tests.scenarios.play import new_runner

JANUARY, MEMORY = calendar.at(2026, 1, 1), 400 * DAY
OF_ORDERS = (desk.ORDERS, desk.GROUPS, desk.INVOICES, desk.REQUESTS, desk.ISSUED, desk.UNMATCHED)


class Shop(Office):
    def __init__(self) -> None:
        super().__init__(new_runner(partitions=1))

    @property
    def rows(self) -> dict[str, list[str]]:
        """Keys of the rows of orders, by table."""
        found = {name: sorted(map(str, self.runner.table("invoices", name))) for name in OF_ORDERS}
        return {name: keys for name, keys in found.items() if keys}

    @property
    def ends(self) -> int:
        """Timers that end rows."""
        tasks = [task for whole in self.runner._tasks.values() for task in whole.tasks]
        [task] = [task for task in tasks if task.agent is invoices]
        return sum(bytes(row)[8:].startswith(f"{desk.END}\0".encode()) for row in task.timers.by_due)

    def invoiced(self) -> Shop:
        self.sell("A").until(SIGNED + HOUR).answer(SIGNED + HOUR)
        return self


@pytest.mark.rule("TAX-09")
@pytest.mark.parametrize(("at", "ended"), [(MEMORY - 1, False), (MEMORY, True)])
def test_the_rows_of_an_issued_invoice_end_400_days_after_the_last_word(at: int, ended: bool) -> None:
    shop = Shop().invoiced()
    shop.refund("A", 3000, SIGNED + DAY).answer(SIGNED + DAY + HOUR)
    assert set(shop.rows) == {"orders", "invoices", "requests", "issued", "unmatched"}
    assert len(shop.rows["requests"]) == len(shop.rows["issued"]) == 2
    shop.until(SIGNED + DAY + HOUR + at)
    assert (shop.rows == {}) == ended
    assert shop.ends == (not ended)
    assert len(shop.out("invoices")) == 4, "what was published stays"
    assert not shop.dead


@pytest.mark.rule("TAX-09")
def test_a_refund_within_the_year_still_finds_its_invoice_and_begins_the_time_anew() -> None:
    shop = Shop().invoiced()
    at = SIGNED + HOUR + MEMORY - 1
    shop.refund("A", 3000, at).answer(at)
    assert shop.asks[-1]["kind"] == "red"
    assert shop.status() == "partly_red"
    shop.until(at + MEMORY - 1)
    assert shop.rows
    shop.until(at + MEMORY)
    assert shop.rows == {}


@pytest.mark.rule("TAX-09")
def test_a_refund_after_that_is_refused_audited_and_told_to_finance() -> None:
    shop = Shop().invoiced()
    before, at = shop.invoice(), SIGNED + HOUR + MEMORY
    shop.refund("A", 3000, at)
    assert [(alert["status"], alert["recipient"]) for alert in shop.alerts("TAX-09")] == [("open", "finance")]
    shop.refund("A", 2000, at + DAY)
    assert [ask["kind"] for ask in shop.asks] == ["issue"]
    reasons = [f"refunded {n} minor units after its invoices were forgotten: no red one is made" for n in (3000, 2000)]
    assert shop.audit()[-2:] == [("TAX-09", "refused", reason) for reason in reasons]
    [alert] = shop.alerts("TAX-09")
    assert (alert["count"], alert["first_detail"]) == (2, reasons[0])
    assert shop.invoice() == {**(before or {}), "reason": reasons[1]}
    assert (shop.rows, shop.dead) == ({}, [])


@pytest.mark.rule("TAX-09", "TAX-13")
def test_what_else_comes_after_that_has_an_outcome() -> None:
    shop = Shop().invoiced()
    [ask], at = shop.asks, SIGNED + HOUR + MEMORY
    shop.until(at).reply(ask, at)
    assert shop.dead == ["an answer to a request that was never made, or has ended"]
    shop.request("A", at + 1, **ENTERPRISE)
    assert shop.audit(topic="orders")[-1] == ("TAX-01", "refused", "an invoice was asked for before: it is issued")
    contract = {"kind": "contract", "channel": "tmall", "buyer_name": "x", "contract_no": "1", "amount_minor": 1}
    shop.set(at + 2, order_no="A", **contract)
    assert shop.audit()[-1][:2] == ("TAX-13", "refused")
    said = {"command": "retry_red_invoice", "operator": "li", "reason": "r"}
    shop.about("ops", "manual_command", at + 3, "A", **said)
    assert shop.audit()[-1] == ("TAX-09", "refused", "its invoices were forgotten: none was left rejected")
    audited = len(shop.audit())
    shop.about("wms", "loaded", at + 4, "A", waybill_no="W-2")
    assert (len(shop.audit()), shop.rows, shop.alerts("TAX-09")) == (audited, {}, [])


def under_way(shop: Shop) -> None:
    shop.sell("A").until(SIGNED + HOUR)


def rejected(shop: Shop) -> None:
    under_way(shop)
    shop.answer(SIGNED + HOUR, "invoice_rejected", error_code="E")


def red_under_way(shop: Shop) -> None:
    shop.invoiced().refund("A", 1, SIGNED + HOUR)


def red_rejected(shop: Shop) -> None:
    red_under_way(shop)
    shop.answer(SIGNED + HOUR, "invoice_rejected", error_code="E")


def doubtful(shop: Shop) -> None:
    shop.buy("A").request("A", **ENTERPRISE).pay("A", 10000)
    shop.about("orders", "buyer_confirmed", SIGNED, "A")


def blocked(shop: Shop) -> None:
    shop.sell("A", line(1, 100, "CUP"))


def refused_in_part(shop: Shop) -> None:
    """Two invoices, one of them rejected, and what was asked for then was refused."""
    shop.sell("A", line(1, 600_000), line(2, 600_000)).until(SIGNED + HOUR)
    shop.reply(shop.asks[0], SIGNED + HOUR)
    shop.reply(shop.asks[1], SIGNED + HOUR, "invoice_rejected", error_code="E")
    shop.request("A", SIGNED + 2 * HOUR, type="enterprise", name="x")
    assert shop.status() == "refused"


@pytest.mark.rule("TAX-08", "TAX-09")
@pytest.mark.parametrize(
    "story", [under_way, rejected, red_under_way, red_rejected, doubtful, blocked, refused_in_part]
)
def test_while_somebody_owes_something_no_row_ends(story: Callable[[Shop], None]) -> None:
    shop = Shop()
    story(shop)
    before = shop.rows
    shop.until(SIGNED + 2 * HOUR + MEMORY + DAY)
    assert shop.rows == before
    assert shop.ends == 0, "and nothing looks at it day by day"


@pytest.mark.rule("TAX-09")
def test_the_word_that_ends_what_was_owed_begins_the_time_anew() -> None:
    shop = Shop()
    red_rejected(shop)
    at = SIGNED + 2 * HOUR + MEMORY + DAY
    said = {"command": "retry_red_invoice", "operator": "li", "reason": "r"}
    shop.until(at).about("ops", "manual_command", at, "A", **said)
    shop.answer(at + HOUR, invoice_code="R").until(at + HOUR + MEMORY - 1)
    assert shop.status() == "partly_red"
    assert shop.rows
    shop.until(at + HOUR + MEMORY)
    assert shop.rows == {}


@pytest.mark.rule("TAX-08", "TAX-01")
def test_a_wish_for_an_order_that_came_to_nothing_lapses_and_may_be_had_again() -> None:
    shop = Shop()
    shop.buy("A").request("A", **ENTERPRISE).until(T0 + HOUR + MEMORY - 1)
    assert shop.status() == "accepted"
    shop.until(T0 + HOUR + MEMORY)
    assert shop.rows == {}
    reason = "not to be issued for 400 days: it has to be asked for again"
    assert shop.audit()[-1] == ("TAX-08", "refused", reason)
    at = T0 + 402 * DAY
    shop.request("A", at, **ENTERPRISE).pay("A", 10000, at).sign("A", at + DAY).until(at + DAY + HOUR)
    assert shop.audit()[-2][:2] == ("TAX-03", "accepted"), "no copy of what it was told before"
    assert [ask["amount_minor"] for ask in shop.asks] == [10000]


@pytest.mark.rule("TAX-03")
def test_a_refused_wish_ends_with_its_alert() -> None:
    shop = Shop()
    shop.sell("A", invoice={"kind": "special"}).until(SIGNED + MEMORY + DAY)
    assert shop.rows == {}
    assert [alert["status"] for alert in shop.alerts("TAX-03")] == ["closed"]
    assert len(shop.audit()) == 1, "the order knows that it was refused"


@pytest.mark.rule("TAX-07")
def test_an_invoice_of_two_orders_ends_with_the_last_of_them() -> None:
    shop = Shop()
    shop.sell("A").sell("B").until(SIGNED + HOUR).answer(SIGNED + HOUR)
    shop.refund("B", 10000, SIGNED + 50 * DAY).answer(SIGNED + 50 * DAY)
    whole = shop.rows
    shop.until(SIGNED + 50 * DAY + MEMORY - 1)
    assert len(shop.rows["orders"]) == 1
    assert (shop.rows["invoices"], shop.rows["requests"]) == (whole["invoices"], whole["requests"])
    shop.until(SIGNED + 50 * DAY + MEMORY)
    assert shop.rows == {}


@pytest.mark.rule("TAX-13")
def test_an_order_with_a_contract_alone_ends_silently_and_a_refund_of_it_is_no_alert() -> None:
    shop = Shop()
    contract: dict[str, Any] = {"contract_no": "X", "amount_minor": 10000, "buyer_name": "x", "order_no": "A"}
    shop.buy("A").pay("A", 10000).sign("A").set(SIGNED, kind="contract", channel="tmall", **contract)
    assert set(shop.rows) == {"orders", "unmatched"}
    shop.until(SIGNED + MEMORY).refund("A", 1, SIGNED + MEMORY + DAY)
    assert (shop.rows, shop.audit(), shop.alerts("TAX-09"), shop.dead) == ({}, [], [], [])


@pytest.mark.rule("TAX-13", "TAX-15")
@pytest.mark.parametrize(("at", "again"), [(JANUARY + MEMORY - 1, 1), (JANUARY + MEMORY, 0)])
def test_a_month_whose_rows_may_have_ended_is_not_told_again(at: int, again: int) -> None:
    shop = Shop()
    contract = {"kind": "contract", "channel": "tmall", "buyer_name": ENTERPRISE["name"], "contract_no": "X"}
    shop.set(T0 - 1, order_no="A", amount_minor=10000, **contract)
    shop.invoiced().refund("A", 1, SIGNED + 100 * DAY).answer(SIGNED + 100 * DAY)

    def told() -> int:
        parts = [part for _, part in shop.runner.output("report-facts") if part is not None]
        return sum(part["series"] == "invoices" and part["period"] == "2026-01" for part in parts)

    shop.until(at - 1)
    before = told()
    assert before
    shop.set(at, order_no="A", amount_minor=5, **contract).until(at + 2 * HOUR)
    assert told() == before + again
