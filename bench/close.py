"""The close of a month of 420,000 orders from its events, by one worker, until the last of its reports can be read.

python -m bench --only close
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench import load, month, pipeline, stock_broker
from bench.flash_sale import alive
from bench.month import CHANNELS, CLOSED_AT, FACTS, MONTH, Month
from bench.observe import STALL_SECONDS, Ends, Failed, Runner, last_words
from bench.processes import cpu_seconds, rss_bytes
from streams import topology

AGENTS = "intake,ledger,match,reports,alerts"
LIMIT_S, LIMIT_MB = 600, 1_500
LOOK_S = 0.5

METHOD = f"""
All facts of a month's orders lie in `order-facts` (12 of each order, in order of event time, {len(CHANNELS)} channels;
some orders paid too little, some never confirmed, some partly refunded, some complained about), then the closing of the
month and what a BI system says each channel sold, as events of `finance`. One process of `oms worker` with the agents
that make the month's reports ({AGENTS}) starts with an empty folder. The clock runs from its first committed turn until
a read_committed reader has the last of the reports: FIN-04 and FIN-05 of the last run, FIN-08 of each channel, FIN-09
to FIN-11 and FIN-14. Their figures must be those that were counted when the facts were made, or the run is void.
""".strip()

Say = Callable[[str], None]
Reports = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """`small` is for trying things out."""

    orders: int = 420_000

    @staticmethod
    def small() -> Sizes:
        return Sizes(10_000)


def run(sizes: Sizes, say: Say) -> dict[str, Any]:
    """All measurements; figures and rows for the report, ready for JSON."""
    one_month = Month(sizes.orders)
    with pipeline.stage() as one:
        say(f"a month of {sizes.orders:,} orders ...")
        count = load.send(one.broker.bootstrap, one_month.records())
        wanted = one_month.wanted()
        load.send(one.broker.bootstrap, closing(one.codecs, wanted))
        say(f"  {count:,} facts lie in {FACTS}; the worker starts ...")
        runner = one.worker(agents=AGENTS)
        try:
            seconds, cpu, rss, reports = _until_told(one, runner)
        finally:
            runner.stop()
    check(reports, wanted)
    figures: dict[str, Any] = {"orders": sizes.orders, "facts": count, "seconds": seconds, "rss_mb": rss / 1e6}
    figures |= {"cpu_us": cpu * 1e6 / count, "rate": count / seconds}
    what = "all reports after {seconds:.0f} s, {rate:,.0f} facts/s, {cpu_us:.0f} us CPU each, {rss_mb:,.0f} MB"
    say(f"  {what.format(**figures)}")
    return {"method": METHOD, "rows": [*rows(figures)], **figures}


def closing(codecs: topology.Topology, wanted: dict[str, Any]) -> Iterator[load.Record]:
    """What finance says at the end: the totals of a BI system, that the month is closed."""
    encode = codecs.encoder("finance")
    about = {"event_time": CLOSED_AT, "source": "finance", "period": MONTH}
    for channel in CHANNELS:
        said = {"event_id": f"gmv-{channel}", "event_type": "bi_total", "channel": channel, "currency": "CNY"}
        yield "finance", channel.encode(), encode({**about, **said, "amount_minor": wanted["gmv"][channel]})
    yield "finance", b"close", encode({**about, "event_id": "close", "event_type": "period_closed"})


def names() -> set[str]:
    """Ids of the reports that end the close, but for those of the last run."""
    monthly = ("FIN-09", "FIN-10", "FIN-11", "FIN-14")
    return {f"FIN-08/{MONTH}/{channel}" for channel in CHANNELS} | {f"{name}/{MONTH}" for name in monthly}


def _until_told(one: pipeline.Stage, runner: Runner) -> tuple[float, float, int, Reports]:
    """(seconds, CPU seconds, bytes resident at most, the reports by id)."""
    admin = AdminClient({"bootstrap.servers": one.broker.bootstrap, "log_level": 2})
    ends = Ends(admin, {"oms-facets-changelog": pipeline.PARTITIONS})
    base = ends()
    reader = _reader(one.broker.bootstrap)
    decode = topology.load().decoder("reports")
    reports: Reports = {}
    began: tuple[float, float] | None = None
    rss, last, moved, seen = 0, 0.0, time.monotonic(), base
    missing = names()
    try:
        while True:
            alive(runner)
            now, look = time.time(), ends()
            if began is None and look != base:
                began = now, cpu_seconds(runner.pid)
            rss = max(rss, rss_bytes(runner.pid))
            for message in reader.consume(10_000, LOOK_S):
                if message.error() is None:
                    record = decode(message.value())
                    reports[record["report_id"]] = record
                    missing.discard(record["report_id"])
                    last = time.time()
            if look != seen:
                seen, moved = look, time.monotonic()
            quiet = time.monotonic() - moved
            if began is not None and not missing and quiet > 4:
                return last - began[0], cpu_seconds(runner.pid) - began[1], rss, reports
            if quiet > STALL_SECONDS:
                raise Failed(f"stood still, without {', '.join(sorted(missing))}\n{last_words(runner)}")
    finally:
        reader.close()


def _reader(bootstrap: str) -> Consumer:
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "bench-close",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })  # fmt: skip
    consumer.assign([TopicPartition("reports", n, OFFSET_BEGINNING) for n in range(pipeline.PARTITIONS)])
    return consumer


def check(reports: Reports, wanted: dict[str, Any]) -> None:
    """Failed if a report does not say what was counted."""
    for channel in CHANNELS:
        [row] = json.loads(reports[f"FIN-08/{MONTH}/{channel}"]["rows"])
        counted = {"orders": wanted["created"][channel], "booked_minor": wanted["booked"][channel]}
        _same(f"FIN-08 of {channel}", row, {**row, **counted, "unexplained_minor": 0})
    health = {row["channel"]: row for row in json.loads(reports[f"FIN-09/{MONTH}"]["rows"])}
    for name in ("created", "abnormal"):
        _same(f"FIN-09, {name}", {channel: row[name] for channel, row in health.items()}, wanted[name])
    audit = json.loads(reports[f"FIN-10/{MONTH}"]["rows"])
    _same("FIN-10", [row["gap_minor"] for row in audit], [month.SHORT] * min(10, wanted["told"]))
    held = json.loads(reports[f"FIN-14/{MONTH}"]["rows"])
    _same("FIN-14", sum(row["orders"] for row in held if "orders" in row), wanted["held_open"])
    books = json.loads(reports[f"FIN-11/{MONTH}"]["rows"])
    _same("FIN-11, debited", sum(row["debit_minor"] for row in books), sum(row["credit_minor"] for row in books))
    runs = [record for record in reports.values() if record["name"] == "FIN-04"]
    newest = json.loads(max(runs, key=lambda record: record["period"])["rows"])
    _same("FIN-04", sum(row["alerted"] for row in newest if "alerted" in row), wanted["told"])


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Failed(f"{what} says {found}, {wanted} is right")


def rows(figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure beside its target."""
    row, seconds, rss = stock_broker.row, figures["seconds"], figures["rss_mb"]
    what = f"seconds until all reports of {figures['orders']:,} orders are told, one process"
    yield row(what, f"under {LIMIT_S}", seconds, "{:.0f}", seconds < LIMIT_S)
    yield row("resident MB at most", f"under {LIMIT_MB:,}", rss, "{:,.0f}", rss < LIMIT_MB)
    yield row(f"facts/s, of {figures['facts']:,}", "", figures["rate"], "{:,.0f}", None)
    yield row("CPU us per fact", "", figures["cpu_us"], "{:.0f}", None)
