"""What is known of the waybills of one order, as a row of JSON values by waybill number.

    courier    who carries it; PROBED while only probes spoke of it
    carrier    who is to, by the word of the shop, until a courier speaks
    created    first told of by warehouse or shop      accepted   first told of by the courier
    shipped    left the warehouse                      picked     first movement with the courier
    moved      last movement                           ended      delivered
    pushed     how often it was pushed again           probed     when it was probed last
    asked      the pickup for which an arrival was asked   timed   how long it took was told
    refreshed  when it was last looked up at once      complaints [at, event id] of each
    raised     alerts that are open about it              cancelled  when the order, or the waybill, was cancelled
    told       complaints of which the alert knows
    lies       last told to lie at a pickup point, or by a word that may be a signature to be delivered (LOG-05)
    returned   last told to be back with its sender
    package    [first told at, id] of the package that it is for
    replaced   when the next waybill was made for the same package
    foreign    when it was told to be bound to another order (ID-04)

Under ORDER lie the complaints themselves, [[event id, waybill or "", at], ...], what was refunded, {event id: [amount,
at]}, what left without its number, [[package or "", at], ...], and `cancelled`, with `ended`, the time of the last of
them: each may come before any waybill is known, and counts for each it speaks of once that is.

All times are event times in ms, the earliest or the latest of their kind, so the row is a function of the set of facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.domain.order.meanings import CODE_REJECTED
from streams.domain.rules.nodes import RANK, UNPROVEN
from streams.domain.spelling import bare
from streams.domain.status_map import RETURNED, is_at_rest, says_closed

Fact = Mapping[str, Any]
Row = dict[str, Any]
Rows = dict[str, Row]

WAYBILLS: Final = 64
"""Waybills of an order that are watched; a sender that makes up ever new ones must not make its row grow."""
_COMPLAINTS: Final = 16
_REFUNDS: Final = 64
ORDER: Final = ""
"""Key of the row that is no waybill's."""

PROBED: Final = "probe"
"""Source of what a probe brings back; where it does not say who carries the parcel, that is not known yet (LOG-06)."""

_AS_SAID: Final[Mapping[str, str]] = {}
_CREATED: Final = frozenset({"orders", "wms"})
_MOVING: Final = frozenset({"picked_up", "scanned", "out_for_delivery"})
_PAPER: Final = ("waybill:", "pickup:", "label:", "warehouse:", "monitor:")
_SILENT: Final = frozenset(
    {"route:none", "delivery:no_news", "delivery:not_signed_in_time", "delivery:not_collected", "delivery:cancelled"}
)
"""Axes of words about papers, and of those that nothing happened: no movement, whatever type of event brings them."""
_VOID: Final = frozenset({"waybill:cancelled", "delivery:cancelled"})
_SIGNED: Final = RANK["logistics_signed"]
_SHIPPED: Final = RANK["shipped"]


def observe(rows: Rows | None, fact: Fact, courier_of: Mapping[str, str] = _AS_SAID) -> Rows | None:
    """The rows with what the fact says of a waybill; the same object if it says nothing new. `courier_of`: see
    Settings."""
    number = fact.get("waybill_no")
    kind = fact["event_type"]
    if kind == CODE_REJECTED:
        return _rejected(rows, fact["code"], fact["event_time"])
    if kind == "complaint":
        return _complained(rows, number or "", fact["event_id"], fact["event_time"])
    if kind == "cancel_marked":
        return _cancelled(rows, fact["event_time"])
    if says_closed(fact):  # perhaps of a partial refund (FIN-07): what leaves all the same is watched again
        rows = _cancelled(rows, fact["event_time"])
    topic = fact["topic"]
    if not number and leaves(fact):
        return _left(rows, fact.get("package_id") or "", fact["event_time"])
    if not number and topic == "couriers":
        number = _only(rows, fact.get("package_id"))
    if not number or (topic not in _CREATED and topic != "couriers"):
        return rows
    row = (rows or {}).get(number)
    if row is None and len(rows or ()) >= WAYBILLS:
        return rows
    new = dict(row or {})
    at: int = fact["event_time"]
    rank = rank_of(fact)
    if topic == "couriers":
        courier = kept_name(fact.get("courier") or fact["source"], courier_of)
        if new.get("courier", PROBED) == PROBED:
            new["courier"] = courier
            if courier != PROBED:
                new.pop("carrier", None)
        _first(new, "accepted", at)
        ended = is_signed(fact)
        if ended:
            _first(new, "ended", at)
        seen = ended or ((kind == "signed" or kind in _MOVING) and not _is_still(fact))
        if seen or _is_on_its_way(fact):
            _first(new, "picked", at)
            if seen or fact["mapped"]["node"] != "transit_stalled":  # the word for standing still is no movement
                _last(new, "moved", at)
        axis = (fact.get("mapped") or {}).get("axis")
        if is_at_rest(fact):
            _last(new, "lies", at)
        elif axis in RETURNED:
            _last(new, "returned", at)
        elif axis in _VOID:
            _first(new, "cancelled", at)
    else:
        _first(new, "created", at)
        if kind == "loaded" or rank == _SHIPPED:
            _first(new, "shipped", at)
    package = fact.get("package_id")
    if package and ("package" not in new or [at, package] < new["package"]):
        new["package"] = [at, package]
    of_order = rows.get(ORDER) if rows else None
    if of_order is not None and row is None:
        new = _counted(number, new, of_order.get("complaints", []))
        if "cancelled" in of_order:
            _first(new, "cancelled", of_order["cancelled"])
    if of_order is not None and "left" in of_order:
        new = _shipped(new, of_order["left"])
    if new == row:
        return rows
    known = {**(rows or {}), number: new}
    return _replaced(known) if "package" in new else known


def _only(rows: Rows | None, package: str | None) -> str | None:
    """The waybill of which a courier speaks who names its package or the order alone; None if it may be any of them."""
    known = [(name, row.get("package")) for name, row in (rows or {}).items() if name != ORDER]
    exact = [name for name, own in known if package and own is not None and own[1] == package]
    found = exact or [name for name, own in known if not package or own is None]
    return found[0] if len(found) == 1 else None


def leaves(fact: Fact) -> bool:
    """Whether the warehouse says that goods left."""
    return fact.get("topic") == "wms" and (fact["event_type"] == "loaded" or rank_of(fact) == _SHIPPED)


def _left(rows: Rows | None, package: str, at: int) -> Rows:
    """LOG-02: goods left, and the warehouse names their package, or the order alone."""
    before = (rows or {}).get(ORDER, {})
    left = sorted({*map(tuple, before.get("left", ())), (package, at)})[:WAYBILLS]
    kept: Row = {**before, "left": [[*one] for one in left], "ended": max(at, before.get("ended", at))}
    found = {name: row if name == ORDER else _shipped(row, kept["left"]) for name, row in (rows or {}).items()}
    found[ORDER] = kept
    return rows if rows is not None and rows == found else found


def _shipped(row: Row, left: list[list[Any]]) -> Row:
    """The waybill's row, shipped when its package left; one of which no package is known goes with any that left since
    it was made."""
    own, made = row["package"][1] if "package" in row else "", row.get("created", 0)
    about = [when for package, when in left if when >= made and (not package or not own or package == own)]
    at = min(about, default=None)
    if at is None or at >= row.get("shipped", at + 1):
        return row
    return {**row, "shipped": at}


def _replaced(rows: Rows) -> Rows:
    """A package that is sent under a new number is no more under the one before. Two waybills of an order alone say
    nothing of the kind: it may be sent in several parcels."""
    found: Rows = {}
    for number, row in rows.items():
        since = None
        if "package" in row and "created" in row:
            package, own = row["package"][1], row["created"]
            peers = [one for one in rows.values() if {"created", "package"} <= one.keys() and "foreign" not in one]
            made = [one["created"] for one in peers if one["package"][1] == package]
            since = min((at for at in made if at > own), default=None)
        if since != row.get("replaced"):
            row = {name: value for name, value in row.items() if name != "replaced"}
            if since is not None:
                row["replaced"] = since
        found[number] = row
    return found


def _rejected(rows: Rows | None, number: str, at: int) -> Rows | None:
    """ID-04: its courier is asked and its keepers are told by the order that it is bound to."""
    row = (rows or {}).get(number, {})
    if row.get("foreign", at + 1) <= at or (not row and len(rows or ()) >= WAYBILLS):
        return rows
    return _replaced({**(rows or {}), number: {**row, "foreign": at}})


def _complained(rows: Rows | None, number: str, event_id: str, at: int) -> Rows:
    """About the waybill it names, or about every one of the order, those to come included."""
    before = (rows or {}).get(ORDER, {})
    said = {(one[0], one[1]): [*one] for one in before.get("complaints", ())}
    said.setdefault((event_id, number), [event_id, number, at])
    first = [said[name] for name in sorted(said)][:_COMPLAINTS]
    kept: Row = {**before, "complaints": first, "ended": max(at, before.get("ended", at))}
    found = {
        name: row if name == ORDER else _counted(name, row, kept["complaints"]) for name, row in (rows or {}).items()
    }
    found[ORDER] = kept
    return rows if rows is not None and rows == found else found


def _cancelled(rows: Rows | None, at: int) -> Rows | None:
    """LOG-01: what is not on its way by then need not be accepted any more."""
    before = (rows or {}).get(ORDER, {})
    since = min(at, before.get("cancelled", at))
    found = {name: {**row, "cancelled": min(since, row.get("cancelled", since))} for name, row in (rows or {}).items()}
    found[ORDER] = {**before, "cancelled": since, "ended": max(at, before.get("ended", at))}
    return rows if rows == found else found


def refunded(rows: Rows | None, fact: Fact, price: int) -> Rows | None:
    """LOG-01: what is not on its way when all the money has gone back is not to be sent."""
    before = (rows or {}).get(ORDER, {})
    known = before.get("refunds", {})
    if fact["event_id"] in known or len(known) >= _REFUNDS:
        return rows
    at: int = fact["event_time"]
    back = {**known, fact["event_id"]: [fact.get("amount_minor") or 0, at]}
    kept = {**before, "refunds": back, "ended": max(at, before.get("ended", at))}
    found: Rows = {**(rows or {}), ORDER: kept}
    if sum(amount for amount, _ in back.values()) < price:
        return found
    return _cancelled(found, max(when for _, when in back.values()))


def asked_of(row: Row) -> str | None:
    """Whom to ask about the parcel: its courier, or before that spoke the one that the shop named."""
    courier: str | None = row.get("courier", PROBED)
    return row.get("carrier") if courier == PROBED else courier


def kept_name(courier: str, courier_of: Mapping[str, str]) -> str:
    """The one name of a courier, whatever it is called; as it came if nobody knows it."""
    return courier_of.get(bare(courier), courier)


def goes_out(row: Row) -> bool:
    """Whether the parcel has left, or is to leave."""
    return "cancelled" not in row or "shipped" in row or "picked" in row


def moved_at(row: Row) -> int | None:
    """Its last movement; of a parcel of which its courier only says that it stands still, when that was said first."""
    at: int | None = row.get("moved", row.get("picked"))
    return at


def rests(row: Row) -> bool:
    """Whether its customer is to fetch it, or most likely has it: its courier has nothing to move."""
    return "lies" in row and row["lies"] >= (moved_at(row) or 0)


def is_back(row: Row) -> bool:
    """Whether nothing more will come of it here: it is another order's, or it was returned, or its package got another
    number, and it was not on its way again since."""
    if "foreign" in row:
        return True
    moved = row.get("moved", 0)
    return ("returned" in row and row["returned"] >= moved) or ("replaced" in row and row["replaced"] >= moved)


def whole_at(rows: Rows, given_up_ms: int) -> int | None:
    """When the last parcel of an order of several is signed or back, ms; one that its courier has, and does not move,
    is waited for so long. None if no more than one is known. A label alone is no parcel: it may be printed in vain."""
    if len(rows) - (ORDER in rows) < 2:
        return None
    times = list[int]()
    for number, row in rows.items():
        if number == ORDER or "foreign" in row:
            continue
        if "ended" in row:
            times.append(row["ended"])
        elif (moved := moved_at(row)) is not None:
            times.append(max(moved, row.get("returned", 0)) if is_back(row) else moved + given_up_ms)
    return max(times, default=None)


def over_since(rows: Rows, price: Callable[[], tuple[int, Any] | None]) -> int | None:
    """When all the order's money was back, or it was cancelled or called closed, ms; None if neither. Platforms call an
    order closed when a part of it was paid back (FIN-07): that ends nothing. `price`: see `refunded`."""
    of_order = rows.get(ORDER)
    if of_order is None:
        return None
    since: int | None = of_order.get("cancelled")
    back = [amount for amount, _ in of_order.get("refunds", {}).values()]
    if since is None or not back:
        return since
    costs = price()
    return since if costs is not None and sum(back) >= costs[0] else None


def _counted(number: str, row: Row, said: list[list[Any]]) -> Row:
    """The waybill's row with the complaints that speak of it. Rows of an older program have no times."""
    known = [one if type(one) is list else [0, one] for one in row.get("complaints", ())]
    ids = {one[1] for one in known}
    new = [[one[2] if len(one) > 2 else 0, one[0]] for one in said if one[1] in ("", number) and one[0] not in ids]
    return {**row, "complaints": sorted([*known, *new])[:_COMPLAINTS]} if new else row


def rank_of(fact: Fact) -> int:
    """Rank of the state that the event's status word stands for; -1 for none."""
    mapped = fact.get("mapped")
    state = mapped.get("state") if mapped else None
    return RANK[state] if state else -1


def is_signed(fact: Fact) -> bool:
    """A courier's signature; where it has a word of its own, that counts: a refusal is told as `signed` as well."""
    if fact.get("topic") != "couriers":
        return False
    return rank_of(fact) >= _SIGNED if fact.get("mapped") else fact["event_type"] == "signed"


def _is_still(fact: Fact) -> bool:
    """A word that the courier does not have the parcel, or that nothing happened to it; the event type is only a guess
    at the word."""
    mapped = fact.get("mapped") or {}
    axis = mapped.get("axis") or ""
    return mapped.get("node") in UNPROVEN or axis in _SILENT or axis.startswith(_PAPER)


def _is_on_its_way(fact: Fact) -> bool:
    """A status word that proves a movement, whatever event brings it (a probe's answer, an exception on the road)."""
    mapped = fact.get("mapped") or {}
    return mapped.get("state") == "shipped" and mapped.get("node") not in (None, *UNPROVEN)


def _first(row: Row, name: str, at: int) -> None:
    if name not in row or at < row[name]:
        row[name] = at


def _last(row: Row, name: str, at: int) -> None:
    if name not in row or at > row[name]:
        row[name] = at
