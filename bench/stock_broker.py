"""Stock on the real broker: the flash sale, the inventory agent alone, the round trip of a reservation, and a million
SKUs. Without a broker, and with a profile: ``python -m bench.stock``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from bench import flash_sale, load, pipeline
from bench.flash_sale import Sale, Watch, alive
from bench.latency import Reader, answered_order, latencies, reply
from bench.observe import POLL_SECONDS, STALL_SECONDS, Failed, Runner, last_words
from bench.processes import cpu_seconds, rss_bytes
from bench.stock import each
from bench.verify import read
from streams.domain.ids import order_guid

COMMANDS, ANSWERS = "stock-commands", "order-facts"
WAREHOUSES = ("bj", "gz", "hz")
LOT = 300_000

METHOD = """
Flash sale: one SKU, 87 units, 127,000 orders for one unit each within 3 s of event time, all agents in two processes of
`oms worker`; the clock runs from handing the first order to the producer until a read_committed reader can see the last
answer in the order's state. Before that 50,000 orders for another SKU go through, uncounted: a broker that has just
started takes twice the CPU. Then 60 % of the holders pay, 16 minutes pass by event time, a second wave takes the units
whose holds expired, and pays. The run counts only if exactly 87 units were sold, nothing was oversold, every order was
answered exactly once and `oms stock check` finds that everything adds up; once undisturbed, once with a SIGKILL of the
worker in the middle of the burst. Alone: reserve commands for one SKU lie in a full `stock-commands`, from the first to
the last reply that can be read, the inventory agent in one process. Round trip: from handing an order to the producer
until a read_committed reader holds the stock's reply to its reservation on `order-facts`, and the order's state that
shows it; all agents in a process for those on the way and one for those aside, after a minute at the same rate.
A million SKUs: three warehouses each, reserve commands spread over all of them evenly, the inventory agent alone in one
process; memory is the most that was seen, filling included. They are compared with a thousand SKUs, which have units
enough that every order is held there too.
""".strip()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; ``small`` is for trying things out."""

    sale: Sale = field(default_factory=Sale)
    rate: int = 200
    settling: int = 60
    seconds: int = 60
    few_skus: int = 1_000
    skus: int = 1_000_000
    reserves: int = 200_000

    @staticmethod
    def small() -> Sizes:
        return Sizes(
            Sale(orders=3_000, warm_up=1_000, second=300),
            settling=5,
            seconds=10,
            few_skus=200,
            skus=2_000,
            reserves=5_000,
        )


def run(sizes: Sizes, say: Say) -> dict[str, Any]:
    """All measurements; figures and rows for the report, ready for JSON."""
    figures: dict[str, Any] = {"sale": flash_sale.run(sizes.sale, say)}
    say(f"the inventory agent alone: {sizes.sale.orders:,} reserve commands for one SKU ...")
    figures["alone"] = alone(sizes.sale)
    say("  {rate:,.0f} decisions/s, {cpu_us:.0f} us CPU each".format(**figures["alone"]))
    say(f"round trip at {sizes.rate} orders/s for {sizes.seconds} s ...")
    figures["round_trip"] = round_trip(sizes)
    say(
        "  reply: p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms; state: p50 {state_p50_ms:.0f} ms, p99 {state_p99_ms:.0f} "
        "ms; {matched:,} of {sent:,} seen".format(**figures["round_trip"])
    )
    for name, skus in (("few", sizes.few_skus), ("many", sizes.skus)):
        say(f"{sizes.reserves:,} reserve commands over {skus:,} SKUs with three warehouses ...")
        figures[name] = spread(sizes, skus)
        say("  {rate:,.0f} decisions/s, {rss_mb:,.0f} MB resident".format(**figures[name]))
    return {"method": METHOD, "rows": [*rows(figures)], **figures}


def alone(sale: Sale) -> dict[str, float]:
    """Decisions per second for one SKU, from a full topic."""
    now = time.time_ns() // 1_000_000
    with pipeline.stage() as one:
        sku = flash_sale.SKU
        commands = (reserve(sku, number, now + number * 3_000 // sale.orders) for number in range(sale.orders))
        load.send(one.broker.bootstrap, [goods(sku, "hz", sale.units, now - 1, 0), *commands])
        watch = Watch(one, (ANSWERS,))
        runner = one.worker(agents="inventory")
        try:
            drained = drain(runner, watch, sale.orders)
        finally:
            runner.stop()
        outcomes = answers(one)
        if outcomes != {"held": sale.units, "refused": sale.orders - sale.units}:
            raise Failed(f"the inventory agent answered {outcomes}")
        return drained


def round_trip(sizes: Sizes) -> dict[str, float]:
    """Milliseconds from handing an order to the producer until the stock's reply can be read, and until a state shows
    it (`state_...`)."""
    count, skus = sizes.rate * sizes.seconds, tuple(f"SKU-{number}" for number in range(sizes.few_skus))
    with pipeline.stage() as one:
        bootstrap, now = one.broker.bootstrap, time.time_ns() // 1_000_000
        runner = one.worker(aside=1)
        try:
            stock = (flash_sale.received(one, now - 60_000, count, sku) for sku in skus)
            watch = Watch(one, ("inventory-states",))
            load.send(bootstrap, stock)
            watch.until(runner, lambda: sum(1 for _ in read(bootstrap, "inventory-states")) >= len(skus), "stock")
            warm = flash_sale.orders(one, "W", sizes.rate * sizes.settling, now, sizes.settling * 1_000, skus)
            load.send_steadily(bootstrap, warm, sizes.rate)
            with Reader(bootstrap, reply, ANSWERS) as replies, Reader(bootstrap, answered_order) as states:
                start = time.time_ns() // 1_000_000
                orders = [*flash_sale.orders(one, "R", count, start, sizes.seconds * 1_000, skus)]
                created = [one.codecs.decoder("orders")(value) for _, _, value in orders]
                sent = load.send_steadily(bootstrap, orders, sizes.rate)
                time.sleep(3)
                replied, shown = replies.stop(), states.stop()
            numbers = [order["order_no"] for order in created]
            guids = [order_guid(order["channel"], order["order_no"], order["event_time"]) for order in created]
            found, state = latencies(sent, guids, replied), latencies(sent, numbers, shown)
            if {found["matched"], state["matched"]} != {count}:
                raise Failed(f"{found['matched']:,} of {count:,} orders had a reply, {state['matched']:,} showed it")
            return found | {f"state_{name}": value for name, value in state.items()}
        finally:
            runner.stop()


def spread(sizes: Sizes, skus: int) -> dict[str, float]:
    """Throughput and memory with so many SKUs in state."""
    now, random, units = time.time_ns() // 1_000_000, Random(7), each(skus, sizes.reserves)
    with pipeline.stage() as one:
        runner = one.worker(agents="inventory")
        try:
            rss = 0
            watch = Watch(one, ("inventory-states",))
            for first in range(0, skus, LOT // len(WAREHOUSES)):
                some = range(first, min(skus, first + LOT // len(WAREHOUSES)))
                load.send(
                    one.broker.bootstrap,
                    (goods(f"sku-{n}", name, units, now - 1, n) for n in some for name in WAREHOUSES),
                )
                rss = max(rss, fill(runner, watch))
        finally:
            runner.stop()
        commands = (reserve(f"sku-{random.randrange(skus)}", n, now + n // 100) for n in range(sizes.reserves))
        load.send(one.broker.bootstrap, commands)
        watch = Watch(one, (ANSWERS,))
        runner = one.worker(agents="inventory")
        try:
            drained = drain(runner, watch, sizes.reserves)
        finally:
            runner.stop()
        outcomes = answers(one)
        if outcomes != {"held": sizes.reserves}:
            raise Failed(f"{sizes.reserves:,} reserve commands were answered {outcomes}")
        return {**drained, "skus": skus, "rss_mb": max(rss / 1e6, drained["rss_mb"])}


def fill(runner: Runner, watch: Watch) -> int:
    """Waits until the worker has taken up what was sent; its memory at most."""
    rss, base = 0, watch.last

    def seen() -> bool:
        nonlocal rss
        rss = max(rss, rss_bytes(runner.pid))
        return watch.last != base

    watch.until(runner, seen, "the goods came in")
    return rss


# -- commands as the orders agent and intake write them ---------------------------------------------------------------


def goods(sku: str, warehouse: str, units: int, at: int, number: int) -> load.Record:
    fact = {"event_type": "stock_received", "event_id": f"in-{warehouse}-{number}", "event_time": at, "topic": "wms"}
    fact |= {"source": "wms-hz", "digest": 0, "sku": sku, "warehouse": warehouse, "quantity": units}
    return COMMANDS, sku.encode(), orjson.dumps(fact)


def reserve(sku: str, number: int, at: int) -> load.Record:
    command: dict[str, Any] = {"do": "reserve", "sku": sku, "order_guid": f"DB20260124{number:012d}", "lines": [[1, 1]]}
    command |= {"channel": "douyin", "activity": None, "warehouse": None, "customer_id": f"c{number}"}
    return COMMANDS, sku.encode(), orjson.dumps({**command, "at": at, "round": 1})


def answers(one: pipeline.Stage) -> dict[str, int]:
    """Outcomes of all replies; Failed if an order was answered twice."""
    outcomes: dict[str, int] = {}
    seen: set[str] = set()
    for message in read(one.broker.bootstrap, ANSWERS):
        fact = orjson.loads(message.value() or b"")
        if fact["do"] != "reserve":
            continue
        if fact["order_guid"] in seen:
            raise Failed(f"{fact['order_guid']} was answered twice")
        seen.add(fact["order_guid"])
        outcomes[fact["lines"][0][1]] = outcomes.get(fact["lines"][0][1], 0) + 1
    return outcomes


def drain(runner: Runner, watch: Watch, count: int) -> dict[str, float]:
    """From the first of ``count`` answers that can be read to the last: per second, CPU us each, resident MB."""
    deadline = time.monotonic() + STALL_SECONDS
    before = time.time(), cpu_seconds(runner.pid)
    while True:
        alive(runner)
        look = time.time(), cpu_seconds(runner.pid)
        if watch.moves():
            break
        before = look
        if time.monotonic() > deadline:
            raise Failed(f"no answer came\n{last_words(runner)}")
        time.sleep(POLL_SECONDS)
    rss = 0
    cpu = before[1]

    def noted() -> None:
        nonlocal rss, cpu
        rss, cpu = max(rss, rss_bytes(runner.pid)), cpu_seconds(runner.pid)

    ended = watch.settled(runner, noted)
    return {
        "rate": count / (ended - before[0]),
        "cpu_us": (cpu - before[1]) * 1e6 / count,
        "rss_mb": rss / 1e6,
    }


def rows(figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure beside its target."""
    sale, trip, few, many = figures["sale"], figures["round_trip"], figures["few"], figures["many"]
    what = f"{sale['orders']:,} orders for {sale['units']} units"
    burst, rate = sale["plain_seconds"], figures["alone"]["rate"]
    yield row(f"seconds until the burst is answered, {what}", "under 25", burst, "{:.1f}", burst < 25)
    killed = sale["killed_seconds"]
    text = f"the same with a SIGKILL after {sale['killed_at']:,} answers, ending with the same totals"
    yield row(text, "", killed, "{:.1f}", None)
    yield row("decisions/s for one SKU, inventory agent alone", "at least 20,000", rate, "{:,.0f}", rate >= 20_000)
    yield row("CPU us per decision", "", figures["alone"]["cpu_us"], "{:.0f}", None)
    p50, p99 = trip["p50_ms"], trip["p99_ms"]
    yield row("order to reservation reply at 200 orders/s, p50 ms", "under 150", p50, "{:.0f}", p50 < 150)
    yield row("order to reservation reply at 200 orders/s, p99 ms", "under 400", p99, "{:.0f}", p99 < 400)
    yield row("order to the state that shows it, p50 ms", "", trip["state_p50_ms"], "{:.0f}", None)
    yield row("order to the state that shows it, p99 ms", "", trip["state_p99_ms"], "{:.0f}", None)
    yield row(f"decisions/s over {few['skus']:,} SKUs", "", few["rate"], "{:,.0f}", None)
    yield row(f"decisions/s over {many['skus']:,} SKUs with 3 warehouses", "", many["rate"], "{:,.0f}", None)
    ratio, rss = many["rate"] / few["rate"], many["rss_mb"]
    yield row("the latter to the former", "at least 0.8", ratio, "{:.2f}", ratio >= 0.8)
    yield row(f"resident MB of the worker with {many['skus']:,} SKUs", "under 700", rss, "{:,.0f}", rss < 700)


def row(text: str, wanted: str, measured: float, form: str, reached: bool | None) -> dict[str, Any]:
    return {"text": text, "wanted": wanted, "measured": form.format(measured), "reached": reached}
