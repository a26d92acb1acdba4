"""Random histories of a few SKUs, decoded from bytes: four per message, so that they are made and shrunk fast.

What comes out is what the inventory agent reads: commands of orders, facts of warehouses, carts and operations, late,
early, twice and with nonsense in them.
"""

from __future__ import annotations

from typing import Any, Final

Message = dict[str, Any]

T0: Final = 1_769_220_000_000
SKUS: Final = ("cream", "soap")
WAREHOUSES: Final = ("bj", "hz")
MINUTE: Final = 60_000

# What may happen, as often as it stands here.
_HAPPENINGS: Final = (
    *("receive",) * 3,
    *("reserve",) * 8,
    *("pay",) * 6,
    *("cancel",) * 3,
    *("refund",) * 2,
    *("again",) * 4,
    *("cart",) * 3,
    *("late",) * 3,
    *("activity", "resume") * 2,
    *("move", "snapshot", "quota", "load", "virtual", "nonsense"),
)
_JUMPS: Final = (
    *(0, 0, 0, 1, 1, 250, 500, 1_000, 1_000, 5_000, 10_000, 30_000),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE - 1, 5 * MINUTE),
    *(15 * MINUTE - 1, 15 * MINUTE, 16 * MINUTE, 31 * MINUTE, 25 * 60 * MINUTE),
)
_SPAN: Final = 6 * 24 * 60 * MINUTE
"""Shorter than repeated events are remembered."""
_POOLS: Final = (None, "sales", "sales", "reserved", "reserved", "quality_check")
_NONSENSE: Final = (0, -1, 1.5, True, "2", None, 10**15 + 1)


def history(data: bytes) -> list[Message]:
    """The messages in order of arrival."""
    made: list[Message] = []
    clock = T0
    for start in range(0, len(data) - 3, 4):
        what, who, amount, when = data[start : start + 4]
        happening = _HAPPENINGS[what % len(_HAPPENINGS)]
        jump = _JUMPS[when % len(_JUMPS)]
        clock += jump if clock + jump < T0 + _SPAN else 0
        at = clock
        if happening == "again":
            if made:
                made.append(made[-1 - who % len(made)])
            continue
        if happening == "late":  # something that was on its way for a while
            at -= _JUMPS[who % (len(_JUMPS) - 1)]
            happening = ("pay", "reserve", "cancel", "snapshot", "receive", "refund")[amount % 6]
        made.append(_MAKERS[happening](len(made), who, amount, at))
    return made


def _command(do: str, who: int, amount: int, at: int, **fields: Any) -> Message:
    lines = [[1 + who % 2, 1 + amount % 4]]
    if amount >= 192:  # a bundle: two lines of one SKU
        lines.append([2 - who % 2, 1 + amount // 4 % 3])
    guid = f"G{who // 2 % 5}"
    return {"do": do, "sku": SKUS[who // 10 % 2], "order_guid": guid, "lines": lines, "at": at, **fields}


def _reserve(number: int, who: int, amount: int, at: int) -> Message:
    names = {
        "channel": (None, "douyin", "tmall")[amount // 4 % 3],
        "activity": (None, None, "618")[amount // 12 % 3],
        "warehouse": (None, "bj", "hz", "nowhere")[who // 20 % 4],
        "customer_id": (None, "A", "B")[amount // 36 % 3],
    }
    return _command("reserve", who, amount, at, round=1 + who // 80, **names)


def _pay(number: int, who: int, amount: int, at: int) -> Message:
    units = amount if amount % 8 else amount + 32  # now and then a large order that nobody held
    message = _command("confirm", who, units, at, round=1 + who // 80, channel="douyin")
    if amount % 8 == 7:
        message["lines"][0][1] = 20 if amount & 16 else 40
    return message


def _cancel(number: int, who: int, amount: int, at: int) -> Message:
    return _command("release", who, amount, at, why="cancelled")


def _refund(number: int, who: int, amount: int, at: int) -> Message:
    return _command("return", who, amount, at, round=1 + who // 80)


def _virtual(number: int, who: int, amount: int, at: int) -> Message:
    return _command("virtual", who, amount, at, enter=amount % 4 != 3)


def _fact(kind: str, number: int, who: int, at: int, **fields: Any) -> Message:
    envelope = {"event_type": kind, "event_id": f"e{number}", "event_time": at, "source": "wms", "topic": "wms"}
    return {**envelope, "sku": SKUS[who % 2], **fields}


def _goods(kind: str, number: int, who: int, at: int, units: Any, **fields: Any) -> Message:
    return _fact(kind, number, who, at, warehouse=WAREHOUSES[who // 2 % 2], quantity=units, **fields)


def _receive(number: int, who: int, amount: int, at: int) -> Message:
    units = 60 if amount % 8 == 7 else 1 + amount % 12
    return _goods("stock_received", number, who, at, units, pool=_POOLS[who // 4 % 6])


def _snapshot(number: int, who: int, amount: int, at: int) -> Message:
    return _goods("stock_snapshot", number, who, at, amount % 12, pool=_POOLS[who // 4 % 6])


def _move(number: int, who: int, amount: int, at: int) -> Message:
    pools = ("sales", "reserved", "quality_check", "in_transit")
    source, target = pools[who // 4 % 2], pools[who // 8 % 4]
    other = (None, None, *WAREHOUSES)[amount // 5 % 4]
    return _goods("stock_moved", number, who, at, 1 + amount % 5, pool=source, to_pool=target, to_warehouse=other)


def _load(number: int, who: int, amount: int, at: int) -> Message:
    value = {"kind": "stock", "sku": SKUS[who % 2], "warehouse": WAREHOUSES[who // 2 % 2], "quantity": amount % 12}
    return _fact("reference_set", number, who, at, set=value)


def _quota(number: int, who: int, amount: int, at: int) -> Message:
    channel, activity = ((None, "618"), ("douyin", None), ("douyin", "618"), ("tmall", None))[who // 2 % 4]
    units = None if amount % 8 == 7 else amount % 8
    value = {"channel": channel, "activity": activity, "warehouse": None, "quota": units}
    return _fact("quota_set", number, who, at, set=value)


def _activity(number: int, who: int, amount: int, at: int) -> Message:
    start, end = at + (0, MINUTE)[who // 2 % 2], at + (10, 40)[who // 4 % 2] * MINUTE
    value = {"activity": "618", "starts_at": start, "ends_at": end, "freeze_per_1000": (0, 500, 1_000)[amount % 3]}
    return _fact("activity_set", number, who, at, set={**value, "flash": False})


def _cart(number: int, who: int, amount: int, at: int) -> Message:
    sku = SKUS[who % 2]
    lines = [{"sku": sku, "quantity": 1 + amount % 3}] * (1 + amount // 128)
    customer, channel = (None, "A", "B", "A")[who // 2 % 4], (None, "douyin")[who // 8 % 2]
    return _fact("cart_added", number, who, at, customer_id=customer, channel=channel, lines=lines)


def _resume(number: int, who: int, amount: int, at: int) -> Message:
    return _fact("manual_command", number, who, at, command="release_sku", target=SKUS[who % 2])


def _nonsense(number: int, who: int, amount: int, at: int) -> Message:
    units = _NONSENSE[amount % len(_NONSENSE)]
    if who % 4 == 0:
        return _goods("stock_received", number, who, at, units)
    if who % 4 == 1:
        return _goods("stock_snapshot", number, who, at, -1, pool="attic" if amount % 2 else None)
    message = _command("reserve" if who % 4 == 2 else "confirm", who, amount, at, round=1)
    message["lines"] = [] if amount % 8 == 7 else [[9, units], *message["lines"]]
    return message


_MAKERS: Final = {
    "receive": _receive,
    "reserve": _reserve,
    "pay": _pay,
    "cancel": _cancel,
    "refund": _refund,
    "cart": _cart,
    "move": _move,
    "snapshot": _snapshot,
    "quota": _quota,
    "activity": _activity,
    "load": _load,
    "virtual": _virtual,
    "resume": _resume,
    "nonsense": _nonsense,
}
