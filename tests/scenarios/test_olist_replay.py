"""The real orders, replayed: the same bytes each time, and the same states in whatever order the events come."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.commands.replay import run as replay
from streams.convert.common import write
from streams.convert.olist import convert
from streams.data import SAMPLE
from streams.lines import BadLine, Line, read_lines
from tests.scenarios.play import BY_ARRIVAL, Played, play, records
from tests.support.effort import SOAK

RANKS = ("pending_payment", "paid", "shipped", "logistics_signed", "customer_signed")
LATER = 400
"""How many lines after its first coming a duplicate comes at most."""


def lines_of(path: Path) -> list[Line]:
    found = [entry for entry in read_lines([path]) if not isinstance(entry, BadLine)]
    assert found
    return found


def expected(lines: Iterable[Line]) -> dict[str, dict[str, Any]]:
    """What the states must be, by order number, from the events alone and without any rule of the package.

    The highest of created, paid, picked up and signed that was told of an order; what was paid; whether it was closed;
    whether a step was left out. Orders without lines are refused and have no state. Nobody confirms a delivery, so an
    order that was signed for, and not closed, counts as confirmed a week after the last of all events.
    """
    orders: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"ranks": set(), "paid": 0, "closed": False, "lines": False}
    )
    ranks = {"order_created": 0, "payment_succeeded": 1, "picked_up": 2, "signed": 3}
    seen = set()
    for line in lines:
        value = line.value
        if value["event_id"] in seen:
            continue
        seen.add(value["event_id"])
        order = orders[value["event_id"].partition("-")[0]]
        order["lines"] |= bool(value.get("lines"))
        order["closed"] |= value.get("raw_status") in ("canceled", "unavailable")
        if value["event_type"] in ranks:
            order["ranks"].add(ranks[value["event_type"]])
        if value["event_type"] == "payment_succeeded":
            order["paid"] += value["amount_minor"]
    return {
        number: {
            "state": RANKS[max(order["ranks"]) + (max(order["ranks"]) == 3 and not order["closed"])],
            "paid_minor": order["paid"],
            "closed": order["closed"],
            "gap": len(order["ranks"]) <= max(order["ranks"]),
        }
        for number, order in orders.items()
        if order["lines"]
    }


def summary(states: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        number: {
            "state": state["state"],
            "paid_minor": state["paid_minor"],
            "closed": "closed" in state["flags"],
            "gap": "gap" in state["flags"],
        }
        for number, state in states.items()
    }


def jumbled(lines: Sequence[Line], seed: int, *, whole_orders: bool) -> list[Line]:
    """The lines with those of one order and source (or of one order) in another order, and every tenth one twice.

    Each keeps to the places in the stream that its group had; a duplicate comes up to LATER lines after the first.
    """
    chance = random.Random(seed)
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        order_id = line.value["event_id"].partition("-")[0]
        places[(order_id,) if whole_orders else (order_id, line.value["source"])].append(place)
    mixed = list(lines)
    for group in places.values():
        for place, origin in zip(group, chance.sample(group, len(group)), strict=True):
            mixed[place] = lines[origin]
    slots: list[tuple[float, Line]] = [(float(place), line) for place, line in enumerate(mixed)]
    slots += [(place + chance.random() * LATER, line) for place, line in enumerate(mixed) if place % 10 == 0]
    return [line for _, line in sorted(slots, key=lambda slot: slot[0])]


def as_records(lines: Iterable[Line], folder: Path) -> list[Any]:
    path = folder / "lines.jsonl"
    path.write_bytes(b"".join(line.raw + b"\n" for line in lines))
    return records(path)


def play_out(events: Sequence[Any], last: int) -> Played:
    """The events, and a week and a day after the last of them, ms."""
    played = play(events)
    played.runner.advance(last + 8 * 86_400_000)
    return played


def last_of(lines: Iterable[Line]) -> int:
    return max(int(line.value["event_time"]) for line in lines)


def final(played: Played) -> dict[str, dict[str, Any]]:
    """The last states without `version`. Left out are the few orders that were delivered and cancelled as well: where
    the cancellation is read a week after the delivery, the order counts as confirmed by then, and states never go back.
    """
    states = played.states.items()
    odd = {key for key, state in states if "closed" in state["flags"] and "logistics_signed" in state["entered_at"]}
    assert len(odd) < len(states) / 100
    return {number: {**state, **BY_ARRIVAL} for number, state in states if number not in odd}


@pytest.fixture(scope="module")
def sample() -> Played:
    return play_out(records(SAMPLE), last_of(lines_of(SAMPLE)))


def test_the_sample_gives_the_same_bytes_each_time(sample: Played) -> None:
    assert sample.bytes() == play_out(records(SAMPLE), last_of(lines_of(SAMPLE))).bytes()


def test_every_order_of_the_sample_ends_where_its_events_say(sample: Played) -> None:
    lines = lines_of(SAMPLE)
    wanted = expected(lines)
    found = summary(sample.states)
    assert found == wanted
    assert Counter(state["state"] for state in found.values()) == Counter(state["state"] for state in wanted.values())


def test_orders_without_items_are_refused_and_nothing_else(sample: Played) -> None:
    empty = sum(line.value.get("lines") == [] for line in lines_of(SAMPLE))
    assert sample.dead == {"contract": empty}
    assert {letter["error"] for letter in sample.output("dead-letters")} == {"order_created without lines"}


def test_every_event_of_an_order_with_a_state_is_audited_once(sample: Played) -> None:
    wanted = expected(lines_of(SAMPLE))
    events = [line for line in lines_of(SAMPLE) if line.value["event_id"].partition("-")[0] in wanted]
    audited = Counter(row["event_id"] for row in sample.output("audit-log") if row["source"] != "logistics")
    assert audited == Counter(line.value["event_id"] for line in events)


@pytest.mark.parametrize("whole_orders", [False, True], ids=["within each source", "across sources"])
def test_shuffled_and_doubled_events_end_in_the_same_states(sample: Played, tmp_path: Path, whole_orders: bool) -> None:
    lines = jumbled(lines_of(SAMPLE), 7, whole_orders=whole_orders)
    assert len(lines) > 1.09 * len(lines_of(SAMPLE))
    assert final(play_out(as_records(lines, tmp_path), last_of(lines))) == final(sample)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1")
def test_the_whole_extract_gives_the_same_bytes_twice_and_the_same_states_when_shuffled(tmp_path: Path) -> None:
    root = Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[3] / "shared") / "data" / "olist"
    if not root.is_dir():
        pytest.skip("reference data not at hand (set OMS_REFERENCE)")
    source = tmp_path / "olist.jsonl"
    count = write(source, convert(root))
    folders = [tmp_path / "one", tmp_path / "two"]
    began = time.perf_counter()
    for folder in folders:
        replay([source], folder, None, 2_000_000_000_000)
    seconds = (time.perf_counter() - began) / 2
    first, second = ({path.name: digest(path) for path in sorted(folder.iterdir())} for folder in folders)
    print(f"\n{count:,} events, {seconds:.1f} s per replay, order-states {first['order-states.jsonl'][:16]}")
    assert first == second
    lines = lines_of(source)
    straight = play_out(records(source), last_of(lines))
    assert summary(straight.states) == expected(lines)
    mixed = jumbled(lines, 11, whole_orders=False)
    print(f"{len(mixed):,} events shuffled and doubled, {len(straight.states):,} states")
    assert final(play_out(as_records(mixed, tmp_path), last_of(lines))) == final(straight)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
