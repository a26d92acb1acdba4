"""The three-way match on real orders: of Olist, those whose payments are not items and freight. Not bundled."""

from __future__ import annotations

from collections import Counter

import pytest

from streams import topology
from streams.agents.alerts import alerts
from streams.agents.channels import channels
from streams.agents.identity import identity
from streams.agents.intake import intake
from streams.agents.match import match
from streams.agents.reports import reports
from streams.convert import olist
from streams.convert.common import minor
from streams.engine.local import LocalRunner
from streams.lines import code_of
from tests.scenarios.play import Played, flood
from tests.scenarios.test_ledger_data import data_of, table
from tests.support.effort import SOAK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1"),
]

TOLD = ("order_created", "payment_succeeded", "picked_up")


@pytest.mark.rule("FIN-04")
def test_of_the_olist_orders_exactly_those_whose_payments_are_not_items_and_freight_are_told() -> None:
    root = data_of("olist")
    codecs = topology.load()
    lines = sorted(
        (one for one in olist.convert(root, sort="source") if one["value"]["event_type"] in TOLD),
        key=lambda one: one["value"]["event_time"],
    )
    runner = LocalRunner([intake, channels, identity, match, reports, alerts], codecs)
    flood(runner, ((one["topic"], codecs.encoder(one["topic"])(one["value"]), code_of(one["value"])) for one in lines))
    runner.advance(1_600_000_000_000)

    worth, paid = Counter[str](), Counter[str]()
    for row in table(root, "order_items_for_8135"):
        worth[row["order_id"]] += minor(row["price"]) + minor(row["freight_value"])
    for row in table(root, "order_payments_full"):
        paid[row["order_id"]] += minor(row["payment_value"])
    dates = {row["order_id"]: row for row in table(root, "orders_union_full_timestamps")}
    approved = {name for name, row in dates.items() if row["order_approved_at"]}
    moved = {name for name, row in dates.items() if row["order_delivered_carrier_date"]}
    # An order whose items are not in the table has the price that is to be paid.
    price = {name: worth[name] if name in worth else paid[name] for name in approved | moved}
    wrong = {
        name
        for name, sold in price.items()
        if abs((paid[name] if name in approved else 0) - sold) * 1000 > 5 * sold
    }
    assert len(wrong) == 23, "22 whose payments differ, and one that was shipped and never paid"

    numbers = {fact["order_guid"]: fact["order_no"] for _, fact in runner.output("order-facts")}
    differ = runner.table("match", "open").values()
    assert {numbers[guid] for guid, _, _, sales, _, _, _, gap, *_ in differ if gap * 1000 > 5 * (sales or 0)} == wrong
    live = {alert["order_guid"] for alert in Played(runner).alerts("FIN-04") if alert["status"] != "closed"}
    assert live == {entry[0] for entry in differ if entry[8] == 2}
