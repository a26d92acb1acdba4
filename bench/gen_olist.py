"""Input events shaped like Olist, as ready Avro: the bundled orders over and over, each time with fresh ids and times.

Each event of the sample is encoded once and cut where the order's id, waybill and times stand; a new order fills the
gaps (ids keep their length, times their number of bytes), which is some thirty times faster than encoding.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from streams import topology
from streams.data import SAMPLE
from streams.lines import BadLine, code_of, read_lines

OPEN_ORDERS = 20_000
FIRST_TIME_MS = 1_769_200_000_000
_ID = "0123456789abcdef" * 2
_WAYBILL_ID = 16
"""How much of the order's id a waybill number holds; see streams.convert.olist."""
_TIME_BYTES = 6
"""Of an Avro long between the years 1987 and 2039 in ms."""


class Template(NamedTuple):
    """One event: `parts` between the gaps, and what fills them (`i` id, `w` waybill's part of it, `t` time)."""

    topic: str
    key: str
    parts: tuple[bytes, ...]
    gaps: str


def templates(codecs: topology.Topology) -> list[tuple[Template, ...]]:
    """The events of each order of the sample in order of time; orders without lines, which are refused, left out."""
    orders: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    refused: set[str] = set()
    for entry in read_lines([SAMPLE]):
        assert not isinstance(entry, BadLine)
        order_id = entry.value["event_id"].partition("-")[0]
        orders.setdefault(order_id, []).append((entry.topic, entry.value))
        if entry.value.get("lines") == []:
            refused.add(order_id)
    return [
        tuple(_template(codecs, topic, value, order_id) for topic, value in events)
        for order_id, events in orders.items()
        if order_id not in refused
    ]


def events(
    count: int,
    *,
    codecs: topology.Topology | None = None,
    seed: int = 7,
    open_orders: int = OPEN_ORDERS,
    start_ms: int = FIRST_TIME_MS,
    events_per_second: float = 1000.0,
) -> Iterator[tuple[str, bytes, bytes]]:
    """`count` times (topic, key, Avro value), the same for the same arguments; almost four events per order.

    Events of up to `open_orders` orders are mixed at random, each order's in their order; event times rise from
    `start_ms` (ms UTC) at `events_per_second`. `seed` also makes the ids, so that two seeds give different orders.
    """
    rng = random.Random(seed)
    kinds = templates(codecs or topology.load())
    chance = 1.3 * len(kinds) / sum(len(kind) for kind in kinds)  # above the mean, or there would be no 20,000 open
    step_ms = 1000 / events_per_second
    going: list[list[Any]] = []  # [templates of the order, next of them, its id]
    begun = 0
    for number in range(count):
        if not going or (len(going) < open_orders and rng.random() < chance):
            fresh = hashlib.md5(f"{seed}/{begun}".encode(), usedforsecurity=False).hexdigest()
            going.append([kinds[begun % len(kinds)], 0, fresh.encode()])
            begun += 1
        slot = rng.randrange(len(going))
        order = going[slot]
        kind, at, order_id = order
        yield _filled(kind[at], order_id, _long(start_ms + int(number * step_ms)))
        if at + 1 < len(kind):
            order[1] = at + 1
        else:
            going[slot] = going[-1]
            going.pop()


def _template(codecs: topology.Topology, topic: str, value: dict[str, Any], order_id: str) -> Template:
    fresh = {name: _renamed(item, order_id) for name, item in value.items()}
    payload = codecs.encoder(topic)(fresh)
    times = [_long(item) for name, item in value.items() if name.endswith(("_time", "_at"))]
    gap = b"|".join(re.escape(mark) for mark in (_ID.encode(), _ID[:_WAYBILL_ID].encode(), *times))
    pieces = re.split(b"(" + gap + b")", payload)
    kinds = {len(_ID): "i", _WAYBILL_ID: "w", _TIME_BYTES: "t"}
    key = code_of(fresh)
    assert key is not None
    return Template(topic, key, tuple(pieces[::2]), "".join(kinds[len(piece)] for piece in pieces[1::2]))


def _renamed(item: Any, order_id: str) -> Any:
    if not isinstance(item, str):
        return item
    return item.replace(order_id, _ID).replace(order_id[:_WAYBILL_ID], _ID[:_WAYBILL_ID])


def _filled(template: Template, order_id: bytes, moment: bytes) -> tuple[str, bytes, bytes]:
    fill = {"i": order_id, "w": order_id[:_WAYBILL_ID], "t": moment}
    topic, key, parts, gaps = template
    value = [parts[0]]
    for gap, part in zip(gaps, parts[1:], strict=True):
        value += (fill[gap], part)
    name = order_id if key == _ID else key.replace(_ID[:_WAYBILL_ID], order_id[:_WAYBILL_ID].decode()).encode()
    return topic, name, b"".join(value)


def _long(number: int) -> bytes:
    """An Avro long that takes six bytes."""
    rest, out = number << 1, bytearray()
    for _ in range(_TIME_BYTES - 1):
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    assert 0 < rest < 0x80, "not a time in ms that takes six bytes"
    out.append(rest)
    return bytes(out)


def main() -> None:
    """Only makes the events, to see how fast."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int)
    count = parser.parse_args().count
    started = time.perf_counter()
    size = sum(len(value) for _, _, value in events(count))
    seconds = time.perf_counter() - started
    print(f"{count:,} events, {size / count:.0f} bytes each, {count / seconds:,.0f} events/s")


if __name__ == "__main__":
    main()
