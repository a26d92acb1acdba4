"""Random money of a few orders, a ledger that takes it in whatever order, and what must come out, worked out from the
bag of facts at once and without any code of the package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as some

from streams.domain import ledger as rules
from streams.domain.ledger import periods
from streams.domain.rules import data

T0 = 1_768_870_800_000
HOUR = 3_600_000
FOREVER = T0 + 1000 * 24 * HOUR

SETTINGS = data.ledger()
AT_ONCE = replace(SETTINGS, rules={**SETTINGS.rules, "kuaishou": replace(SETTINGS.rules["douyin"], wait=False)})
"""With a channel that does not wait for the end of the window."""

Fact = dict[str, Any]
MONEY = ("payment_succeeded", "balance_paid", "deposit_paid", "refund_settled", "fee_charged")
OTHERS = (
    ("couriers", "picked_up"),
    ("couriers", "scanned"),
    ("couriers", "signed"),
    ("orders", "cancel_marked"),
    ("orders", "buyer_confirmed"),
    ("service", "confirmation_scanned"),
)
TIMES = some.sampled_from([0, 1, 5, 71, 72, 73, 80, 200]).map(lambda hours: hours * HOUR) | some.integers(0, 90 * HOUR)
AMOUNTS = some.sampled_from([100, 200, 294, 295, 300, 301]) | some.integers(0, 400)


@some.composite
def orders(draw: some.DrawFn) -> list[list[Fact]]:
    """The facts of up to three orders; of each the order_created first."""
    return [draw(order(f"G{number}")) for number in range(draw(some.integers(1, 3)))]


@some.composite
def order(draw: some.DrawFn, guid: str) -> list[Fact]:
    lines = draw(
        some.lists(
            some.fixed_dictionaries({"quantity": some.integers(1, 3), "unit_price_minor": some.integers(0, 120)}),
            min_size=1,
            max_size=4,
        )
    )
    created: Fact = {
        "topic": "orders",
        "event_type": "order_created",
        "channel": draw(some.sampled_from(["douyin", "wechat_mini", "tmall", "kuaishou"])),
        "lines": [{"line_no": n, **line} for n, line in enumerate(lines, 1)],
        "total_minor": draw(some.sampled_from([None, 0, 300, 300, 300])),
        "discounts": [{"amount_minor": draw(some.integers(0, 100))}],
        "currency": "CNY",
        "event_time": T0,
    }
    facts = [created]
    for _ in range(draw(some.integers(0, 8))):
        if draw(some.booleans()):
            money = {"amount_minor": draw(AMOUNTS), "currency": draw(some.sampled_from(["CNY"] * 9 + ["USD"]))}
            fact = {"topic": "payments", "event_type": draw(some.sampled_from(MONEY)), **money}
        else:
            topic, kind = draw(some.sampled_from(OTHERS))
            fact = {"topic": topic, "event_type": kind}
        facts.append({**fact, "event_time": T0 + draw(TIMES)})
    named = {"source": "s", "order_guid": guid, "digest": 0}
    return [{**fact, **named, "event_id": f"{guid}-{n}"} for n, fact in enumerate(facts)]


class Ledger:
    """Takes facts as the agent does: stream time goes on with them and fires timers on its way."""

    def __init__(self, settings: rules.Settings = AT_ONCE, locked: int = periods.NONE) -> None:
        self.settings = settings
        self.locked = locked
        self.rows: dict[str, Any] = {}
        self.entries: list[dict[str, Any]] = []
        self.facts: dict[str, Fact] = {}
        self.now = 0

    def take(self, facts: Iterable[Fact], end: int = FOREVER) -> Ledger:
        for fact in facts:
            self.until(fact["event_time"])
            if rules.concerns(fact):
                guid = fact["order_guid"]
                self._keep(guid, rules.step(self.rows.get(guid), fact, self.now, self.locked, self.settings))
            self.facts[fact["event_id"]] = fact
            self.check()
        self.until(end)
        self.check()
        return self

    def until(self, time: int) -> None:
        while True:
            dues = [(row["due"], guid) for guid, row in self.rows.items() if row.get("due", time + 1) <= time]
            if not dues:
                break
            at, guid = min(dues)
            self.now = max(self.now, at)
            self._keep(guid, rules.due(guid, self.rows[guid], at, self.locked, self.settings))
            assert self.rows[guid].get("due") != at, "a timer that is due again at once would never end"
        self.now = max(self.now, time)

    def _keep(self, guid: str, outcome: rules.Outcome) -> None:
        if outcome.row is not None:
            self.rows[guid] = outcome.row
        self.entries += outcome.entries

    def check(self) -> None:
        """What holds at every moment, per order and so in total."""
        names = [entry["entry_id"] for entry in self.entries]
        assert len(names) == len(set(names))
        posted = {entry["entry_id"]: entry["recognized_at"] for entry in self.entries}
        assert all(posted[e["reversal_of"]] <= e["recognized_at"] for e in self.entries if e["reversal_of"])
        for guid in self.rows:
            account = balances(entry for entry in self.entries if entry["order_guid"] == guid)
            paid, refunded, fees = moved(fact for fact in self.facts.values() if fact["order_guid"] == guid)
            assert account["cash"] == paid - refunded - fees
            sold = -account["revenue"] - account["discounts"] - account["refunds"]
            assert -account["customer_advances"] + sold == paid - refunded
            lines = Counter(
                name.split("~")[0]
                for name in self.standing(guid)
                if name.startswith((f"{guid}/revenue", f"{guid}/discount"))
            )
            assert not lines or max(lines.values()) == 1, "revenue is recognised once per order and line"

    def standing(self, guid: str | None = None) -> dict[str, dict[str, Any]]:
        """Entries that were not reversed, by id, of an order or all."""
        gone = {entry["reversal_of"] for entry in self.entries}
        return {
            entry["entry_id"]: entry
            for entry in self.entries
            if entry["entry_id"] not in gone and not entry["reversal_of"] and guid in (None, entry["order_guid"])
        }


def balances(entries: Iterable[dict[str, Any]]) -> Counter[str]:
    """Debit less credit of each account."""
    found: Counter[str] = Counter()
    for entry in entries:
        found[entry["debit_account"]] += abs(entry["amount_minor"])
        found[entry["credit_account"]] -= abs(entry["amount_minor"])
    return found


def moved(facts: Iterable[Fact]) -> tuple[int, int, int]:
    """(paid, refunded, fees) of a bag of facts."""
    found = Counter[str]()
    for fact in facts:
        if fact["event_type"] in MONEY and fact["currency"] == "CNY":
            found[fact["event_type"]] += fact["amount_minor"]
    paid = found["payment_succeeded"] + found["balance_paid"] + found["deposit_paid"]
    return paid, found["refund_settled"], found["fee_charged"]


def revenue_at(facts: list[Fact]) -> int | None:
    """When the revenue of an order is recognised, once all its facts are known; None for never."""
    created = facts[0]
    worth = sum(line["quantity"] * line["unit_price_minor"] for line in created["lines"])
    price = created["total_minor"]
    if price is None:
        price = max(0, worth - created["discounts"][0]["amount_minor"]) if worth else None
    if price is None:
        return None

    def times(*kinds: str) -> list[int]:
        return sorted(fact["event_time"] for fact in facts if fact["event_type"] in kinds)

    cny = [fact for fact in facts if fact.get("currency") == "CNY" and fact["event_type"] in MONEY]

    def by(at: int, *kinds: str) -> int:
        return sum(fact["amount_minor"] for fact in cny if fact["event_type"] in kinds and fact["event_time"] <= at)

    finals = [fact["event_time"] for fact in cny if fact["event_type"] in ("payment_succeeded", "balance_paid")]
    receipts = ("payment_succeeded", "balance_paid", "deposit_paid")
    moments = sorted({fact["event_time"] for fact in cny} | {T0})
    paid = [at for at in moments if by(at, *receipts) >= max(1, price - 5) and finals and at >= min(finals)]
    if price == 0:
        paid = [T0]
    if not paid:
        return None
    wanted = [paid[0]]
    confirmed = times("buyer_confirmed", "confirmation_scanned")
    if created["channel"] in ("douyin", "kuaishou"):
        if any(paid[0] <= at < paid[0] + 72 * HOUR for at in times("cancel_marked")):
            return None
        wanted.append(min(times("picked_up", "scanned", "signed"), default=FOREVER))
        if created["channel"] == "douyin":
            wanted.append(paid[0] + 72 * HOUR)
    elif created["channel"] == "tmall":
        wanted.append(min(confirmed, default=FOREVER))
    at = max(wanted)
    if confirmed and confirmed[0] <= at:
        at = max(at, min(times("signed"), default=FOREVER))
    if at >= FOREVER or 0 < by(at, *receipts) <= by(at, "refund_settled"):
        return None
    return at


def price_of(created: Fact) -> int:
    worth = sum(line["quantity"] * line["unit_price_minor"] for line in created["lines"])
    if created["total_minor"] is not None:
        return int(created["total_minor"])
    return int(max(0, worth - created["discounts"][0]["amount_minor"]))
