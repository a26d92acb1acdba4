"""The real pipeline: all agents, contract topics, Olist-shaped events, on a real broker.

Worker processes are `oms worker`, as a user starts them; everything is watched from outside. A throughput counts from
the moment intake has partitions until a read_committed reader can see the last record in audit-log and order-states;
afterwards audit-log and dead-letters are read and every event that has an order must be accounted for.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from confluent_kafka.admin import AdminClient

from bench import build, load
from bench.gen_olist import events
from bench.latency import Reader, latencies
from bench.observe import POLL_SECONDS, STALL_SECONDS, Ends, Failed, Runner, last_words
from bench.processes import cpu_seconds, rss_bytes
from bench.verify import read
from streams import topology
from streams.engine.agent import changelog_topic
from tests.servers.kafka import KafkaServer

PARTITIONS = 8
HEAP = "1g"
SETTLE_SECONDS = 4.0
STEP_MS = 1.0
LOT = 100_000
LATENCY_ORDERS = 20_000
MAIN_JOB = "intake,channels,identity,orders,inventory"
"""What is measured: the way of an event to its order's state, and what answers a new order: without the stock, orders
would wait for it and raise alerts."""
BROKER_SETTINGS = {"group.initial.rebalance.delay.ms": "3000"}  # as shipped
OUTPUTS = ("audit-log", "order-states", "dead-letters")
ASIDE_WRITES = tuple(changelog_topic(name) for name in ("facets", "risk", "estimates", "alerts"))
"""Whose end moves as long as the agents aside have something to do."""
RESTORED = re.compile(r"(\w+): assigned \[[^]]+\], restored (\d+) records in ([\d.]+) s")

METHOD = """
Input events of orders, payments and couriers, shaped like Olist's, go through the agents of the main job (intake,
channels, identity, orders, inventory; 8 partitions, exactly once at every hop) in worker processes of `oms worker`;
figures said to be so are of all agents together, in one process and in one per group (`--aside-processes 1`), and end
with the last record that any of them has written. Throughput: a full topic, from when intake has partitions until the
last record of audit-log and order-states is visible to a read_committed reader; every event that has an order must be
in audit-log or dead-letters, or the run is void. Before that 100,000 events of other orders
go through, uncounted: a broker that has just started takes twice the CPU. Latency: from handing an event to the
producer to a read_committed reader holding the state that shows it, with 20,000 open orders; event by event, by the
state's `updated_at` (which the 5 % of events that the rules refuse do not move); counted after 90 s at the same rate,
in which the broker's compiler gets over the worst. Growth: events that concern all open orders alike, after a restart
of the worker. Resident memory is the most that was seen, under load. Broker, load and reader share the machine.
""".strip()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; ``small`` is for trying things out."""

    warm_up: int = 100_000
    events: int = 300_000
    all_events: int = 100_000
    rounds: int = 3
    orders: int = 1_000_000
    few_orders: int = 10_000
    growth_events: int = 200_000
    rate: int = 500
    settling: int = 90
    seconds: int = 60

    @staticmethod
    def small() -> Sizes:
        few = Sizes(10_000, 30_000, 10_000, rounds=1, settling=10, seconds=10)
        return replace(few, orders=20_000, few_orders=2_000, growth_events=20_000)


@dataclass(frozen=True, slots=True)
class Drained:
    """One throughput: events per second, CPU us per event, resident bytes at most (all worker processes).
    ``rate_aside``: events per second until the agents aside had no more to do either."""

    rate: float
    cpu_us: float
    broker_cpu_us: float
    rss: int
    rate_aside: float


class Stage:
    """A broker with the contract's topics, and a folder for worker data."""

    def __init__(self, broker: KafkaServer) -> None:
        self.broker = broker
        self.codecs = topology.load()
        self.data = build.CACHE / "state" / f"pipeline-{time.time_ns()}"
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        self._outputs = Ends(admin, dict.fromkeys(OUTPUTS, PARTITIONS))
        self._aside = Ends(admin, dict.fromkeys(ASIDE_WRITES, PARTITIONS))
        self._runs = 0

    def worker(self, processes: int = 1, agents: str | None = None, worker_id: str = "bench", aside: int = 0) -> Runner:
        """Starts `oms worker`; ``aside``: processes of their own for the agents aside."""
        self._runs += 1
        command = [sys.executable, "-m", "streams.cli", "worker", "--processes", str(processes)]
        command += ["--aside-processes", str(aside)]
        command += ["--agents", agents] if agents else []
        environment = {
            "OMS_BROKER": self.broker.url,
            "OMS_DATA_DIR": str(self.data),
            "OMS_WORKER_ID": worker_id,
            "OMS_WEB_PORT": "0",
        }
        log = build.CACHE / "logs" / f"{self.data.name}-{self._runs}.log"
        return Runner(command, environment, log, build.ROOT)

    def drain(self, runner: Runner, count: int, before: Callable[[], object] | None = None) -> Drained:
        """Waits until ``count`` events are through, sees that each is accounted for, and says how fast it went.

        For a rate, the events lie in the topics when the worker starts, and the clock runs from when intake has
        partitions. ``before`` sends them to a worker that is idle: then only the rest of the answer holds. CPU counts
        until all is quiet.
        """
        base = self._outputs()
        if before:
            before()
        looks: list[tuple[float, tuple[int, ...], float, float]] = []
        began: tuple[float, float, float] | None = None
        moved = time.monotonic()
        aside, aside_moved = self._aside(), 0
        rss = 0
        counted: tuple[int, ...] | None = None
        while True:
            if runner.ended():
                raise Failed(f"the worker ended with exit code {runner.exit_code}\n{last_words(runner)}")
            assert self.broker.pid
            stable = self._outputs()
            cpu, broker_cpu = cpu_seconds(runner.pid), cpu_seconds(self.broker.pid)
            looks.append((time.time(), stable, cpu, broker_cpu))
            if began is None and (_has_partitions(runner) or stable != base):
                began = looks[-2 if len(looks) > 1 else -1][0], cpu, broker_cpu
            rss = max(rss, rss_bytes(runner.pid))
            now = time.monotonic()
            if len(looks) == 1 or stable != looks[-2][1]:
                moved = now
            if (look := self._aside()) != aside:
                aside, aside_moved, moved = look, len(looks) - 1, now
            if began and now - moved > SETTLE_SECONDS and stable != counted:
                # Quiet, but a machine whose neighbours are busy may stand still for seconds before all is done.
                last, decided, dead = self._account(base)
                if decided + dead >= count:
                    break
                counted = stable
            if now - moved > STALL_SECONDS:
                raise Failed(f"stood still after {sum(stable) - sum(base):,} records\n{last_words(runner)}")
            time.sleep(POLL_SECONDS)
        if decided + dead != count:
            raise Failed(f"{count:,} events went in, {decided:,} were decided and {dead:,} are dead letters")
        end = next(look for look in looks if all(at > offset for at, offset in zip(look[1], last, strict=True)))
        quiet = max(end, looks[aside_moved])
        per_event = 1e6 / count
        cpu, broker_cpu = (quiet[2] - began[1]) * per_event, (quiet[3] - began[2]) * per_event
        return Drained(count / (end[0] - began[0]), cpu, broker_cpu, rss, count / (quiet[0] - began[0]))

    def _account(self, base: tuple[int, ...]) -> tuple[list[int], int, int]:
        """The last offset of every output partition, the events decided, and the dead letters since ``base``."""
        last = [-1] * len(base)
        places = self._outputs.places
        events_seen: set[str] = set()
        dead = 0
        decode = self.codecs.decoder("audit-log", drop_nulls=True)
        for topic in OUTPUTS:
            index = places.index((topic, 0))
            starts = base[index : index + PARTITIONS]
            for message in read(self.broker.bootstrap, topic, starts):
                last[index + (message.partition() or 0)] = message.offset() or 0
                if topic == "audit-log":
                    events_seen.add(decode(message.value())["event_id"])
                elif topic == "dead-letters":
                    dead += 1
        return last, len(events_seen), dead


def _has_partitions(runner: Runner) -> bool:
    return any("intake: assigned [" in line and "assigned []" not in line for line in [*runner.lines])


@contextmanager
def stage() -> Iterator[Stage]:
    """A fresh broker with all topics; everything is removed at the end."""
    with KafkaServer(heap=HEAP, settings=BROKER_SETTINGS) as broker:
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "topics", "apply", "--broker", broker.url, "--partitions",
             str(PARTITIONS)], cwd=build.ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"oms topics apply: {done.stdout}{done.stderr}")
        one = Stage(broker)
        try:
            yield one
        finally:
            shutil.rmtree(one.data, ignore_errors=True)


def run(sizes: Sizes, say: Say) -> dict[str, Any]:
    """All measurements; figures and rows for the report, ready for JSON."""
    figures: dict[str, Any] = {}
    one: list[Drained] = []
    two: list[Drained] = []
    for number in range(1, sizes.rounds + 1):
        for processes, results in ((1, one), (2, two)):
            say(f"pipeline, round {number} of {sizes.rounds}: {sizes.events:,} events, {processes} process(es) ...")
            results.append(throughput(sizes, processes, MAIN_JOB, sizes.events))
            say(f"  {_shown(results[-1])}")
    figures["one_process"] = _median(one)
    figures["two_processes"] = _median(two)
    for group, aside in (("all_agents", 0), ("groups", 1)):
        shape = "one process per group" if aside else "one process"
        say(f"all agents: {sizes.all_events:,} events, {shape} ...")
        drained = throughput(sizes, 1, None, sizes.all_events, aside)
        figures[group] = _median([drained])
        say(f"  {_shown(drained)}; {drained.rate_aside:,.0f} events/s until all were done")
    say(f"latency at {sizes.rate} events/s for {sizes.seconds} s ...")
    figures["latency"] = latency(sizes)
    say("  p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, {matched:,} of {sent:,} events seen".format(**figures["latency"]))
    for name, orders in (("few_orders", sizes.few_orders), ("many_orders", sizes.orders)):
        say(f"growth: {sizes.growth_events:,} events with {orders:,} open orders ...")
        figures[name] = growth(sizes, orders, restore=name == "many_orders")
        say("  {rate:,.0f} events/s, {rss_mb:,.0f} MB resident".format(**figures[name]))
        for restored in figures[name].get("restored", []):
            say("  {agent}: {records:,} records restored in {seconds:.1f} s".format(**restored))
    return {"method": METHOD, "rows": [*rows(figures)], **figures}


def throughput(sizes: Sizes, processes: int, agents: str | None, count: int, aside: int = 0) -> Drained:
    """Input events per second through these agents (None: all), from a full topic."""
    with stage() as one:
        _through(one, min(count, sizes.warm_up), 8, processes, agents, aside)
        return _through(one, count, 7, processes, agents, aside)


def _through(one: Stage, count: int, seed: int, processes: int, agents: str | None, aside: int) -> Drained:
    """So many events of orders of their own go through a worker that starts with a full topic."""
    batch = [*events(count, codecs=one.codecs, seed=seed, start_ms=_start_ms(count))]
    load.send(one.broker.bootstrap, batch)
    expected = load.findable(batch, one.codecs)
    runner = one.worker(processes, agents, aside=aside)
    try:
        return one.drain(runner, expected)
    finally:
        runner.stop()


def latency(sizes: Sizes) -> dict[str, float]:
    """Milliseconds from handing an event to the producer until a read_committed reader holds the order's new state."""
    settling, step_ms = sizes.rate * sizes.settling, 1000 / sizes.rate
    count = settling + sizes.rate * sizes.seconds
    with stage() as one:
        source = load.OpenOrders(one.codecs, 7, time.time_ns() // 1_000_000 - 3_600_000, step_ms)
        runner = one.worker(agents=MAIN_JOB)
        try:
            some = [*source.begin(LATENCY_ORDERS)]
            one.drain(runner, len(some), partial(load.send, one.broker.bootstrap, some))
            with Reader(one.broker.bootstrap) as reader:
                times: list[int] = []
                sent = load.send_steadily(one.broker.bootstrap, _noting(source, count, times), sizes.rate)
                time.sleep(3)
                seen = reader.stop()
            return latencies(sent[settling:], times[settling:], seen)
        finally:
            runner.stop()


def _noting(source: load.OpenOrders, count: int, times: list[int]) -> Iterator[load.Record]:
    """The source's next events; their event times go to ``times``."""
    for _ in range(count):
        times.append(source.now_ms())
        yield from source.go_on(1)


def growth(sizes: Sizes, orders: int, restore: bool) -> dict[str, Any]:
    """Throughput, memory and restore with so many open orders in state."""
    with stage() as one:
        source = load.OpenOrders(one.codecs, 7, _start_ms(orders * 3), STEP_MS)
        rss = []
        runner = one.worker(agents=MAIN_JOB)
        try:
            # In several lots: each is read back and accounted for without holding all of its events in memory.
            for begun in range(0, orders, LOT):
                lot = [*source.begin(min(LOT, orders - begun))]
                rss.append(one.drain(runner, len(lot), partial(load.send, one.broker.bootstrap, lot)).rss)
        finally:
            runner.stop()
        load.send(one.broker.bootstrap, source.go_on(sizes.growth_events))
        runner = one.worker(agents=MAIN_JOB)
        try:
            drained = one.drain(runner, sizes.growth_events)
        finally:
            runner.stop()
        figures: dict[str, Any] = {
            "orders": orders,
            "rate": drained.rate,
            "cpu_us": drained.cpu_us,
            "rss_mb": max(*rss, drained.rss) / 1e6,
        }
        if restore:
            figures["restored"] = [one_agent for agent in ("orders", "identity") for one_agent in restored(one, agent)]
        return figures


def restored(one: Stage, agent: str) -> list[dict[str, Any]]:
    """What an agent restores on a worker with an empty folder, as its log says."""
    runner = one.worker(agents=agent, worker_id=f"fresh-{agent}")
    try:
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline and not runner.ended():
            found = [match for line in [*runner.lines] if (match := RESTORED.search(line)) and match[1] == agent]
            if found:
                return [{"agent": agent, "records": int(m[2]), "seconds": float(m[3])} for m in found]
            time.sleep(0.2)
        raise Failed(f"{agent} did not restore\n{last_words(runner)}")
    finally:
        runner.stop()


def _start_ms(count: int) -> int:
    """So that the last of ``count`` events is a minute old: no timer is due long before its order is known."""
    return time.time_ns() // 1_000_000 - 60_000 - int(count * STEP_MS)


def _median(drained: Iterable[Drained]) -> dict[str, float]:
    runs = [*drained]
    return {
        "rate": statistics.median(run.rate for run in runs),
        "slowest": min(run.rate for run in runs),
        "fastest": max(run.rate for run in runs),
        "cpu_us": statistics.median(run.cpu_us for run in runs),
        "broker_cpu_us": statistics.median(run.broker_cpu_us for run in runs),
        "rss_mb": max(run.rss for run in runs) / 1e6,
        "rate_aside": statistics.median(run.rate_aside for run in runs),
    }


def _shown(one: Drained) -> str:
    return (
        f"{one.rate:,.0f} events/s, {one.cpu_us:.0f} us CPU per event (broker {one.broker_cpu_us:.0f}), "
        f"{one.rss / 1e6:.0f} MB resident; every event accounted for"
    )


def rows(figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure beside its target."""
    one, two, quick = figures["one_process"], figures["two_processes"], figures["latency"]
    few, many = figures["few_orders"], figures["many_orders"]
    yield _row("input events/s, one worker process", "at least 10,000", one["rate"], "{:,.0f}", one["rate"] >= 10_000)
    ratio = two["rate"] / one["rate"]
    yield _row("input events/s, two worker processes", "", two["rate"], "{:,.0f}", None)
    yield _row("two processes to one", "at least 1.5", ratio, "{:.2f}", ratio >= 1.5)
    for every, what, wanted in (
        (figures["all_agents"], "one process with all agents", ""),
        (figures["groups"], "one process per group of agents", "at least 8,000"),
    ):
        reached = every["rate_aside"] >= 8_000 if wanted else None
        yield _row(f"input events/s until all were done, {what}", wanted, every["rate_aside"], "{:,.0f}", reached)
        yield _row("events/s to their order's state meanwhile", "", every["rate"], "{:,.0f}", None)
        yield _row("CPU us/event, resident MB of it", "", every["cpu_us"], f"{{:.0f}}, {every['rss_mb']:,.0f}", None)
    yield _row("CPU us/event, one process", "", one["cpu_us"], "{:.0f}", None)
    yield _row("CPU us/event, two processes", "", two["cpu_us"], "{:.0f}", None)
    yield _row("latency p50 at 500 events/s, ms", "under 80", quick["p50_ms"], "{:.0f}", quick["p50_ms"] < 80)
    yield _row("latency p99 at 500 events/s, ms", "under 250", quick["p99_ms"], "{:.0f}", quick["p99_ms"] < 250)
    seen = quick["matched"] / quick["sent"]
    yield _row("share of events whose own state was seen", "", seen, "{:.1%}", None)
    orders = f"{many['orders']:,} open orders"
    ratio = many["rate"] / few["rate"]
    yield _row(f"events/s with {few['orders']:,} open orders", "", few["rate"], "{:,.0f}", None)
    yield _row(f"events/s with {orders}", "", many["rate"], "{:,.0f}", None)
    yield _row("the latter to the former", "at least 0.8", ratio, "{:.2f}", ratio >= 0.8)
    yield _row(f"resident MB of the worker with {orders}", "under 500", many["rss_mb"], "{:,.0f}", many["rss_mb"] < 500)
    for back in many["restored"]:
        per_million = back["seconds"] / back["records"] * 1e6
        text = f"seconds to restore 1,000,000 changelog records ({back['agent']}: {back['records']:,})"
        yield _row(text, "under 8", per_million, "{:.1f}", per_million < 8)


def _row(text: str, wanted: str, measured: float, form: str, reached: bool | None) -> dict[str, Any]:
    return {"text": text, "wanted": wanted, "measured": form.format(measured), "reached": reached}
