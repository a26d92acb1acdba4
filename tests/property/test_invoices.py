"""Invoices under whatever comes: sums to the last fen, nothing asked for twice, never more red than blue."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain import calendar
from streams.domain.outcome import Outcome
from streams.domain.rules import data
from streams.domain.tax import steps
from streams.domain.tax.integrity import sealed
from streams.domain.tax.invoice import red_id
from streams.domain.tax.reds import allocate
from streams.domain.tax.split import Line, greedy

SETTINGS = data.tax()
T0 = calendar.at(2026, 1, 20, 9)
HOUR, MINUTE = calendar.HOUR_MS, calendar.MINUTE_MS
FIRM = {"type": "enterprise", "name": "云帆", "tax_number": "0" * 15, "bank": "b", "bank_account": "1"}
GUIDS = ("G1", "G2", "G3")
PRICES = {"G1": [400_000, 700_000], "G2": [1_300_000], "G3": [20_000, 3_333]}


@pytest.mark.rule("TAX-06")
@given(
    st.lists(st.tuples(st.integers(0, 5_000), st.one_of(st.none(), st.integers(1, 9))), max_size=12),
    st.integers(50, 2_000),
)
def test_splits_are_exact_below_the_cap_and_keep_lines_whole(given_: list[tuple[int, int | None]], cap: int) -> None:
    lines = [Line("G", number, "S", units, amount) for number, (amount, units) in enumerate(given_)]
    parts = greedy(lines, cap)
    sums = Counter[int]()
    for part in parts:
        assert 0 < sum(line.amount for line in part) <= cap
        for line in part:
            assert line.amount > 0
            sums[line.line_no] += line.amount
    assert sums == Counter({line.line_no: line.amount for line in lines if line.amount})
    pieces = Counter(line.line_no for part in parts for line in part)
    assert all(pieces[line.line_no] == 1 for line in lines if 0 < line.amount <= cap)
    for left, right in pairwise(parts):
        assert sum(line.amount for line in left) + right[0].amount > cap, "the next line would have fitted"


@pytest.mark.rule("TAX-09")
@given(
    st.integers(0, 3_000),
    st.one_of(st.none(), st.integers(0, 4)),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 800)), max_size=6),
)
def test_a_refund_takes_what_it_is_and_no_more_than_there_is(
    amount: int, line_no: int | None, slots: list[tuple[int, int]]
) -> None:
    takes, over = allocate(amount, line_no, slots)
    assert sum(takes) + over == amount
    assert all(0 <= take <= left for take, (_, left) in zip(takes, slots, strict=True))
    assert not over or sum(takes) == sum(left for _, left in slots)


class World:
    """The rules over dicts: messages to itself are delivered in order, timers by their time."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], Any] = {}
        self.timers: dict[tuple[str, str], int] = {}
        self.out: list[tuple[str, str, Any]] = []
        self.now = T0
        self.orders: dict[str, dict[str, Any]] = {}
        self.answered = set[str]()
        code = {"tax_code": "1" * 19, "exempt": False, "rate": 1300}
        self.say({"do": "set", "at": T0, "ref": "sku/S", "value": code})

    def say(self, message: dict[str, Any]) -> None:
        self._done(steps.step(self._get, message, self.now, SETTINGS, lambda number: None).outcome)

    def _get(self, table: str, key: str) -> Any:
        return self.tables.get((table, key))

    def _done(self, outcome: Outcome) -> None:
        for table, key, row in outcome.writes:
            if row is None:
                self.tables.pop((table, key), None)
            else:
                self.tables[table, key] = row
        for kind, key, due in outcome.timers:
            if due is None:
                self.timers.pop((kind, key), None)
            else:
                self.timers[kind, key] = due
        for topic, key, value in outcome.sends:
            if topic == "invoice-facts":
                self.say(value)
            else:
                self.out.append((topic, key, value))

    def wait(self, ms: int) -> None:
        end = self.now + ms
        while self.timers and (due := min(self.timers.values())) <= end:
            kind, key = min(name for name, at in self.timers.items() if at == due)
            del self.timers[kind, key]
            self.now = max(self.now, due)
            step = steps.due(self._get, kind, key, self.now, SETTINGS, lambda number: None)
            self._done(step.outcome)
        self.now = end

    def tell(self, guid: str, said: dict[str, Any] | None = None, at: int | None = None, **changes: Any) -> None:
        lines = [[n, "S", 1, price, 0] for n, price in enumerate(PRICES[guid], 1)]
        total = sum(PRICES[guid])
        empty = {"channel": "tmall", "order_no": guid, "currency": "CNY", "total": total, "lines": lines, "paid": 0}
        empty |= {"paid_at": None, "signed_at": None, "clear": True, "refunds": {}, "waybills": [], "address": "here"}
        self.orders[guid] = {**self.orders.get(guid, empty), **changes}
        message = {"do": "order", "at": self.now if at is None else at, "guid": guid, "to": "customer/C"}
        message["order"] = self.orders[guid]
        self.say(message if said is None else {**message, "said": said})

    @property
    def asks(self) -> list[dict[str, Any]]:
        return [value for topic, _, value in self.out if topic == "tax-requests"]

    @property
    def invoices(self) -> dict[str, Any]:
        return {key: row for (table, key), row in self.tables.items() if table == "invoices"}


@pytest.mark.rule("TAX-07")
@pytest.mark.parametrize("ahead", [0, 7 * MINUTE])
def test_when_a_group_goes_out_hangs_on_events_and_not_on_how_far_the_worker_is(ahead: int) -> None:
    world = World()
    world.tell("G3", {"invoice": sealed(FIRM, None)}, paid=23_333, paid_at=T0)
    world.now = T0 + ahead
    world.tell("G3", at=T0, signed_at=T0)
    assert {due for (kind, _), due in world.timers.items() if kind == "group"} == {T0 + HOUR}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ask", "pay", "sign", "reds"]), st.sampled_from(GUIDS), st.just(0)),
        st.tuples(
            st.just("refund"), st.sampled_from(GUIDS), st.sampled_from([1, 20_000, 400_000, 1_100_000, 2_000_000])
        ),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([MINUTE, 20 * MINUTE, 2 * HOUR])),
        st.tuples(st.sampled_from(["issue", "issue", "reject", "fail"]), st.just(""), st.integers(0, 3)),
    ),
    min_size=5,
    max_size=30,
)


def act(world: World, kind: str, guid: str, number: int) -> None:
    if kind == "ask":
        world.tell(guid, {"invoice": sealed(FIRM, None)})
    elif kind == "reds":
        if guid in world.orders:
            world.tell(guid, {"reds": True})
    elif kind == "pay":
        world.tell(guid, paid=sum(PRICES[guid]), paid_at=world.now)
    elif kind == "sign":
        world.tell(guid, signed_at=world.orders.get(guid, {}).get("signed_at") or world.now)
    elif kind == "refund":
        refunds = world.orders.get(guid, {}).get("refunds", {})
        world.tell(guid, refunds={**refunds, f"r{len(refunds)}": [number, None]})
    elif kind == "wait":
        world.wait(number)
    elif number < len(world.asks):
        answer(world, world.asks[-1 - number], kind)


def answer(world: World, ask: dict[str, Any], kind: str) -> None:
    if kind != "fail":
        world.answered.add(ask["request_id"])
    event = {"issue": "invoice_issued", "reject": "invoice_rejected", "fail": "attempt_failed"}[kind]
    said = {"event_type": event, "request_id": ask["request_id"], "invoice_code": f"F-{ask['request_id']}"}
    world.say({**said, "do": "answer", "at": world.now, "error_code": "E", "attempt": 1})


@pytest.mark.rule("TAX-06", "TAX-07", "TAX-08", "TAX-09")
@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_whatever_happens_each_fen_is_invoiced_once_and_taken_back_at_most_once(
    actions: list[tuple[str, str, int]],
) -> None:
    world = World()
    for action in actions:
        act(world, *action)
        check(world)
    for guid in GUIDS:  # and in the end it all comes out
        act(world, "pay", guid, 0)
        act(world, "sign", guid, 0)
        act(world, "ask", guid, 0)
    for _ in range(4):
        world.wait(3 * HOUR)
        for ask in world.asks:
            if ask["request_id"] not in world.answered:
                answer(world, ask, "issue")
        for guid in GUIDS:
            act(world, "ask", guid, 0)  # those that were rejected
            act(world, "reds", guid, 0)
        check(world)
    live = [row for row in world.invoices.values() if row["status"] != "rejected"]
    for guid in GUIDS:
        order = world.orders[guid]
        owed = max(0, order["total"] - sum(amount for amount, _ in order["refunds"].values()))
        lines = [line for row in live for line in row["lines"] if line["guid"] == guid]
        reds = [red for row in live for red in row["reds"].values() if red["guid"] == guid]
        assert {red["status"] for red in reds} <= {"issued"}
        blue = sum(line["amount_minor"] for line in lines)
        assert blue - sum(red["amount"] for red in reds) == owed, guid


def check(world: World) -> None:
    names = [ask["request_id"] for ask in world.asks]
    assert len(names) == len(set(names)), "asked for twice"
    live = {name: row for name, row in world.invoices.items() if row["status"] != "rejected"}
    asked = {ask["request_id"]: ask for ask in world.asks}
    blue = Counter[str]()
    for name, row in live.items():
        assert row["amount"] == asked[name]["amount_minor"] == sum(line["amount_minor"] for line in row["lines"])
        assert row["amount"] <= SETTINGS.cap_minor
        red = sum(entry["amount"] for entry in row["reds"].values())
        assert red <= row["amount"]
        tax = -sum(asked[red_id(name, number)]["tax_minor"] for number in row["reds"])
        assert tax <= row["tax"]
        assert tax == row["tax"] or red < row["amount"]
        assert row["red"] == sum(entry["amount"] for entry in row["reds"].values() if entry["status"] == "issued")
        assert sum(line["left"] for line in row["lines"]) == row["amount"] - red
        assert all(0 <= line["left"] <= line["amount_minor"] for line in row["lines"])
        for line in row["lines"]:
            blue[line["guid"]] += line["amount_minor"]
    for guid, amount in blue.items():
        assert amount <= sum(PRICES[guid]), guid
