"""The Olist tables as events: what each row becomes, and that nothing is repaired."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams.convert.common import ConvertError
from streams.convert.olist import convert, waybill_no
from tests.unit.convert.conftest import IDS

Events = dict[str, dict[str, Any]]


def events(src: Path, **options: Any) -> Events:
    return {entry["value"]["event_id"]: entry["value"] | {"topic": entry["topic"]} for entry in convert(src, **options)}


def test_an_order_becomes_its_items_total_and_promise(olist: Path) -> None:
    created = events(olist)[f"{IDS['a']}-created"]
    assert [entry["sku"] for entry in created["lines"]] == ["prod-1", "prod-2"]
    assert [entry["unit_price_minor"] for entry in created["lines"]] == [9990, 550]
    assert [entry["name"] for entry in created["lines"]] == ["health_beauty", None]
    assert created["total_minor"] == 9990 + 550 + 2765 + 125
    assert json.loads(created["raw"])["freight_minor"] == 2890
    assert (created["currency"], created["channel"], created["source"]) == ("BRL", "olist", "olist")
    assert created["event_time"] == 1530457200000
    assert created["promised_ship_at"] == created["event_time"] + 2 * 86_400_000
    assert created["customer_id"] == "person-a"
    assert created["address"] == {"province": "SP", "city": "sao paulo"}


def test_every_payment_row_is_a_payment_at_the_approval(olist: Path) -> None:
    all_events = events(olist)
    first, second = all_events[f"{IDS['a']}-paid-1"], all_events[f"{IDS['a']}-paid-2"]
    assert (first["amount_minor"], second["amount_minor"]) == (10000, 3430)
    assert first["event_time"] == second["event_time"] == 1530457200000 + 600_000
    assert (first["source"], first["order_no"]) == ("olist-pay", IDS["a"])
    assert json.loads(second["raw"])["payment_type"] == "voucher"


def test_a_delivery_knows_only_the_waybill_that_the_pickup_bound(olist: Path) -> None:
    all_events = events(olist)
    pickup, signed = all_events[f"{IDS['a']}-picked-up"], all_events[f"{IDS['a']}-signed"]
    assert pickup["waybill_no"] == signed["waybill_no"] == waybill_no(IDS["a"])
    assert pickup["order_no"] == IDS["a"]
    assert "order_no" not in signed
    assert "channel" not in signed


def test_an_order_without_items_stays_without_lines(olist: Path) -> None:
    assert events(olist)[f"{IDS['b']}-created"]["lines"] == []


def test_a_status_without_a_better_event_is_told_at_the_last_known_time(olist: Path) -> None:
    all_events = events(olist)
    unavailable = all_events[f"{IDS['b']}-status-unavailable"]
    assert (unavailable["raw_status"], unavailable["event_time"]) == ("unavailable", 1530457200000 + 3_600_000)
    delivered = all_events[f"{IDS['c']}-status-delivered"]
    assert delivered["raw_status"] == "delivered"
    assert f"{IDS['c']}-signed" not in all_events
    assert f"{IDS['a']}-status-delivered" not in all_events


def test_a_carrier_before_the_purchase_is_not_repaired(olist: Path) -> None:
    all_events = events(olist)
    assert all_events[f"{IDS['c']}-picked-up"]["event_time"] < all_events[f"{IDS['c']}-created"]["event_time"]


def test_an_order_never_approved_has_no_payment_event(olist: Path) -> None:
    mine = [event_id for event_id in events(olist) if event_id.startswith(IDS["d"])]
    assert mine == [f"{IDS['d']}-created", f"{IDS['d']}-status-canceled"]


def test_lines_come_by_time_or_as_the_source_lists_them(olist: Path) -> None:
    times = [entry["value"]["event_time"] for entry in convert(olist)]
    assert times == sorted(times)
    orders = [entry["value"]["event_id"][0] for entry in convert(olist, sort="source")]
    assert "".join(dict.fromkeys(orders)) == "abcd"
    assert orders == sorted(orders)


def test_limit_and_orders_choose_orders(olist: Path) -> None:
    assert {event_id[0] for event_id in events(olist, limit=2)} == {"a", "b"}
    assert {event_id[0] for event_id in events(olist, orders={IDS["c"], IDS["d"]})} == {"c", "d"}


def test_a_missing_table_is_named_with_the_names_looked_for(olist: Path) -> None:
    (olist / "olist_order_payments_dataset.csv").unlink()
    with pytest.raises(ConvertError, match=r"no table of payments; looked for olist_order_payments_dataset\.csv"):
        list(convert(olist))


def test_a_bad_time_is_named_by_file_and_line(olist: Path) -> None:
    path = olist / "olist_orders_dataset.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("2018-07-03 09:00", "yesterday"), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"olist_orders_dataset\.csv:4: .*yesterday"):
        list(convert(olist))


def test_a_bad_amount_is_named(olist: Path) -> None:
    path = olist / "olist_order_payments_dataset.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("34.3", "34,3"), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"columns|not an amount"):
        list(convert(olist))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("olist_order_items_dataset", "order_item_id"),
        ("olist_order_payments_dataset", "payment_sequential"),
        ("olist_customers_dataset", "customer_state"),
        ("olist_customers_dataset", "customer_id"),
        ("olist_products_dataset", "product_id"),
    ],
)
def test_a_table_without_a_column_it_needs_or_with_a_number_that_is_none_is_named(
    olist: Path, table: str, column: str
) -> None:
    path = olist / f"{table}.csv"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8-sig").splitlines()]
    at = [name.strip('"') for name in rows[0]].index(column)
    if column in ("order_item_id", "payment_sequential"):
        for row in rows[1:]:
            row[at] = "x"
    else:
        rows[0][at] = "other"
    path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    with pytest.raises(ConvertError, match=table):
        list(convert(olist))


def test_the_partial_copy_gives_every_order_and_its_known_disorder(reference: Path) -> None:
    seen: Counter[str] = Counter()
    times: dict[str, dict[str, int]] = {}
    empty = 0
    for entry in convert(reference / "olist"):
        value = entry["value"]
        kind = value.get("raw_status") or value["event_type"]
        seen[kind] += 1
        # A few orders have no first payment row, only later ones: any of them stands for the approval.
        order_id, what = value["event_id"][:32], value["event_id"][33:].rstrip("0123456789")
        times.setdefault(order_id, {})[what] = value["event_time"]
        empty += value.get("lines") == []
    assert seen["order_created"] == len(times) == 18_027
    assert empty == 775
    assert (seen["canceled"], seen["unavailable"], seen["invoiced"], seen["processing"]) == (625, 609, 314, 301)
    before = Counter(
        pair
        for marks in times.values()
        for pair in (("picked-up", "paid-"), ("signed", "picked-up"), ("picked-up", "created"))
        if pair[0] in marks and pair[1] in marks and marks[pair[0]] < marks[pair[1]]
    )
    assert before == {("picked-up", "paid-"): 233, ("signed", "picked-up"): 5, ("picked-up", "created"): 22}
    assert sum("signed" in marks and "status-canceled" in marks for marks in times.values()) == 6
