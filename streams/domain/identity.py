"""Which order an event belongs to (ID-01, ID-03 to ID-08).

Every code has a row where its bare value lives: waiting, with the events parked on it, or bound to a guid for good.

    (no row) --event--> waiting --bind--> bound          (no row) --bind or order_created--> bound

Only an `order_created` binds an order number, and with it the guid it makes; these two name an order by themselves. A
transaction number, an internal number, a waybill and a package are bound by any event that names them beside a code
that is bound, the request of a manual command by the command. So nothing is forwarded before its order_created, and the
same events end in the same bindings whatever their order of arrival:

- An event waits at its strongest code. If that is a number of the paired kinds, its other codes get a link to it, so
  that whichever is bound first binds the rest.
- A row that becomes bound releases what is parked on it in order of arrival, and tells the other codes of those events.
- A payment that is told again under another event id (same source, type, transaction, line, amount and time) goes to
  its order as a repetition, which only the audit hears of (ID-05), and so does a refund (same source, number of its own
  and amount). Two refunds without a number may be of two pieces of a price, paid back in one go: both count. A row
  knows those that it forwarded and, where it was bound by one, that one.
- A binding never changes (ID-04). A second pairing is refused, told to the order that lost it, and raised as an alert.

Messages travel between rows on the agent's own topic, keyed by the bare value, so each row sees them one after the
other; a message that comes twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from . import ids
from .events import PAID_TYPES, Fact
from .order.meanings import CODE_REJECTED, REPEATED_PAYMENT
from .outcome import Get, Message, Outcome
from .told import Delays as Delays
from .told import Told

Row = Mapping[str, Any]
"""bound: {"guid", "by", "said", "money"}, the last three only if there is something to say; waiting: {"events",
"links", "since", "said", "first", "paid", "alerts", "held"}. `events`, `links`: how many are stored with it, numbered
from 0. `by`: the event that bound it, as topic/source/event_id; `first`: [topic, source, event_id, channel] of the
first event, `paid`: the same of the first payment, and when it was paid; `said`: codes told already, the newest ones;
`money`: [name, event_id] of the newest payments and refunds forwarded; `alerts`: {timer kind: key of the alert open
about this row}; `held`: its order has come and waits at the gate of its channel.
"""

Send = tuple[str, str, Message]

FACTS: Final = "identity-facts"
ORDERS: Final = "order-facts"
ALERTS: Final = "alert-facts"
CHANNELS: Final = "channel-facts"

CODES: Final = "codes"
PARKED: Final = "parked"
LINKS: Final = "links"
CUSTOMERS: Final = "customers"
UNRESOLVED: Final = "unresolved"
TABLES: Final = (CODES, PARKED, LINKS, CUSTOMERS, UNRESOLVED)
NUMBERED: Final = frozenset({PARKED, LINKS})
"""Tables whose rows are written once, under a number never used before, and deleted once."""

_MONEY: Final = ("source", "event_type", "amount_minor", "currency")
_SAME: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(PAID_TYPES, (ids.PLATFORM_TXN_NO, (*_MONEY, "event_time", "line_no"))),
    "refund_settled": ("refund_no", _MONEY),
}
"""Event type -> the number of the money it tells of, and what else is the same when that is told again."""

_CONFLICT: Final = "ID-04/"
"""Keys of its alerts begin with it."""
PAYMENT_ORPHAN: Final = "payment_orphan"
ORPHAN: Final = "orphan"


def event_message(code: ids.Code, fact: Fact) -> Message:
    """The message that takes an accepted event to the row of its strongest code; its key is the code's value."""
    return {"do": "event", "code": code, "fact": fact}


def held_messages(order: Message) -> list[Send]:
    """ID-08: to the rows of an order (as `event_message` has it) that the gate of its channel holds back."""
    kind, scope, value = order["code"]
    code, fact = (kind, scope, value), order["fact"]
    return [_held(at, fact["event_time"]) for at in (code, *_paired(code, fact))]


def time_of(message: Message) -> int:
    """Event time of a message, ms."""
    time: int = message["fact"]["event_time"] if message["do"] == "event" else message["at"]
    return time


def step(get: Get, message: Message, now: int, delays: Delays) -> Outcome:
    """One message at the row of its code. `now`: ms, for how long an orphan waits."""
    kind, scope, value = message["code"]
    code = (kind, scope, value)
    key = ids.row_key(code)
    out = Outcome([], [], [])
    do = message["do"]
    if do == "event":
        _event(out, get, code, key, message["fact"], now, delays)
    elif do == "bind":
        _bind(out, get, code, key, message, delays)
    elif do == "link":
        _link(out, get, key, message)
    elif do == "held":
        _hold(out, get, code, key, message["at"])
    else:
        raise ValueError(f"identity knows no message {do!r}")
    return out


# -- events -----------------------------------------------------------------------------------------------------------


def _event(out: Outcome, get: Get, code: ids.Code, key: str, fact: Fact, now: int, delays: Delays) -> None:
    row = get(CODES, key)
    if row is not None and "guid" in row:
        told = Told(row.get("said", ()), delays, row.get("money", ()))
        _forward(out, code, row["guid"], fact, told)
        if told.changed:
            out.writes.append((CODES, key, {**row, **told.kept()}))
    elif fact["event_type"] == "order_created":
        _create(out, get, code, key, row, fact, delays)
    else:
        _park(out, code, key, row, fact, now, delays)


def _create(out: Outcome, get: Get, code: ids.Code, key: str, row: Row | None, fact: Fact, delays: Delays) -> None:
    _, channel, order_no = code
    at = fact["event_time"]
    guid = ids.order_guid(channel, order_no, at)
    told = Told((), delays)
    _forward(out, code, guid, fact, told)
    _send_bind(out, (ids.ORDER_GUID, "", guid), guid, _event_ref(fact), at)
    customer = fact.get("customer_id")
    if customer:
        # Beside the order number, not at the customer's own key: one row more, no message. A query by customer asks
        # every partition.
        out.writes.append((CUSTOMERS, f"{customer}\0{guid}", {"channel": channel, "order_no": order_no, "at": at}))
    _settle(out, get, code, key, row, guid, _event_ref(fact), told, at)


def _forward(out: Outcome, code: ids.Code, guid: str, fact: Fact, told: Told) -> None:
    """To the order; then its other codes hear of the binding."""
    whole = {**fact, "order_guid": guid}
    if fact["event_type"] == "order_created":
        whole["alias18"] = ids.alias18(guid)
    payment = _payment(fact)
    if payment is not None and (first := told.repeats(payment)) is not None:
        whole = {**whole, "told_as": fact["event_type"], "repeats": first}
        del whole["event_type"]
        whole = {"event_type": REPEATED_PAYMENT, **whole}  # first, so that whoever passes it over need not read it
    out.sends.append((ORDERS, guid, whole))
    for other in _other_codes(code, fact, guid):
        if told.news(other):
            _send_bind(out, other, guid, _event_ref(fact), fact["event_time"], payment)
    if fact["topic"] == "ops" and fact["event_type"] == "manual_command":
        request = fact.get(ids.REQUEST_ID)
        if request and not request.isspace():
            # Only forwards: two orders with one request must not take each other's codes.
            _send_bind(out, (ids.REQUEST_ID, "", request), guid, _event_ref(fact), fact["event_time"])


def _other_codes(code: ids.Code, fact: Fact, guid: str) -> list[ids.Code]:
    """The codes of an event that are to be bound beside `code`, and those that contradict `guid`."""
    own, get = code[0], fact.get
    found = [(kind, "", fact[kind]) for kind in ids.PAIRED_KINDS if get(kind) and kind != own]
    if own == ids.ORDER_GUID:
        channel, order_no = get("channel"), get(ids.ORDER_NO)
        if channel and order_no and not ids.names(guid, channel, order_no):
            found.append((ids.ORDER_NO, channel, order_no))
    else:
        said = get(ids.ORDER_GUID)
        if said and said != guid:
            found.append((ids.ORDER_GUID, "", said))
    return found


def _park(out: Outcome, code: ids.Code, key: str, row: Row | None, fact: Fact, now: int, delays: Delays) -> None:
    ref = _event_ref(fact)
    row = row or _WAITING
    number: int = row["events"]
    first, paid = row["first"], row["paid"]
    if first is None:
        first = ref
        out.timers.append((ORPHAN, key, now + delays.unresolved_ms + 1))
    if paid is None and fact["event_type"] in PAID_TYPES:
        paid = [*ref, fact["event_time"]]
        if not row.get("held"):
            out.timers.append((PAYMENT_ORPHAN, key, now + delays.payment_orphan_ms + 1))
        waits = {"event_type": "payment_waits", "event_time": now, "source": ref[1], "channel": ref[3] or None}
        out.sends.append((CHANNELS, ref[3] or ref[1], waits))  # BRK-01: is there an order between it and the next?
    told = Told(row["said"], delays)
    if code[0] in ids.PAIRED_KINDS:
        for other in _other_codes(code, fact, ""):
            if told.news(other):
                link = {"do": "link", "code": other, "to": code, "by": ref, "at": fact["event_time"]}
                out.sends.append((FACTS, other[2], link))
    if row.get("held"):
        out.sends += [_held(other, fact["event_time"]) for other in _paired(code, fact)]
    out.writes.append((PARKED, _numbered(key, number), fact))
    new = {"events": number + 1, "since": row["since"] or now, "first": first, "paid": paid, "said": told.codes}
    out.writes.append((CODES, key, {**row, **new}))


# -- bindings ---------------------------------------------------------------------------------------------------------


def _bind(out: Outcome, get: Get, code: ids.Code, key: str, message: Message, delays: Delays) -> None:
    kind, _, value = code
    guid, by, at = message["guid"], message["by"], message["at"]
    row = get(CODES, key)
    if row is not None and "guid" in row:
        # A link's pairing is reported by the event that made it, once it is released: not here. A request may be of
        # several orders; an approval that names none goes to the first.
        if row["guid"] != guid and not message.get("linked") and kind != ids.REQUEST_ID:
            _conflict(out, code, row["guid"], row.get("by"), guid, by, at)
    elif kind == ids.ORDER_NO or (kind == ids.ORDER_GUID and value != guid):
        _conflict(out, code, value if kind == ids.ORDER_GUID else None, None, guid, by, at)
    else:
        _settle(out, get, code, key, row, guid, by, Told((), delays, message.get("money", ())), at)


def _settle(
    out: Outcome, get: Get, code: ids.Code, key: str, row: Row | None, guid: str, by: list[str], told: Told, at: int
) -> None:
    """The row is bound from now on: release what waited for it."""
    if row is not None:
        for number in range(row["events"]):
            parked_key = _numbered(key, number)
            _forward(out, code, guid, get(PARKED, parked_key), told)
            out.writes.append((PARKED, parked_key, None))
        for number in range(row["links"]):
            link_key = _numbered(key, number)
            _send_linked(out, get(LINKS, link_key), guid)
            out.writes.append((LINKS, link_key, None))
        if row["first"] is not None:
            out.timers.append((ORPHAN, key, None))
        if row["paid"] is not None and not row.get("held"):
            out.timers.append((PAYMENT_ORPHAN, key, None))
        for kind, alert in row["alerts"].items():
            out.sends.append((ALERTS, alert, {"do": "close", "at": at, "order_guid": guid}))
            if kind == ORPHAN:
                out.writes.append((UNRESOLVED, key, None))
    bound: dict[str, Any] = {"guid": guid}
    if code[0] != ids.ORDER_GUID:
        bound["by"] = _written(by)
    bound |= told.kept()
    out.writes.append((CODES, key, bound))


def _link(out: Outcome, get: Get, key: str, message: Message) -> None:
    row = get(CODES, key)
    if row is not None and "guid" in row:
        _send_linked(out, message, row["guid"])
        return
    row = row or _WAITING
    number: int = row["links"]
    if row.get("held"):
        kind, scope, value = message["to"]
        out.sends.append(_held((kind, scope, value), message["at"]))
    out.writes.append((LINKS, _numbered(key, number), {name: message[name] for name in ("to", "by", "at")}))
    out.writes.append((CODES, key, {**row, "links": number + 1}))


def _send_linked(out: Outcome, link: Message, guid: str) -> None:
    bind = {"do": "bind", "code": link["to"], "guid": guid, "by": link["by"], "at": link["at"], "linked": True}
    out.sends.append((FACTS, link["to"][2], bind))


def _send_bind(
    out: Outcome, code: ids.Code, guid: str, by: list[str], at: int, payment: list[str] | None = None
) -> None:
    message: Message = {"do": "bind", "code": code, "guid": guid, "by": by, "at": at}
    if payment is not None:
        message["money"] = [payment]
    out.sends.append((FACTS, code[2], message))


def _payment(fact: Fact) -> list[str] | None:
    """[name, event_id] of a payment that names its transaction, or of a refund that names itself: two of one name are
    one told twice (ID-05)."""
    by, same = _SAME.get(fact["event_type"], ("", ()))
    number = (fact.get(by) or "").strip()
    if not number or fact.get("amount_minor") is None:
        return None
    said = [fact.get(name) for name in same]
    name = blake2b(repr([number, *said]).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return [name, fact["event_id"]]


def _conflict(
    out: Outcome, code: ids.Code, bound_to: str | None, first: str | None, guid: str, by: list[str], at: int
) -> None:
    """ID-04: the first binding stays. The order that asked hears of it, and somebody must look."""
    kind, scope, value = code
    topic, source, event_id, channel = by
    rejected = {
        "event_type": CODE_REJECTED,
        "order_guid": guid,
        "code_kind": kind,
        "code": value,
        "bound_to": bound_to,
        "event_id": event_id,
        "source": source,
        "event_time": at,
        "topic": topic,
    }
    out.sends.append((ORDERS, guid, rejected))
    alert = {
        "do": "open",
        "rule": "ID-04",
        "title": "identity_conflict",
        "detail": f"{kind} {value} belongs to {bound_to or 'another order number'}{f' (by {first})' if first else ''};"
        f" {_written(by)} pairs it with {guid}. The first binding stays",
        "at": at,
        "order_guid": guid,
        "channel": scope or channel or None,
        "source": source,
        "first_event": first,
        "last_event": _written(by),
    }
    out.sends.append((ALERTS, f"{_CONFLICT}{_name(code)}/{guid}", alert))


def of_conflict(alert_key: str) -> str | None:
    """The order that an alert of a refused pairing is about, or None for any other alert."""
    guid = alert_key.rpartition("/")[2]
    return guid if alert_key.startswith(_CONFLICT) and ids.is_guid(guid) else None


# -- orphans ----------------------------------------------------------------------------------------------------------


def _hold(out: Outcome, get: Get, code: ids.Code, key: str, at: int) -> None:
    """The order of a waiting row has come and is held at the gate of its channel: it is not missing, and the alert of
    the channel says all there is to say (BRK-01). The rows that it will bind once it is let go hear of it, too."""
    row = get(CODES, key) or _WAITING
    if "guid" in row or row.get("held"):
        return
    for number in range(row["events"]):
        out.sends += [_held(other, at) for other in _paired(code, get(PARKED, _numbered(key, number)))]
    for number in range(row["links"]):
        kind, scope, value = get(LINKS, _numbered(key, number))["to"]
        out.sends.append(_held((kind, scope, value), at))
    alerts = dict(row["alerts"])
    if (alert := alerts.pop(PAYMENT_ORPHAN, None)) is not None:
        out.sends.append((ALERTS, alert, {"do": "close", "at": at}))
    if row["paid"] is not None:
        out.timers.append((PAYMENT_ORPHAN, key, None))
    out.writes.append((CODES, key, {**row, "alerts": alerts, "held": True}))


def _held(code: ids.Code, at: int) -> Send:
    return FACTS, code[2], {"do": "held", "code": code, "at": at}


def _paired(code: ids.Code, fact: Fact) -> list[ids.Code]:
    """The codes of an event at `code` that become its order's by this event alone."""
    return [other for other in _other_codes(code, fact, "") if other[0] in ids.PAIRED_KINDS]


def due(get: Get, kind: str, key: str, at: int, now: int, delays: Delays) -> Outcome:
    """A timer of a waiting row, due `at` ms, fires at `now`: no order for it has come in time (ID-08). The events stay
    parked. After a time away the worker reads on for as long again before it says so."""
    out = Outcome()
    row = get(CODES, key)
    if row is None or "guid" in row:
        return out
    if kind == PAYMENT_ORPHAN and now - at > delays.away_ms:
        out.timers.append((PAYMENT_ORPHAN, key, now + delays.payment_orphan_ms))
        return out
    code = ids.code_of_row(key)
    ref = row["paid"] if kind == PAYMENT_ORPHAN else row["first"]
    _, source, event_id, channel = ref[:4]
    about = {"at": at, "source": source, "channel": channel or None, "first_event": _written(ref)}
    if kind == PAYMENT_ORPHAN:
        alert, title = f"ID-08/paid/{_name(code)}", "paid but order not created"
        detail = f"{_written(ref)} paid for {code[0]} {code[2]}, and no order with it has been created"
        missed = {"event_type": "paid_without_order", "event_id": event_id, "event_time": at, "code": code, **about}
        missed["paid_at"] = ref[4]
        out.sends.append((CHANNELS, channel or source, missed))
    else:
        alert, title = f"ID-08/unresolved/{_name(code)}", "unresolved events"
        detail = (
            f"{row['events']} events wait for {code[0]} {code[2]}, first {_written(ref)}; no order with it is known"
        )
        out.writes.append((UNRESOLVED, key, {"since": row["since"], "first": row["first"]}))
    out.sends.append((ALERTS, alert, {"do": "open", "rule": "ID-08", "title": title, "detail": detail, **about}))
    out.writes.append((CODES, key, {**row, "alerts": {**row["alerts"], kind: alert}}))
    return out


# -- small things -----------------------------------------------------------------------------------------------------


def _event_ref(fact: Fact) -> list[str]:
    return [fact["topic"], fact["source"], fact["event_id"], fact.get("channel") or ""]


def _written(ref: Sequence[str]) -> str:
    return "/".join(ref[:3])


def _name(code: ids.Code) -> str:
    return "/".join(part for part in code if part)


def _numbered(key: str, number: int) -> str:
    return f"{key}\0{number:012x}"


_WAITING: Final[Row] = {"events": 0, "links": 0, "since": None, "said": [], "first": None, "paid": None, "alerts": {}}
