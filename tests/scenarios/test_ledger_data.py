"""The ledger on real orders: Tmall's report to the cent, and the Olist orders whose payments are not their price.

The data sets are not bundled. Only the agents on the way to the ledger play: the others add nothing to it.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from streams import topology
from streams.agents.alerts import alerts
from streams.agents.channels import channels
from streams.agents.identity import identity
from streams.agents.intake import intake
from streams.agents.ledger import ledger
from streams.convert import olist, tmall
from streams.convert.common import Line, minor
from streams.engine.local import LocalRunner
from streams.lines import code_of
from tests.scenarios.play import Played, flood
from tests.scenarios.test_ledger import balances
from tests.support.effort import SOAK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1"),
]


def data_of(name: str) -> Path:
    root = Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[3] / "shared") / "data" / name
    if not root.is_dir():
        pytest.skip("reference data not at hand (set OMS_REFERENCE)")
    return root


def posted(lines: Iterable[Line], end: int) -> Played:
    codecs = topology.load()
    runner = LocalRunner([intake, channels, identity, ledger, alerts], codecs)
    flood(runner, ((one["topic"], codecs.encoder(one["topic"])(one["value"]), code_of(one["value"])) for one in lines))
    runner.advance(end)
    return Played(runner)


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.csv.gz") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8-sig")))


@pytest.mark.rule("FIN-07")
def test_cash_is_what_was_paid_less_what_was_refunded_to_the_cent_as_tmall_reports_it() -> None:
    root = data_of("tmall_1111")
    rows = [{name.strip(): value for name, value in row.items()} for row in table(root, "tmall_order_report")]
    played = posted(tmall.convert(root), 1_600_000_000_000)
    entries = played.output("ledger-entries")
    assert len({entry["entry_id"] for entry in entries}) == len(entries)
    kept = sum(minor(row["买家实际支付金额"]) for row in rows)
    back = sum(minor(row["退款金额"]) for row in rows if row["订单付款时间"].strip())
    kinds = Counter[str]()
    for entry in entries:
        kinds[entry["kind"]] += entry["amount_minor"]
    assert kinds == {"receipt": kept + back, "refund": -back}
    assert balances(entries) == {"cash": kept, "customer_advances": -kept}
    assert not played.alerts("FIN-06")
    assert not played.alerts("FIN-07")


@pytest.mark.rule("FIN-06")
def test_of_the_olist_orders_exactly_those_22_whose_payments_are_not_items_and_freight_are_told() -> None:
    root = data_of("olist")
    lines = [
        one
        for one in olist.convert(root, sort="source")
        if one["topic"] == "payments" or one["value"]["event_type"] == "order_created"
    ]
    played = posted(sorted(lines, key=lambda one: one["value"]["event_time"]), 1_600_000_000_000)
    worth, paid = Counter[str](), Counter[str]()
    for row in table(root, "order_items_for_8135"):
        worth[row["order_id"]] += minor(row["price"]) + minor(row["freight_value"])
    for row in table(root, "order_payments_full"):
        paid[row["order_id"]] += minor(row["payment_value"])
    approved = {row["order_id"] for row in table(root, "orders_union_full_timestamps") if row["order_approved_at"]}
    wrong = {name for name in worth.keys() & approved if abs(paid[name] - worth[name]) > 5}
    assert len(wrong) == 22
    numbers = {fact["order_guid"]: fact["order_no"] for _, fact in played.runner.output("order-facts")}
    told = played.alerts("FIN-06")
    assert {numbers[alert["order_guid"]] for alert in told} == wrong
    assert "closed" not in {alert["status"] for alert in told}
