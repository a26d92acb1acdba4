"""A flash sale on the real pipeline: far more orders for one SKU than it has units, all within three seconds.

    0  50,000 orders for something else, which are not counted: a broker that has just started takes twice the CPU
    1  87 units come in; 127,000 orders for one each, within 3 s of event time: 87 hold a unit, all others are refused
    2  60 % of the holders pay; 16 minutes later by event time a second wave of orders comes: the first holds have
       expired by then, so the second wave takes exactly those units
    3  the second wave's holders pay: 87 units are sold, none twice, and every order was answered exactly once

``python -m bench.flash_sale`` tries it out, small unless told otherwise; ``python -m bench`` measures it in full.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka.admin import AdminClient

from bench import build, load, pipeline
from bench.observe import POLL_SECONDS, STALL_SECONDS, Ends, Failed, Runner, last_words
from bench.verify import read

SKU, OTHER_SKU, WAREHOUSE, PRICE = "LUCKY-BAG", "UMBRELLA", "HZ", 9900
WARM_UP = "W"
CHANNELS = ("douyin", "tmall")
BURST_MS = 3_000
PAID_AFTER_MS = 60_000
SECOND_AFTER_MS = 16 * 60_000
PAYING_PERCENT = 60
SETTLE_SECONDS = 3.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sale:
    """How large a sale is. ``warm_up``: orders for something else before it, uncounted; ``second``: orders of the
    second wave; ``processes``: of the worker."""

    orders: int = 127_000
    warm_up: int = 50_000
    units: int = 87
    second: int = 2_000
    processes: int = 2

    @property
    def paying(self) -> int:
        return self.units * PAYING_PERCENT // 100


@dataclass(slots=True)
class Totals:
    """What became of the orders: of each wave the outcomes that were replied (by what was asked), the order states'
    last word, and the SKU's own figures."""

    first: dict[str, int] = field(default_factory=dict)
    second: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    stock: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sold:
    """One sale: seconds from the first order handed to the producer until the last answer could be read, and until
    nothing more came of the burst. ``killed_at``: orders of the burst that could be seen to be answered when the worker
    was killed."""

    seconds: float
    settled: float
    totals: Totals
    killed_at: int | None = None


def wanted(sale: Sale) -> Totals:
    """What must come of it."""
    freed = sale.units - sale.paying
    return Totals(
        {"reserve held": sale.units, "reserve refused": sale.orders - sale.units, "confirm confirmed": sale.paying,
         "expire expired": freed},
        {"reserve held": freed, "reserve refused": sale.second - freed, "confirm confirmed": freed},
        {"confirmed": sale.units, "expired": freed, "refused": sale.orders - sale.units + sale.second - freed},
        {"sales": 0, "held": 0, "available": 0, "oversold": 0},
    )  # fmt: skip


def play(one: pipeline.Stage, sale: Sale, kill: bool = False) -> Sold:
    """The whole sale on a fresh stage. ``kill``: SIGKILL of the whole worker once half of the burst is answered."""
    start = time.time_ns() // 1_000_000
    book = Book(one)
    runner = one.worker(sale.processes)
    try:
        load.send(one.broker.bootstrap, [received(one, start - 60_000, sale.units, sku) for sku in (SKU, OTHER_SKU)])
        book.until(runner, lambda: book.stock is not None, "the stock came in")
        early = start - 2 * BURST_MS
        load.send(one.broker.bootstrap, orders(one, WARM_UP, sale.warm_up, early, BURST_MS, (OTHER_SKU,)))
        Watch(one).until(runner, lambda: book.read().answered(WARM_UP) >= sale.warm_up, "the warm-up was answered")
        burst = [*orders(one, "A", sale.orders, start, BURST_MS)]
        watch = Watch(one)
        began = time.time()
        load.send(one.broker.bootstrap, burst)
        killed_at = None
        if kill:
            book.until(runner, lambda: book.answered("A") >= sale.orders // 2, "half of the orders were answered")
            kill_group(runner)
            killed_at = book.read().answered("A")
            runner = one.worker(sale.processes)
        settled = watch.until(runner, lambda: book.read().answered("A") >= sale.orders, "all orders were answered")
        ended = watch.visible("order-states", book.shown["A"])

        paying = sorted(book.holders("A"))[: sale.paying]
        load.send(one.broker.bootstrap, payments(one, paying, start + PAID_AFTER_MS))
        book.until(runner, lambda: book.told("A", "confirm") >= sale.paying, "the payments")

        load.send(one.broker.bootstrap, orders(one, "B", sale.second, start + SECOND_AFTER_MS, BURST_MS))
        book.until(runner, lambda: book.answered("B") >= sale.second, "the second wave was answered")
        others = sorted(book.holders("B"))
        load.send(one.broker.bootstrap, payments(one, others, start + SECOND_AFTER_MS + PAID_AFTER_MS))
        book.until(runner, lambda: book.told("B", "confirm") >= len(others), "the second wave's payments")
        Watch(one).settled(runner)
        book.read()
        check(one)
        return Sold(ended - began, settled - began, book.totals(sale), killed_at)
    finally:
        runner.stop()


def run(sale: Sale, say: Say) -> dict[str, Any]:
    """The sale as it is, and again with a kill in the middle of the burst. Failed if a figure is wrong."""
    figures: dict[str, Any] = {"orders": sale.orders, "units": sale.units, "second": sale.second}
    for name, kill in (("plain", False), ("killed", True)):
        say(f"flash sale: {sale.orders:,} orders for {sale.units} units{', SIGKILL in the middle' if kill else ''} ...")
        with pipeline.stage() as one:
            sold = play(one, sale, kill)
        if sold.totals != wanted(sale):
            raise Failed(f"the flash sale ({name}) ended with {sold.totals}, right is {wanted(sale)}")
        figures[f"{name}_seconds"] = sold.seconds
        figures[f"{name}_settled"] = sold.settled
        if sold.killed_at is not None:
            figures["killed_at"] = sold.killed_at
            say(f"  killed when {sold.killed_at:,} were answered")
        say(
            f"  answered in {sold.seconds:.1f} s, quiet after {sold.settled:.1f} s, {sale.units} sold, 0 oversold, "
            "every order answered once"
        )
    return figures


# -- what is sent -----------------------------------------------------------------------------------------------------


def received(one: pipeline.Stage, at: int, units: int, sku: str = SKU) -> load.Record:
    value = {"event_id": f"in-{sku}", "event_type": "stock_received", "event_time": at, "source": "wms-hz"}
    value |= {"sku": sku, "warehouse": WAREHOUSE, "quantity": units}
    return "wms", sku.encode(), one.codecs.encoder("wms")(value)


def orders(
    one: pipeline.Stage, wave: str, count: int, start: int, within_ms: int, skus: tuple[str, ...] = (SKU,)
) -> Iterator[load.Record]:
    """Orders for one unit each, evenly over ``within_ms`` of event time."""
    encode = one.codecs.encoder("orders")
    for number in range(count):
        channel, order_no = CHANNELS[number % len(CHANNELS)], f"{wave}{number:07d}"
        sku = skus[number % len(skus)]
        line = {"line_no": 1, "sku": sku, "name": sku, "quantity": 1, "unit_price_minor": PRICE, "is_gift": False}
        value = {
            "event_id": f"o-{order_no}",
            "event_type": "order_created",
            "event_time": start + number * within_ms // count,
            "source": channel,
            "channel": channel,
            "order_no": order_no,
            "platform_txn_no": f"t-{order_no}",
            "customer_id": f"c-{order_no}",
            "lines": [line],
            "total_minor": PRICE,
            "currency": "CNY",
        }
        yield "orders", order_no.encode(), encode(value)


def payments(one: pipeline.Stage, order_nos: list[str], at: int) -> Iterator[load.Record]:
    encode = one.codecs.encoder("payments")
    for order_no in order_nos:
        value = {
            "event_id": f"p-{order_no}",
            "event_type": "payment_succeeded",
            "event_time": at,
            "source": "wechatpay",
            "platform_txn_no": f"t-{order_no}",
            "amount_minor": PRICE,
            "currency": "CNY",
        }
        yield "payments", f"t-{order_no}".encode(), encode(value)


# -- what came of it --------------------------------------------------------------------------------------------------


class Book:
    """Replies, order states and the SKU's state, as a read_committed reader sees them; read on from where it stood."""

    TOPICS = ("order-facts", "order-states", "inventory-states")

    def __init__(self, one: pipeline.Stage) -> None:
        self._one = one
        self._next = {topic: [0] * pipeline.PARTITIONS for topic in self.TOPICS}
        self._decode = {topic: one.codecs.decoder(topic) for topic in self.TOPICS[1:]}
        self.replies: Counter[tuple[str, str, str]] = Counter()  # guid, what was asked, outcome
        self.wave: dict[str, str] = {}  # guid: order number
        self.outcome: dict[str, str | None] = {}  # order number: the last outcome its state shows
        self.stock: dict[str, Any] | None = None
        self.shown: dict[str, list[int]] = {}
        """By wave: where its last answers end in each partition of order-states."""

    def read(self) -> Book:
        for topic in self.TOPICS:
            places = self._next[topic]
            for message in read(self._one.broker.bootstrap, topic, places):
                places[message.partition() or 0] = (message.offset() or 0) + 1
                value = message.value()
                if value is None:
                    continue
                if topic == "order-facts":
                    self._fact(value)
                elif topic == "order-states":
                    self._state(self._decode[topic](value), message.partition() or 0)
                elif message.key() == SKU.encode():
                    self.stock = self._decode[topic](value)
        return self

    def _fact(self, value: bytes) -> None:
        if b'"_stock"' not in value:
            return
        fact = orjson.loads(value)
        if fact["event_type"] == "_stock":
            for line in fact["lines"]:
                self.replies[fact["order_guid"], fact["do"], line[1]] += 1

    def _state(self, state: dict[str, Any], partition: int) -> None:
        number = state["order_no"]
        self.wave[state["order_guid"]] = number
        outcome = state["stock"][0]["outcome"] if state["stock"] else None
        if outcome and not self.outcome.get(number):
            ends = self.shown.setdefault(number[0], [0] * pipeline.PARTITIONS)
            ends[partition] = self._next["order-states"][partition]
        self.outcome[number] = outcome

    def until(self, runner: Runner, reached: Callable[[], bool], what: str) -> None:
        """Reads on until it is so; Failed if nothing moves any more."""
        moved, before = time.monotonic(), -1
        while True:
            self.read()
            if reached():
                return
            alive(runner)
            now = sum(sum(places) for places in self._next.values())
            if now != before:
                moved, before = time.monotonic(), now
            elif time.monotonic() - moved > STALL_SECONDS:
                raise Failed(f"stood still before {what}: {self.counts()}\n{last_words(runner)}")
            time.sleep(0.3)

    def told(self, wave: str, do: str) -> int:
        """Lines answered for a command, of orders whose state is known."""
        return sum(
            count for (guid, asked, _), count in self.replies.items()
            if asked == do and self.wave.get(guid, "").startswith(wave)
        )  # fmt: skip

    def answered(self, wave: str) -> int:
        """Orders whose state shows an outcome."""
        return sum(1 for number, outcome in self.outcome.items() if number.startswith(wave) and outcome)

    def holders(self, wave: str) -> list[str]:
        return [number for number, outcome in self.outcome.items() if number.startswith(wave) and outcome == "held"]

    def counts(self) -> dict[str, int]:
        """Orders by outcome, without those of the warm-up."""
        return dict(Counter(str(outcome) for number, outcome in self.outcome.items() if number[0] != WARM_UP))

    def totals(self, sale: Sale) -> Totals:
        """Failed unless every order was answered exactly once."""
        asked = Counter((guid, do) for (guid, do, _), count in self.replies.items() for _ in range(count))
        doubled = [what for what, count in asked.items() if count > 1]
        reserved = sum(1 for _, do in asked if do == "reserve")
        if doubled or reserved != sale.warm_up + sale.orders + sale.second or len(self.outcome) != reserved:
            raise Failed(f"{reserved:,} orders of {len(self.outcome):,} were answered, {len(doubled):,} more than once")
        waves: dict[str, Counter[str]] = {"A": Counter(), "B": Counter(), WARM_UP: Counter()}
        for (guid, do, outcome), count in self.replies.items():
            waves[self.wave[guid][0]][f"{do} {outcome}"] += count
        assert self.stock is not None
        figures = {name: self.stock[name] for name in ("held", "available", "oversold")}
        figures["sales"] = self.stock["warehouses"][WAREHOUSE]["sales"]
        return Totals(dict(waves["A"]), dict(waves["B"]), self.counts(), figures)


class Watch:
    """The committed ends of the topics that answers come out on, from now on."""

    def __init__(self, one: pipeline.Stage, topics: tuple[str, ...] = ("order-facts", "order-states")) -> None:
        admin = AdminClient({"bootstrap.servers": one.broker.bootstrap, "log_level": 2})
        self._ends = Ends(admin, dict.fromkeys(topics, pipeline.PARTITIONS))
        self.last = self._ends()
        self.moved = time.time()
        self._looks = [(self.moved, self.last)]

    def moves(self) -> bool:
        """Whether something has come since the last look."""
        look = self._ends()
        if look == self.last:
            return False
        self.last, self.moved = look, time.time()
        self._looks.append((self.moved, look))
        return True

    def visible(self, topic: str, ends: Sequence[int]) -> float:
        """When a read_committed reader could first see what stands before these offsets, epoch seconds."""
        first = self._ends.places.index((topic, 0))
        return next(at for at, look in self._looks if all(map(int.__ge__, look[first : first + len(ends)], ends)))

    def settled(self, runner: Runner, each: Callable[[], None] = lambda: None) -> float:
        """Waits until nothing has moved for a while, calling ``each`` after a move; when the last one was seen, epoch
        seconds."""
        heard = time.monotonic()
        while time.monotonic() - heard < SETTLE_SECONDS:
            alive(runner)
            if self.moves():
                heard = time.monotonic()
                each()
            time.sleep(POLL_SECONDS)
        return self.moved

    def until(self, runner: Runner, reached: Callable[[], bool], what: str) -> float:
        """Settles again and again until it is so; when the last move was seen, epoch seconds."""
        deadline = time.monotonic() + STALL_SECONDS
        while True:
            before = self.moved
            ended = self.settled(runner)
            if reached():
                return ended
            if ended != before:
                deadline = time.monotonic() + STALL_SECONDS
            if time.monotonic() > deadline:
                raise Failed(f"stood still before {what}\n{last_words(runner)}")


def alive(runner: Runner) -> None:
    """Failed, with its last words, if the worker has ended."""
    if runner.ended():
        raise Failed(f"the worker ended with exit code {runner.exit_code}\n{last_words(runner)}")


def check(one: pipeline.Stage) -> None:
    """`oms stock check` must find that everything adds up."""
    command = [sys.executable, "-m", "streams.cli", "stock", "check", "--broker", one.broker.url]
    done = subprocess.run(command, cwd=build.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"oms stock check: {done.stdout}{done.stderr}")


def kill_group(runner: Runner) -> None:
    """SIGKILL for the worker and all its processes, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(runner.pid, signal.SIGKILL)
    while not runner.ended():
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flash_sale", description=__doc__)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--units", type=int, default=87)
    parser.add_argument("--warm-up", type=int, default=1_000)
    parser.add_argument("--second", type=int, default=300)
    parser.add_argument("--processes", type=int, default=1)
    run(Sale(**vars(parser.parse_args())), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
