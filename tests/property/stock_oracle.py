"""The stock of a SKU told once more, as plainly as can be: no rows, no timers, everything summed up anew each time.

Written from the rules, not from the code; slow and easy to read. `Oracle.tell` says what must come of a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MINUTE = 60_000
DAY = 86_400_000
HOLD = 15 * MINUTE
POOLS = ("sales", "reserved", "quality_check", "in_transit")
WORDS = {"held": "held", "sold": "confirmed", "released": "released", "expired": "expired", "returned": "returned"}

OVER = ("released", "expired")


class Refused(Exception):
    """The whole message is refused."""


@dataclass
class Line:
    number: int
    units: int
    state: str
    until: int
    round: int = 0
    warehouse: str | None = None
    quota: int | None = None
    freeze: int = 0
    took: list[tuple[str, int]] = field(default_factory=list)
    short: int = 0
    back: int = 0


@dataclass
class Order:
    lines: dict[int, Line] = field(default_factory=dict)
    virtual: dict[int, int] = field(default_factory=dict)
    look: int = 0


@dataclass
class Figure:
    """The newest level told of a pool; `before`: what was known then, `since`: when the one before it was told."""

    at: int
    units: int
    before: int
    since: int


@dataclass
class Quota:
    name: tuple[str | None, str | None]
    limit: int
    at: int


def whole(units: Any) -> bool:
    return type(units) is int and 0 < units <= 10**15


class Sku:
    def __init__(self, name: str) -> None:
        self.name = name
        self.levels: dict[tuple[str, str], int] = {}
        self.touched: dict[tuple[str, str], int] = {}
        self.figures: dict[tuple[str, str], Figure] = {}
        self.orders: dict[str, Order] = {}
        self.forgotten: list[Line] = []
        self.carts: dict[str, list[int]] = {}
        self.drew: dict[str, dict[int, int]] = {}
        """Units of a customer's cart by the quota they count in."""
        self.quotas: dict[int, Quota] = {}
        self.quotas_made = 0
        self.activities: dict[str, dict[str, Any]] = {}
        self.debt = 0
        self.oversold: list[tuple[int, int]] = []
        self.paused = False
        self.fresh: set[int] = set()
        """Lines that the command in hand has sold short."""
        self.seen: set[tuple[str, str]] = set()
        self.replies: list[tuple[str, str, list[tuple[int, str, str | None]]]] = []
        self.existed = 0
        self.sold = 0

    # -- sums -------------------------------------------------------------------------------------------------------

    def warehouses(self) -> list[str]:
        return sorted({warehouse for warehouse, _ in self.touched})

    def pool(self, pool: str) -> int:
        return sum(units for (_, name), units in self.levels.items() if name == pool)

    def lines(self, *states: str) -> list[Line]:
        return [line for order in self.orders.values() for line in order.lines.values() if line.state in states]

    def held(self) -> int:
        return sum(line.units for line in self.lines("held")) + sum(units for units, _ in self.carts.values())

    def frozen(self) -> int:
        return sum(line.freeze for line in self.lines("held"))

    def free(self) -> int:
        return self.pool("sales") - self.held()

    def used(self, quota: int) -> int:
        drew = [*self.lines("held", "sold", "returned"), *self.forgotten]
        ordered = sum(line.units - line.back for line in drew if line.quota == quota and line.state not in OVER)
        return ordered + sum(cart.get(quota, 0) for cart in self.drew.values())

    def aside(self) -> int:
        return sum(quota.limit - self.used(number) for number, quota in self.quotas.items())

    def gap(self) -> int:
        return sum(-units for (_, pool), units in self.levels.items() if pool == "sales" and units < 0)

    def add(self, warehouse: str, pool: str, units: int, at: int) -> None:
        place = (warehouse, pool)
        self.levels[place] = self.levels.get(place, 0) + units
        self.touched[place] = max(at, self.touched.get(place, 0))

    def square(self) -> None:
        self.debt = min(max(self.debt, -self.pool("sales")), max(0, -self.free()))

    # -- time -------------------------------------------------------------------------------------------------------

    def pass_time(self, now: int) -> None:
        while True:
            due: list[tuple[int, str, str]] = [
                *((order.look, "order", guid) for guid, order in self.orders.items()),
                *((until, "cart", customer) for customer, (_, until) in self.carts.items()),
                *((activity["ends_at"], "activity", name) for name, activity in self.activities.items()),
            ]
            if not due or min(due)[0] > now:
                return
            at, what, name = min(due)
            if what == "cart":
                del self.carts[name], self.drew[name]
            elif what == "activity":
                del self.activities[name]
                self.quotas = {number: quota for number, quota in self.quotas.items() if quota.name[1] != name}
            else:
                self._look(name, at)
            self.square()

    def _look(self, guid: str, at: int) -> None:
        order = self.orders[guid]
        over = [line for line in order.lines.values() if line.state == "held" and line.until <= at]
        if over:
            for line in over:
                self.end(line, "expired", at)
            self.replies.append((guid, "expire", [(line.number, "expired", None) for line in over]))
            self.remember(order, at)
        elif order.virtual:
            self.remember(order, at)
        else:
            self.forgotten += self.orders.pop(guid).lines.values()

    def end(self, line: Line, state: str, at: int) -> None:
        line.state, line.until, line.freeze = state, at, 0

    def remember(self, order: Order, at: int) -> None:
        held = [line.until for line in order.lines.values() if line.state == "held"]
        kept = [line.until + (30 * DAY if line.state == "sold" else DAY) for line in order.lines.values()]
        order.look = min(held) if held else max(kept, default=0)
        if order.look <= at:
            order.look = at + 30 * DAY

    # -- commands ---------------------------------------------------------------------------------------------------

    def command(self, message: dict[str, Any]) -> None:
        do, guid, at = message["do"], message["order_guid"], message["at"]
        if not message["lines"]:
            raise Refused
        managed = bool(self.touched)
        if do == "virtual":
            if managed:
                self.virtual(message)
            return
        if not managed and do in ("reserve", "confirm"):
            self.replies.append((guid, do, [(number, "unmanaged", None) for number, _ in message["lines"]]))
            return
        order = self.orders.get(guid, Order())
        answers = []
        touched = False
        self.fresh = set()
        for number, units in message["lines"]:
            step = {"reserve": self.reserve, "confirm": self.confirm}.get(do, self.release)
            answer, did = step(order, number, units, at, message)
            answers.append((number, *answer))
            touched |= did
        if do == "confirm":
            self.trip(at, sum(order.lines[number].short for number in self.fresh))
        if touched:
            self.orders[guid] = order
            self.remember(order, at)
        self.replies.append((guid, do, answers))

    def reserve(
        self, order: Order, number: int, units: Any, at: int, message: dict[str, Any]
    ) -> tuple[tuple[str, str | None], bool]:
        line, this_round = order.lines.get(number), message.get("round") or 0
        if line is not None and (line.state in ("held", "sold") or this_round <= line.round):
            return (WORDS[line.state], None), False
        if not whole(units):
            return ("refused", "bad_quantity"), False
        activity = self.activities.get(message.get("activity") or "")
        named = message.get("activity")
        if activity is not None and not activity["starts_at"] <= at < activity["ends_at"]:
            named = activity = None
        customer = message.get("customer_id")
        cart = self.carts.get(customer) if customer else None
        if cart is not None and at >= cart[1]:
            cart = None
        free = self.free() + (cart[0] if cart else 0)
        quota = self.quota_of(message.get("channel"), named)
        drew = {of: n for of, n in self.drew[str(customer)].items() if of in self.quotas} if cart else {}
        unquoted = cart[0] - sum(drew.values()) if cart else 0
        freeze = -(-units * activity["freeze_per_1000"] // 1000) if activity else 0
        if self.paused:
            return ("refused", "out_of_stock"), False
        if quota is not None and units > self.quotas[quota].limit - self.used(quota) + drew.get(quota, 0):
            return ("refused", "quota_spent"), False
        if units > (free if quota is not None else self.free() + unquoted - self.aside()):
            return ("refused", "out_of_stock"), False
        if freeze > self.pool("reserved") - self.frozen() and freeze:
            return ("refused", "reserved_short"), False
        if cart is not None:
            goes = min(cart[0], units)
            cart[0] -= goes
            for of in [quota, None, *drew]:
                part = min(goes, unquoted if of is None else drew.get(of, 0))
                goes -= part
                if of is None:
                    unquoted -= part
                elif part:
                    drew[of] -= part
            self.drew[str(customer)] = {of: n for of, n in drew.items() if n}
            if not cart[0]:
                del self.carts[str(customer)], self.drew[str(customer)]
        warehouse = message.get("warehouse")
        order.lines[number] = Line(number, units, "held", at + HOLD, this_round, warehouse, quota, freeze)
        # It must count at once: the next line of the bundle sees it.
        self.orders.setdefault(message["order_guid"], order)
        return ("held", None), True

    def quota_of(self, channel: str | None, activity: str | None) -> int | None:
        for name in ((channel, activity), (None, activity), (channel, None)):
            if name != (None, None):
                for number, quota in self.quotas.items():
                    if quota.name == name:
                        return number
        return None

    def confirm(
        self, order: Order, number: int, units: Any, at: int, message: dict[str, Any]
    ) -> tuple[tuple[str, str | None], bool]:
        line, this_round = order.lines.get(number), message.get("round") or 0
        if line is not None and (line.state == "sold" or (line.state == "returned" and this_round <= line.round)):
            return ("oversold" if line.short and line.state == "sold" else WORDS[line.state], None), False
        if line is None:
            if not whole(units):
                return ("refused", "bad_quantity"), False
            line = Line(number, units, "none", at, 0)
        line.warehouse = message.get("warehouse") or line.warehouse
        wanted, sells = line.warehouse, line.back if line.state == "returned" else line.units
        first = wanted if wanted in self.warehouses() else self.warehouses()[0]
        if line.state == "held":
            line.short = min(line.units, max(0, line.units - self.pool("sales") - self.debt))
            self.take(line, line.units, wanted, first, at)
        else:
            covered = min(sells, max(0, self.free()))
            line.short = sells - covered
            quota = self.quotas.get(line.quota) if line.quota is not None else None
            if quota is None or quota.limit - self.used(line.quota or 0) < sells:
                line.quota = None
            self.take(line, covered, wanted, first, at)
            if line.short:
                self.take_from(line, first, line.short, at)
        self.debt += line.short
        if line.short:
            self.fresh.add(number)
        line.state, line.until, line.freeze, line.back = "sold", at, 0, 0
        line.round = max(line.round, this_round)
        self.sold += sells
        order.lines[number] = line
        self.orders.setdefault(message["order_guid"], order)
        return ("oversold" if line.short else "confirmed", None), True

    def take(self, line: Line, units: int, wanted: str | None, first: str, at: int) -> None:
        there = {name: self.levels.get((name, "sales"), 0) for name in self.warehouses()}
        for name in sorted(there, key=lambda name: (name != wanted, -there[name], name)):
            part = min(units, max(0, there[name]))
            self.take_from(line, name, part, at)
            units -= part
        self.take_from(line, first, units, at)

    def take_from(self, line: Line, name: str, units: int, at: int) -> None:
        if not units:
            return
        self.add(name, "sales", -units, at)
        line.took = [*line.took, (name, units)]

    def release(
        self, order: Order, number: int, units: Any, at: int, message: dict[str, Any]
    ) -> tuple[tuple[str, str | None], bool]:
        line = order.lines.get(number)
        if line is None or line.state in ("released", "expired"):
            return ("released", None), False
        if line.state == "held":
            self.end(line, "released", at)
            return ("released", None), True
        if line.state == "returned":
            return ("returned", None), False
        line.back = left = min(units, line.units) if whole(units) else line.units
        took, line.took = line.took, []
        for name, part in reversed(took):
            goes = min(part, left)
            if goes:
                self.add(name, "sales", goes, at)
                left -= goes
            if part > goes:
                line.took = [(name, part - goes), *line.took]
        line.short, line.round = 0, max(line.round, message.get("round") or 0)
        self.sold -= line.back
        self.end(line, "returned", at)
        return ("returned", None), True

    def virtual(self, message: dict[str, Any]) -> None:
        order = self.orders.get(message["order_guid"], Order())
        before = dict(order.virtual)
        for number, units in message["lines"]:
            order.virtual.pop(number, None)
            if message["enter"] and whole(units):
                order.virtual[number] = units
        if order.virtual != before:
            self.orders[message["order_guid"]] = order
            self.remember(order, message["at"])

    def trip(self, at: int, units: int) -> None:
        if not units:
            return
        self.oversold.append((at, units))
        newest = max(sold for sold, _ in self.oversold)
        kept = [(sold, units) for sold, units in self.oversold if sold > newest - 30 * MINUTE]
        for end, _ in kept:
            if end - 5 * MINUTE < at <= end and sum(n for sold, n in kept if end - 5 * MINUTE < sold <= end) > 30:
                self.paused = True

    # -- facts ------------------------------------------------------------------------------------------------------

    def fact(self, message: dict[str, Any]) -> None:
        kind, at = message["event_type"], message["event_time"]
        if kind == "reference_set":
            self.set(kind, message["set"], at)
            return
        name = (message["source"], message["event_id"])
        if name in self.seen:
            return
        if kind in ("quota_set", "activity_set"):
            self.set(kind, message["set"], at)
            did = True
        elif kind == "cart_added":
            did = self.cart(message, at)
        elif kind == "manual_command":
            did = self.resume()
        elif kind == "stock_snapshot":
            self.level(message, at)
            did = True
        else:
            did = self.goods(kind, message, at)
        if did:
            self.seen.add(name)

    def cart(self, message: dict[str, Any], at: int) -> bool:
        units = sum(line["quantity"] for line in message["lines"])
        customer = message.get("customer_id")
        if not customer or not self.touched or self.paused:
            return False
        quota = self.quota_of(message.get("channel"), None)
        free = self.free() - self.aside()
        if quota is not None:
            free = min(self.free(), self.quotas[quota].limit - self.used(quota))
        if units > free:
            return False
        before = self.carts.get(customer, [0, 0])
        self.carts[customer] = [before[0] + units, max(before[1], at + HOLD)]
        drew = self.drew.setdefault(customer, {})
        if quota is not None:
            drew[quota] = drew.get(quota, 0) + units
        return True

    def resume(self) -> bool:
        if not self.paused or self.free() < 0:
            raise Refused
        self.paused, self.oversold = False, []
        return True

    def goods(self, kind: str, message: dict[str, Any], at: int) -> bool:
        units, warehouse, pool = message["quantity"], message["warehouse"], message.get("pool") or "sales"
        if not whole(units) or pool not in POOLS:
            raise Refused
        if kind == "stock_moved":
            target, other = message["to_pool"], message.get("to_warehouse") or warehouse
            there = self.levels.get((warehouse, pool), 0)
            promised = {"sales": self.free(), "reserved": self.pool("reserved") - self.frozen()}.get(pool, there)
            figure = self.figures.get((warehouse, pool))
            if figure is not None and at < figure.at:
                there = promised = units if at < figure.since else figure.before
            if (target, other) == (pool, warehouse) or units > there or (units > promised and target != pool):
                raise Refused
            self.bring(warehouse, pool, -units, at)
            self.bring(other, target, units, at)
        else:
            self.bring(warehouse, pool, units, at)
        return True

    def bring(self, warehouse: str, pool: str, units: int, at: int) -> None:
        """What a later figure has seen is in it: then it changes only what was known before that."""
        figure, change = self.figures.get((warehouse, pool)), units
        if figure is not None and at < figure.since:
            change = 0
        elif figure is not None and at < figure.at:
            if figure.units or figure.before + units > 0:
                after = figure.units
            else:
                after = figure.before + units
            change = after - (figure.units if figure.units or figure.before > 0 else figure.before)
            figure.before += units
        self.add(warehouse, pool, change, at)
        self.existed += (pool == "sales") * change

    def level(self, told: dict[str, Any], at: int) -> None:
        units, place = told["quantity"], (told["warehouse"], told.get("pool") or "sales")
        if place[1] not in POOLS or not (whole(units) or (type(units) is int and units == 0)):
            raise Refused
        there, last = self.levels.get(place, 0), self.touched.get(place, 0)
        agrees = units == max(0, there)
        if at < last or (at == last and not agrees):
            raise Refused
        if not agrees or not last:
            # An empty shelf says nothing about what is owed.
            self.add(*place, 0 if agrees else units - there, at)
            self.existed += (place[1] == "sales") * (0 if agrees else units - there)
        known = self.figures.get(place)
        if known is None or (known.at, known.units) != (at, units):
            self.figures[place] = Figure(at, units, there, known.at if known else 0)
            if known and known.at == at:
                self.figures[place].since = known.since

    def set(self, kind: str, told: dict[str, Any], at: int) -> None:
        if kind == "reference_set":
            self.level(told, at)
        elif kind == "activity_set":
            before = self.activities.get(told["activity"])
            if before is not None and at < before["at"]:
                raise Refused
            self.activities[told["activity"]] = {**told, "at": at}
        else:
            name = (told["channel"], told["activity"])
            number = next((number for number, quota in self.quotas.items() if quota.name == name), None)
            if number is not None and at < self.quotas[number].at:
                raise Refused
            if told["quota"] is None:
                self.quotas.pop(-1 if number is None else number, None)
            elif number is None:
                self.quotas_made += 1
                self.quotas[self.quotas_made] = Quota(name, told["quota"], at)
            elif told["quota"] < self.used(number):
                raise Refused
            else:
                self.quotas[number] = Quota(name, told["quota"], at)


class Oracle:
    """All SKUs; time is the latest event time heard of."""

    def __init__(self) -> None:
        self.skus: dict[str, Sku] = {}
        self.now = 0
        self.refused = 0

    def tell(self, message: dict[str, Any]) -> None:
        """Fold one message; afterwards `skus`, their `replies` and `refused` say what is expected."""
        self.now = max(self.now, message["at"] if "do" in message else message["event_time"])
        self.pass_time()
        sku = self.skus.setdefault(message["sku"], Sku(message["sku"]))
        try:
            if "do" in message:
                sku.command(message)
            else:
                sku.fact(message)
        except Refused:
            self.refused += 1
        sku.square()
        self.pass_time()

    def pass_time(self, until: int = 0) -> None:
        self.now = max(self.now, until)
        for sku in self.skus.values():
            sku.pass_time(self.now)
