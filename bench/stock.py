"""CPU of the inventory agent alone, without a broker: decisions per second for one SKU, and for a million of them.

    python -m bench.stock hot [--units 87] [--orders 127000] [--profile]
    python -m bench.stock wide [--skus 1000000] [--orders 200000]

`hot`: one SKU, every order wants one unit. `wide`: SKUs with stock in three warehouses each, orders spread over them,
and units enough for all: a refusal costs a fraction of a hold, so with fewer units few SKUs would seem the faster.
Turns of 2,000 commands over a RocksDB store in a temporary folder; produce and consume are missing, all else is there.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import orjson

from streams import topology
from streams.agents.inventory import inventory
from streams.engine.process import settle
from streams.engine.record import LocalRecord
from streams.engine.rocks import RocksStore
from streams.engine.store import Change
from streams.engine.task import POSITION, Task, _pair

TURN = 2_000
T0 = 1_769_220_000_000
SOURCE = "stock-commands"
Command = tuple[str, dict[str, Any]]


def received(sku: str, warehouse: str, units: int, number: int) -> Command:
    """Goods for a warehouse."""
    value = {"kind": "stock", "sku": sku, "warehouse": warehouse, "quantity": units}
    fact = {"event_type": "reference_set", "event_id": f"r{number}", "event_time": T0, "source": "oms", "topic": "ops"}
    return sku, {**fact, "sku": sku, "set": value}


def each(skus: int, orders: int) -> int:
    """Units per warehouse so that every one of the orders, spread over the SKUs by chance, finds its unit."""
    return 20 + orders // skus


def reserve(sku: str, number: int) -> Command:
    """An order of one unit, 127,000 of them in three seconds of event time."""
    value = {"do": "reserve", "sku": sku, "order_guid": f"DB20260124{number:012d}", "lines": [[1, 1]]}
    rest = {"channel": "douyin", "activity": None, "warehouse": None, "customer_id": f"c{number}", "round": 1}
    return sku, {**value, "at": T0 + 1 + number * 3_000 // 127_000, **rest}


class Line:
    """One task and what goes through it."""

    def __init__(self, folder: Path) -> None:
        self._task = Task(inventory, 0, RocksStore(folder), topology.load(), kept_rows=4_096)
        self._offset = 0
        self.outcomes: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.seconds = 0.0

    def run(self, commands: Iterable[Command]) -> int:
        """All commands in turns; how many."""
        count = 0
        for turn in _turns(commands):
            records = []
            for sku, value in turn:
                records.append(LocalRecord(SOURCE, 0, self._offset, sku.encode(), orjson.dumps(value)))
                self._offset += 1
            out: list[tuple[str, bytes | None]] = []
            begun = process_time()
            self._turn(records, out)
            self.seconds += process_time() - begun
            count += len(turn)
            for topic, data in out:
                self.sent[topic] += 1
                if topic == "order-facts":
                    self.outcomes[json.loads(data or b"")["lines"][0][1]] += 1
        return count

    def _turn(self, records: list[LocalRecord], out: list[tuple[str, bytes | None]]) -> None:
        task = self._task
        task.begin(lambda topic, value, key: out.append((topic, value)), None, None)
        task.fire()
        task.fold(SOURCE, records)
        task.collect()
        changes = task.changes()
        last: Change = (POSITION, _pair.pack(self._offset, 0))
        task.store.write([last], task.store.prepare(changes))
        task.committed()

    def report(self, name: str, count: int) -> Iterator[str]:
        """Lines of the report, and the clock set back."""
        rate, peak = count / self.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cost = f"{self.seconds:.2f} s of CPU, {rate:,.0f}/s, {1e6 / rate:.1f} us each"
        yield f"{name}: {count:,} in {cost}; peak {peak:,.0f} MB"
        yield f"    {dict(self.outcomes)} {dict(self.sent)}"
        self.seconds = 0.0
        self.outcomes.clear()
        self.sent.clear()


def _turns(commands: Iterable[Command]) -> Iterator[Sequence[Command]]:
    rest = iter(commands)
    while turn := list(islice(rest, TURN)):
        yield turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stock", description=__doc__)
    parser.add_argument("what", choices=["hot", "wide"])
    parser.add_argument("--units", type=int, default=87)
    parser.add_argument("--orders", type=int, default=127_000)
    parser.add_argument("--skus", type=int, default=1_000_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    settle()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder) / "store")
        if options.what == "hot":
            line.run([received("hot", "hz", options.units, 0)])
            line.seconds = 0.0
            if options.profile:
                profile.enable()
            count = line.run(reserve("hot", number) for number in range(options.orders))
        else:
            units = each(options.skus, options.orders)
            goods = (received(f"sku-{n}", w, units, n) for n in range(options.skus) for w in ("bj", "gz", "hz"))
            for said in line.report("loaded", line.run(goods)):
                print(said, flush=True)
            random = Random(7)
            if options.profile:
                profile.enable()
            orders = (reserve(f"sku-{random.randrange(options.skus)}", number) for number in range(options.orders))
            count = line.run(orders)
        profile.disable()
        for said in line.report("reserved", count):
            print(said)
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
