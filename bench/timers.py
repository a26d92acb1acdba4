"""Timers on the real broker: a million open ones, ten thousand due in one second, events meanwhile, and a SIGKILL.

    python -m bench --only timers
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench import load, pipeline, stock_broker
from bench.flash_sale import Watch, alive, kill_group
from bench.observe import POLL_SECONDS, STALL_SECONDS, Failed, Runner, last_words
from bench.verify import read
from streams import topology
from streams.domain.rules import data
from streams.engine.partitioner import partition_of

FACTS, WISHES, QUESTIONS = "order-facts", "courier-facts", "customer-requests"
PROBE_MS = data.logistics().probe_ms
START_MS = 1_769_220_000_000
LEAD_S, AFTER_S, APART_S = 10, 20, 30
FILL_S = 120
"""No timer is due for so long after the last parcel: an idle worker's event time goes on, and on a slow machine the
first partition is through long before the last one is."""
LOT = 200_000
SIGNED = 10_000_000
"""Number of the first parcel that is signed for."""

METHOD = """
The logistics agent in one process of `oms worker`, a million parcels on their way: each has a timer for its next probe,
half an hour after it was seen last. Ten thousand of them are due within one second of event time, twice. Meanwhile 500
signatures a second come in, event time running with the clock but leaping over that second; each asks its customer at
once. Time to fire: from handing over the first event after the leap until a read_committed reader has the last of the
ten thousand. Latency: from handing over a signature until the reader has its question, for those handed over within
that time. The second time the worker is killed (SIGKILL) as soon as the reader has
the first of the ten thousand, and started again; in the end each due probe must have been asked exactly once, in order
of due time, in both.
""".strip()

Say = Callable[[str], None]
Seen = tuple[dict[int, list[float]], dict[str, float]]
"""When (epoch seconds) the probes due at each ms were read, and the question about each order."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`small` is for trying things out."""

    open: int = 1_000_000
    burst: int = 10_000
    rate: int = 500

    @staticmethod
    def small() -> Sizes:
        return Sizes(20_000, 1_000, 100)


def run(sizes: Sizes, say: Say) -> dict[str, Any]:
    """All measurements; figures and rows for the report, ready for JSON."""
    with pipeline.stage() as one:
        runner = one.worker(agents="logistics")
        reader = Reader(one.broker.bootstrap)
        try:
            with reader:
                say(f"{sizes.open:,} timers ...")
                began = time.time()
                rss = _fill(one, runner, sizes)
                say(f"  set in {time.time() - began:.0f} s, {rss / 1e6:,.0f} MB resident")
                say(f"{sizes.burst:,} due in one second, twice; the second time with a SIGKILL ...")
                sent, killed_at, runner = _go_on(one, runner, reader, sizes)
                _until_fired(runner, reader, sizes)
                seen = reader.stop()
        finally:
            runner.stop()
        _once(one, sizes)
    first, second = (_burst(number, sent, seen, sizes) for number in (0, 1))
    figures: dict[str, Any] = {"open": sizes.open, "burst": sizes.burst, "rate": sizes.rate, "rss_mb": rss / 1e6}
    figures |= {"plain": first, "killed": second, "killed_after": killed_at}
    say("  fired in {seconds:.2f} s, latency meanwhile p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms".format(**first))
    say("  killed: fired in {seconds:.2f} s".format(**second))
    return {"method": METHOD, "rows": [*rows(figures)], **figures}


# -- the load ---------------------------------------------------------------------------------------------------------


def burst_ms(number: int) -> int:
    """Event time at which the bursts' second begins."""
    return START_MS + PROBE_MS + (FILL_S + number * APART_S) * 1000


def guid(number: int) -> str:
    return f"DB20260124{number:012d}"


def fact(number: int, kind: str, at: int) -> load.Record:
    """What a courier tells of a parcel."""
    said: dict[str, Any] = {"topic": "couriers", "source": "sf", "courier": "sf", "event_type": kind}
    said |= {"event_id": f"{kind}-{number}", "event_time": at, "digest": number}
    said |= {"order_guid": guid(number), "waybill_no": f"W{number:09d}"}
    return FACTS, guid(number).encode(), orjson.dumps(said)


def parcels(sizes: Sizes) -> Iterator[load.Record]:
    """Picked up in order of time: two seconds of them crowded, the rest spread over half an hour."""
    crowded = [burst_ms(n) - PROBE_MS + 1000 * i // sizes.burst for n in (0, 1) for i in range(sizes.burst)]
    spread = sizes.open - len(crowded)
    others = [START_MS + (FILL_S + i * (PROBE_MS // 1000 - FILL_S) // spread) * 1000 for i in range(spread)]
    outside = (at for at in others if not any(0 <= at + PROBE_MS - burst_ms(n) < 1000 for n in (0, 1)))
    for number, at in enumerate(sorted([*crowded, *outside])):
        yield fact(number, "picked_up", at)


def _signatures(sizes: Sizes) -> Iterator[load.Record]:
    """Of parcels that nobody waits for. Event time runs with the clock, but for the bursts' seconds: it skips them."""
    begin = burst_ms(0) - LEAD_S * 1000
    for step in range(sizes.rate * (LEAD_S + APART_S + AFTER_S)):
        at = begin + step * 1000 // sizes.rate
        if any(burst_ms(number) <= at < burst_ms(number) + 1000 for number in (0, 1)):
            at += 1000 - at % 1000
        yield fact(SIGNED + step, "signed", at)


def _fill(one: pipeline.Stage, runner: Runner, sizes: Sizes) -> int:
    """The parcels; the worker's memory at most."""
    rss, left = 0, parcels(sizes)
    while lot := [*islice(left, LOT)]:
        watch = Watch(one, ("oms-facets-changelog",))
        load.send(one.broker.bootstrap, lot)
        rss = max(rss, stock_broker.fill(runner, watch))
    return rss


def _go_on(one: pipeline.Stage, runner: Runner, reader: Reader, sizes: Sizes) -> tuple[list[float], int, Runner]:
    """Sends the signatures from a process of its own; kills the worker in the second burst, and starts another."""
    sender = multiprocessing.get_context("spawn").Pool(1)
    try:
        handed = sender.apply_async(_send, (one.broker.bootstrap, sizes))
        while not (killed_at := reader.probes(burst_ms(1))):
            alive(runner)
            if handed.ready():
                raise Failed(f"the second burst did not fire\n{last_words(runner)}")
            time.sleep(POLL_SECONDS / 10)
        kill_group(runner)
        runner.stop()
        runner = one.worker(agents="logistics")
        return handed.get(), killed_at, runner
    finally:
        sender.terminate()


def _until_fired(runner: Runner, reader: Reader, sizes: Sizes) -> None:
    """Until the second burst has been read; the others never end, for an idle worker's event time goes on."""
    deadline = time.monotonic() + STALL_SECONDS
    while reader.probes(burst_ms(1)) < sizes.burst:
        alive(runner)
        if time.monotonic() > deadline:
            raise Failed(f"the second burst did not fire\n{last_words(runner)}")
        time.sleep(POLL_SECONDS)
    time.sleep(1.0)  # for what may come twice


def _send(bootstrap: str, sizes: Sizes) -> list[float]:
    return load.send_steadily(bootstrap, _signatures(sizes), sizes.rate)


# -- what came of it --------------------------------------------------------------------------------------------------


class Reader:
    """A read_committed reader of probes and questions in a process of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process
        self._process = process(target=_read, args=(bootstrap, there), daemon=True)

    def __enter__(self) -> Reader:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def probes(self, since: int) -> int:
        """How many due in the second from `since` (ms) have been read."""
        self._here.send(since)
        count: int = self._here.recv()
        return count

    def stop(self) -> Seen:
        self._here.send(None)
        seen: Seen = self._here.recv()
        return seen


def _read(bootstrap: str, pipe: Connection) -> None:
    decode = topology.load().decoder(QUESTIONS)
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "bench-timers",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })  # fmt: skip
    partitions = range(pipeline.PARTITIONS)
    consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for topic in (WISHES, QUESTIONS) for n in partitions])
    probes: dict[int, list[float]] = {}
    questions: dict[str, float] = {}
    while True:
        for message in consumer.consume(1000, 0.01):
            if message.error() is not None:
                continue
            now = time.time()
            if message.topic() == WISHES:
                at = orjson.loads(message.value() or b"")["at"]
                probes.setdefault(at, []).append(now)
            else:
                questions.setdefault(decode(message.value())["order_guid"], now)
        if pipe.poll():
            since = pipe.recv()
            if since is None:
                break
            pipe.send(sum(len(times) for at, times in probes.items() if since <= at < since + 1000))
    consumer.close()
    pipe.send((probes, questions))


def _burst(number: int, sent: list[float], seen: Seen, sizes: Sizes) -> dict[str, float]:
    """Seconds until the burst was fired, and what it did to the latency of the signatures meanwhile."""
    probes, questions = seen
    begin = burst_ms(number)
    times = [moment for at, moments in probes.items() if begin <= at < begin + 1000 for moment in moments]
    if len(times) != sizes.burst:
        raise Failed(f"{len(times):,} probes of burst {number + 1} were read, {sizes.burst:,} were due")
    first = sizes.rate * (LEAD_S + number * APART_S)  # the first event after all of them
    waited = [
        (questions[guid(SIGNED + step)] - sent[step]) * 1000
        for step in range(len(sent))
        if sent[first] <= sent[step] <= max(times)
    ]
    cuts = statistics.quantiles(waited, n=100, method="inclusive")
    return {"seconds": max(times) - sent[first], "events": len(waited), "p50_ms": cuts[49], "p99_ms": cuts[98]}


def _once(one: pipeline.Stage, sizes: Sizes) -> None:
    """Every probe of the bursts was asked once, those of one partition in order of due time; Failed if not."""
    asked: dict[str, int] = {}
    last = dict.fromkeys(range(pipeline.PARTITIONS), 0)
    for message in read(one.broker.bootstrap, WISHES):
        wish = orjson.loads(message.value() or b"")
        name, at = wish["waybill_no"], wish["at"]
        if name in asked:
            raise Failed(f"the probe of {name} was asked twice")
        asked[name] = at
        partition = partition_of(wish["order_guid"].encode(), pipeline.PARTITIONS)
        if at < last[partition]:
            raise Failed(f"the probe of {name}, due {at}, came after one due {last[partition]}")
        last[partition] = at
    fired = sum(1 for at in asked.values() for number in (0, 1) if 0 <= at - burst_ms(number) < 1000)
    if fired != 2 * sizes.burst:
        raise Failed(f"{fired:,} of {2 * sizes.burst:,} probes were asked")


def rows(figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure beside its target."""
    row = stock_broker.row
    plain, killed = figures["plain"], figures["killed"]
    what = f"{figures['burst']:,} timers due in one second, of {figures['open']:,} open"
    yield row(f"seconds until fired: {what}", "under 2", plain["seconds"], "{:.2f}", plain["seconds"] < 2)
    text = f"latency meanwhile at {figures['rate']} events/s, p99 ms"
    yield row(text, "under 1,000", plain["p99_ms"], "{:.0f}", plain["p99_ms"] < 1000)
    yield row("latency meanwhile, p50 ms", "", plain["p50_ms"], "{:.0f}", None)
    yield row("seconds until fired, with a SIGKILL and a new worker", "", killed["seconds"], "{:.2f}", None)
    yield row("resident MB of the worker", "", figures["rss_mb"], "{:,.0f}", None)
