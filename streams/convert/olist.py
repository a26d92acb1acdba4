"""The Olist tables (Brazilian marketplace, 2016-09 to 2018-10) as input events.

What a row becomes:

| table | event |
|---|---|
| orders, items | `order_created` at the purchase; one line per item; total = items + freight (told apart in `raw`) |
| payments | one `payment_succeeded` per row, at the approval of the order; none if it was never approved |
| orders, carrier date | `picked_up`, with the order's number and a waybill number made from the order id |
| orders, delivery date | `signed`, with that waybill number alone, as couriers do |
| orders, status | `status_changed` at the last time known of the order, where no event above says the same |

Times in the tables are wall-clock times of Brazil without an offset; they are read as America/Sao_Paulo (with its
summer time). Nothing is repaired: carriers before approvals, deliveries before carriers and orders without items stay.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.convert.common import (
    Line,
    Row,
    Sort,
    compact,
    find,
    found,
    in_time_order,
    line,
    local_ms,
    minor,
    row_of,
    rows,
    zone,
)

CHANNEL = "olist"
CURRENCY = "BRL"
ZONE = "America/Sao_Paulo"

# Statuses that another event of the same order already says: the purchase, the carrier's and the delivery's date.
_SAID_BY = {
    "created": "order_purchase_timestamp",
    "shipped": "order_delivered_carrier_date",
    "delivered": "order_delivered_customer_date",
}
_TIMES = (
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
)
_COLUMNS = ("order_id", "customer_id", "order_status", "order_estimated_delivery_date", *_TIMES)
_ITEM_COLUMNS = ("order_id", "order_item_id", "product_id", "shipping_limit_date", "price", "freight_value")
_CUSTOMER_COLUMNS = ("customer_id", "customer_city", "customer_state")
# The published names first; then the names of a partial copy, whose items cover only some of its orders.
_ORDERS = ("olist_orders_dataset", "orders_union_full_timestamps", "orders_8135_seconds")
_ITEMS = ("olist_order_items_dataset", "order_items", "order_items_for_8135")
_PAYMENTS = ("olist_order_payments_dataset", "order_payments_full", "order_payments_for_8135")
_CUSTOMERS = ("olist_customers_dataset", "customers", "customers_for_8135")
_PRODUCTS = ("olist_products_dataset", "products_full", "products_for_8135")
_CATEGORIES = ("product_category_name_translation",)


@dataclass
class _Tables:
    """The child tables by order id, in the order of their rows."""

    items: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    payments: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    customers: dict[str, Row] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    covered: set[str] | None = None
    """Orders the items table speaks of; None: of all. Another order's lines are unknown, not absent."""


def convert(
    src: Path, *, limit: int | None = None, orders: Collection[str] | None = None, sort: Sort = "time"
) -> Iterator[Line]:
    """Input lines of the Olist CSV tables (plain or gzip) in the folder `src`; money in centavos, times in ms UTC.

    `limit`: only the first so many orders of the table; `orders`: only these order ids. Needs the tables of orders,
    items and payments; uses customers, products and category names where they are. Raises ConvertError, naming file
    and row.
    """
    path = found(src, "table of orders", *_ORDERS)
    heads: list[tuple[int, int, Row]] = []
    for number, row in rows(path, *_COLUMNS):
        if orders is not None and row["order_id"] not in orders:
            continue
        if limit is not None and len(heads) >= limit:
            break
        with row_of(path, number):
            told = [local_ms(row[name], zone(ZONE)) for name in _TIMES if row[name]]
            if not told:
                raise ValueError("the order has no time")
            first = min(told)
        heads.append((first, number, row))
    tables = _read(src, {row["order_id"] for _, _, row in heads})
    if sort == "time":
        heads.sort(key=lambda head: head[:2])
    groups = (_order(path, number, row, tables) for _, number, row in heads)
    return in_time_order(groups) if sort == "time" else (entry for group in groups for entry in group)


def waybill_no(order_id: str) -> str:
    """The waybill number this converter gives an order's parcel; Olist publishes none."""
    return "OL" + order_id[:16]


def estimated_at(created: Mapping[str, Any]) -> int:
    """The delivery date promised to the buyer, ms UTC, from the `raw` of an `order_created` of this converter."""
    return local_ms(json.loads(created["raw"])["order_estimated_delivery_date"], zone(ZONE))


def _order(path: Path, number: int, row: Row, tables: _Tables) -> list[Line]:
    with row_of(path, number):
        return list(_events(row, tables))


def _events(row: Row, tables: _Tables) -> Iterator[Line]:
    tz = zone(ZONE)
    order_id = row["order_id"]
    purchased, approved, carried, delivered = (local_ms(row[name], tz) if row[name] else None for name in _TIMES)
    payments = tables.payments.get(order_id, [])
    yield _created(row, tables, purchased, sum(minor(payment["payment_value"]) for payment in payments))
    for payment in payments if approved is not None else ():
        sequence = payment["payment_sequential"]
        yield line(
            "payments",
            event_id=f"{order_id}-paid-{sequence}",
            event_type="payment_succeeded",
            event_time=approved,
            source="olist-pay",
            channel=CHANNEL,
            order_no=order_id,
            amount_minor=minor(payment["payment_value"]),
            currency=CURRENCY,
            raw=compact({name: value for name, value in payment.items() if name != "order_id"}),
        )
    if carried is not None:
        yield line(
            "couriers",
            event_id=f"{order_id}-picked-up",
            event_type="picked_up",
            event_time=carried,
            source="olist-carrier",
            channel=CHANNEL,
            order_no=order_id,
            waybill_no=waybill_no(order_id),
            raw=_raw(row, "order_delivered_carrier_date"),
        )
    if delivered is not None:
        # Only a pickup tells whose the waybill is; without one the delivery has to name the order itself.
        named = carried is None
        yield line(
            "couriers",
            event_id=f"{order_id}-signed",
            event_type="signed",
            event_time=delivered,
            source="olist-carrier",
            channel=CHANNEL if named else None,
            order_no=order_id if named else None,
            waybill_no=waybill_no(order_id),
            raw=_raw(row, "order_delivered_customer_date"),
        )
    status = row["order_status"]
    if status not in _SAID_BY or not row[_SAID_BY[status]]:
        yield line(
            "orders",
            event_id=f"{order_id}-status-{status}",
            event_type="status_changed",
            event_time=max(time for time in (purchased, approved, carried, delivered) if time is not None),
            source=CHANNEL,
            channel=CHANNEL,
            order_no=order_id,
            raw_status=status,
            raw=_raw(row, "order_status"),
        )


def _created(row: Row, tables: _Tables, purchased: int | None, paid_minor: int) -> Line:
    order_id, tz = row["order_id"], zone(ZONE)
    known = tables.covered is None or order_id in tables.covered
    items = tables.items.get(order_id, [])
    freight = sum(minor(item["freight_value"]) for item in items)
    lines: list[dict[str, Any]] = [
        {
            "line_no": int(item["order_item_id"]),
            "sku": item["product_id"],
            "name": tables.categories.get(item["product_id"]),
            "quantity": 1,
            "unit_price_minor": minor(item["price"]),
            "is_gift": False,
        }
        for item in items
    ]
    total = sum(entry["unit_price_minor"] for entry in lines) + freight
    raw = {name: row[name] for name in ("order_purchase_timestamp", "order_estimated_delivery_date")}
    extra: dict[str, object] = {"freight_minor": freight} if items else {}
    if not items and not known:
        total, lines, extra = (
            paid_minor,
            [_unknown_line(paid_minor)],
            {"synthesised": "lines: no item data in the source"},
        )
    customer = tables.customers.get(row["customer_id"], {})
    return line(
        "orders",
        event_id=f"{order_id}-created",
        event_type="order_created",
        event_time=purchased,
        source=CHANNEL,
        channel=CHANNEL,
        order_no=order_id,
        # customer_id is another one for each order of the same person; customer_unique_id is the person.
        customer_id=customer.get("customer_unique_id") or row["customer_id"],
        sales_type="normal",
        lines=lines,
        total_minor=total,
        currency=CURRENCY,
        address={"province": customer["customer_state"], "city": customer["customer_city"]} if customer else None,
        promised_ship_at=min((local_ms(item["shipping_limit_date"], tz) for item in items), default=None),
        promised_delivery_at=local_ms(row["order_estimated_delivery_date"], tz),
        raw=compact({**raw, **extra}),
    )


def _unknown_line(paid_minor: int) -> dict[str, Any]:
    return {
        "line_no": 1,
        "sku": "unknown",
        "name": None,
        "quantity": 1,
        "unit_price_minor": paid_minor,
        "is_gift": False,
    }


def _raw(row: Row, name: str) -> str:
    return compact({name: row[name]})


def _read(src: Path, wanted: set[str]) -> _Tables:
    tables = _Tables()
    items = found(src, "table of items", *_ITEMS)
    for number, row in rows(items, *_ITEM_COLUMNS):
        if row["order_id"] in wanted:
            with row_of(items, number):
                int(row["order_item_id"])
            tables.items[row["order_id"]].append(row)
    for listed in tables.items.values():
        listed.sort(key=lambda row: int(row["order_item_id"]))
    payments = found(src, "table of payments", *_PAYMENTS)
    for number, row in rows(payments, "order_id", "payment_sequential", "payment_value"):
        if row["order_id"] in wanted:
            with row_of(payments, number):
                int(row["payment_sequential"])
            tables.payments[row["order_id"]].append(row)
    for listed in tables.payments.values():
        listed.sort(key=lambda row: int(row["payment_sequential"]))
    if items.name.startswith("order_items_for_8135"):
        covered = found(src, "table of orders with items", "orders_8135_seconds")
        tables.covered = {row["order_id"] for _, row in rows(covered, "order_id")}
    if path := find(src, *_CUSTOMERS):
        tables.customers = {row["customer_id"]: row for _, row in rows(path, *_CUSTOMER_COLUMNS)}
    tables.categories = _categories(src)
    return tables


def _categories(src: Path) -> dict[str, str]:
    """Product id to the English name of its category: the nearest to a product's name that Olist publishes."""
    english = {}
    if path := find(src, *_CATEGORIES):
        names = ("product_category_name", "product_category_name_english")
        english = {row[names[0]]: row[names[1]] for _, row in rows(path, *names)}
    products = find(src, *_PRODUCTS)
    columns = ("product_id", "product_category_name")
    named = ((row[columns[0]], row[columns[1]]) for _, row in rows(products, *columns)) if products else ()
    return {product: english.get(name, name) for product, name in named if name}
