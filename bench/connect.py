"""The sink into the database of finance: rows a second with a backlog, and after a SIGKILL of the Connect worker.

    python -m bench --only connect
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import urllib3
from confluent_kafka import Producer
from typer.testing import CliRunner

from bench import stock_broker
from bench.observe import Failed
from bench.processes import cpu_seconds
from streams import topology
from streams.cli import app
from streams.connect import connectors, install
from tests.servers.finance import Finance, jvm, wait_running
from tests.support import entries
from tests.support.process import WorkerProcess

SINK, TOPIC = "ledger-entries", "ledger-entries"
TRANSACTION = 1_000
ABORT_EVERY = 10
POLL_S = 0.5  # to count is work for the database
STALL_S = 300.0

METHOD = """
One task of the Debezium sink in a Connect worker that `oms connect up` has started, PostgreSQL with its settings as
they ship (fsync on), broker and registry, all on the same cores. The sink is paused, ledger entries are written to
their topic in transactions of a thousand, each tenth aborted and written again, and the sink is resumed. Rows per
second: from the resumption until the table has them all. Then the same again, and the worker is killed (SIGKILL) with a
third of them written. In the end the table must hold as many entries, and the same sum, as were committed.
""".strip()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """`small` is for trying things out."""

    rows: int = 300_000

    @staticmethod
    def small() -> Sizes:
        return Sizes(30_000)


def run(sizes: Sizes, say: Say) -> dict[str, Any]:
    """All measurements; figures and rows for the report, ready for JSON."""
    install.bring()
    with tempfile.TemporaryDirectory(prefix="oms-bench-") as folder, Finance(Path(folder), fast=False) as one:
        CliRunner(env=one.env).invoke(app, ["topics", "apply"])
        began = time.monotonic()
        up = one.process("connect", "connect", "up", OMS_CONNECT_JAVA="")
        wait_running(one, up, len(connectors.load()))
        start = time.monotonic() - began
        say(f"sinks run after {start:.1f} s; {sizes.rows:,} entries ...")
        first = _lot(one, 0, sizes)
        before = _cpu(one, up)
        _switch(one, "resume")
        plain = _until(one, first)
        sink_us, database_us = ((now - then) / first * 1e6 for now, then in zip(_cpu(one, up), before, strict=True))
        say(f"  {first / plain:,.0f} rows/s, {sink_us:.0f} us of CPU in Connect; the same with a SIGKILL ...")
        both = first + _lot(one, 1, sizes)
        _switch(one, "resume")
        began = time.monotonic()
        _until(one, first + sizes.rows // 3, exactly=False)
        os.kill(jvm(up), signal.SIGKILL)
        flowing = _until(one, _count(one) + 1, exactly=False)
        _until(one, both)
        killed = time.monotonic() - began
        say(f"  rows flow again after {flowing:.1f} s, all are there after {killed:.1f} s")
        _check(one, both)
    figures: dict[str, Any] = {"entries": first, "seconds": plain, "rate": first / plain, "start_s": start}
    figures |= {"sink_us": sink_us, "database_us": database_us, "flowing_s": flowing, "killed_s": killed}
    return {"method": METHOD, "rows": [*rows(figures)], **figures}


def _lot(one: Finance, number: int, sizes: Sizes) -> int:
    """Pauses the sink and writes a lot; how many entries were committed."""
    _switch(one, "pause")
    encode = topology.load(registry=one.registry.url).encoder(TOPIC)
    producer = Producer({
        "bootstrap.servers": one.kafka.bootstrap,
        "transactional.id": "bench-entries",
        "linger.ms": 20,
        "queue.buffering.max.messages": 200_000,
    })  # fmt: skip
    producer.init_transactions(30)
    made = list(_entries(number, sizes.rows))
    for at, begin in enumerate(range(0, len(made), TRANSACTION)):
        for abort in (True, False) if at % ABORT_EVERY == 0 else (False,):
            producer.begin_transaction()
            for entry in made[begin : begin + TRANSACTION]:
                told = {**entry, "amount_minor": -1} if abort else entry
                producer.produce(TOPIC, encode(told), entry["entry_id"])
            producer.flush(60)
            _ = producer.abort_transaction(60) if abort else producer.commit_transaction(60)
    return len(made)


def _entries(lot: int, count: int) -> Iterator[dict[str, Any]]:
    """Those of one order, told of many."""
    pattern = entries.entries(0)
    for number in range(-(-count // len(pattern))):
        guid = f"DB{lot:02d}{number:018d}"
        for entry in pattern:
            yield {**entry, "entry_id": entry["entry_id"].replace(entries.guid(0), guid), "order_guid": guid}


def _switch(one: Finance, how: str) -> None:
    answer = urllib3.request("PUT", f"{one.url}/connectors/{SINK}/{how}")
    if answer.status >= 300:
        raise Failed(f"Connect answers {answer.status} to {how}")


def _until(one: Finance, wanted: int, *, exactly: bool = True) -> float:
    """Until the table has as many rows; seconds it took. Failed if it stops growing, or grows beyond."""
    began = moved = time.monotonic()
    before = -1
    while (have := _count(one)) < wanted:
        now = time.monotonic()
        if have != before:
            before, moved = have, now
        if now - moved > STALL_S:
            raise Failed(f"the table has {have:,} of {wanted:,} rows and gets no more")
        time.sleep(POLL_S)
    if exactly and have != wanted:
        raise Failed(f"the table has {have:,} rows, {wanted:,} were committed")
    return time.monotonic() - began


def _cpu(one: Finance, up: WorkerProcess) -> tuple[float, float]:
    """CPU seconds of the Connect worker and of the database so far."""
    return cpu_seconds(jvm(up)), cpu_seconds(one.postgres.pid)


def _count(one: Finance) -> int:
    with psycopg.connect(one.postgres.dsn) as connection:
        (count,) = connection.execute("SELECT count(*) FROM ledger_entries").fetchone() or (0,)
    return int(count)


def _check(one: Finance, count: int) -> None:
    pattern = entries.entries(0)
    wanted = sum(entry["amount_minor"] for entry in pattern) * (count // len(pattern))
    with psycopg.connect(one.postgres.dsn) as connection:
        query = "SELECT count(*), coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries"
        found = connection.execute(query.encode()).fetchone()
    if found != (count, wanted):
        raise Failed(f"the table has (rows, sum) {found}, wanted are {(count, wanted)}")


def rows(figures: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each figure beside its target."""
    row = stock_broker.row
    rate, killed = figures["rate"], figures["entries"] / figures["killed_s"]
    yield row(f"rows/s, {figures['entries']:,} entries", "at least 5,000", rate, "{:,.0f}", rate >= 5_000)
    yield row("CPU us per row in Connect", "", figures["sink_us"], "{:.0f}", None)
    yield row("CPU us per row in PostgreSQL", "", figures["database_us"], "{:.0f}", None)
    yield row("seconds until rows flow again after a SIGKILL", "", figures["flowing_s"], "{:.1f}", None)
    yield row("rows/s with that SIGKILL", "", killed, "{:,.0f}", None)
    yield row("seconds from the start until all sinks run", "", figures["start_s"], "{:.1f}", None)
