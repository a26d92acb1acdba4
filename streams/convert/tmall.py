"""The order report of Tmall's merchant backend (one CSV row per order) as input events.

A row becomes `order_created`, `payment_succeeded` where it has a payment time, and `refund_settled` where it has a
refund. The report's 买家实际支付金额 is what is left after the refund (in every paid row it adds up with 退款金额 to
总金额), so the payment is the sum of both. The report has no lines, no status and no time of the refund: an order gets
one line of unknown SKU, and the refund is set `REFUND_AFTER_MS` after the payment. Times are wall-clock times of
Asia/Shanghai.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.convert.common import (
    Line,
    Row,
    Sort,
    compact,
    found,
    in_time_order,
    line,
    local_ms,
    minor,
    row_of,
    rows,
    zone,
)

CHANNEL = "tmall"
CURRENCY = "CNY"
ZONE = "Asia/Shanghai"
REFUND_AFTER_MS = 24 * 3_600_000
"""From the payment to the refund: one day, a stand-in for the time that the report does not have."""

_COLUMNS = ("订单编号", "总金额", "买家实际支付金额", "收货地址", "订单创建时间", "订单付款时间", "退款金额")


def convert(src: Path, *, limit: int | None = None, sort: Sort = "time") -> Iterator[Line]:
    """Input lines of the report at `src`, a CSV file (plain or gzip) or a folder with tmall_order_report.csv[.gz].

    Money in fen, times in ms UTC; `limit`: only the first so many orders. Raises ConvertError, naming file and row.
    """
    path = src if src.is_file() else found(src, "Tmall order report", "tmall_order_report")
    groups: list[list[Line]] = []
    for number, row in rows(path, *_COLUMNS):
        if limit is not None and len(groups) >= limit:
            break
        with row_of(path, number):
            groups.append(list(_events(row)))
    if sort == "source":
        return (entry for group in groups for entry in group)
    return in_time_order(sorted(groups, key=lambda group: group[0]["value"]["event_time"]))


def _events(row: Row) -> Iterator[Line]:
    tz = zone(ZONE)
    order_no, raw = row["订单编号"], compact(row)
    total, kept, refunded = (minor(row[name]) for name in ("总金额", "买家实际支付金额", "退款金额"))
    yield line(
        "orders",
        event_id=f"tmall-{order_no}-created",
        event_type="order_created",
        event_time=local_ms(row["订单创建时间"], tz),
        source=CHANNEL,
        channel=CHANNEL,
        order_no=order_no,
        sales_type="normal",
        lines=[
            {
                "line_no": 1,
                "sku": "unknown",
                "name": None,
                "quantity": 1,
                "unit_price_minor": total,
                "is_gift": False,
            }
        ],
        total_minor=total,
        currency=CURRENCY,
        address={"province": row["收货地址"]} if row["收货地址"] else None,
        raw=raw,
    )
    if not row["订单付款时间"]:
        return
    paid_at = local_ms(row["订单付款时间"], tz)
    money = {"source": "alipay", "channel": CHANNEL, "order_no": order_no, "currency": CURRENCY, "raw": raw}
    yield line(
        "payments",
        event_id=f"tmall-{order_no}-paid",
        event_type="payment_succeeded",
        event_time=paid_at,
        amount_minor=kept + refunded,
        **money,
    )
    if refunded:
        yield line(
            "payments",
            event_id=f"tmall-{order_no}-refunded",
            event_type="refund_settled",
            event_time=paid_at + REFUND_AFTER_MS,
            amount_minor=refunded,
            **money,
        )
