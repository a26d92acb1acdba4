"""Asking the customer: the confirmation link and the voice calls of an order that was delivered (LOG-14, LOG-15).

One row per order:

    signed      first signature of the courier, of `waybill_no`
    confirmed   first word of the customer or their channel
    damaged     first word that the parcel was not intact
    objected    answers to calls that were neither this nor a confirmation, the first ones
    disputed    money was paid back, the shop closed the order, or the parcel was damaged
    wished      [first, last] time that a refund or an after-sales case was asked for
    withdrawn   last time that this was withdrawn
    complained  complaints, the first ones
    tickets     cases of customer service: {code: [last opened, last closed]}
    auto        the courier's signature completes the orders of this channel (LOG-13)
    asked       what was sent: link, call 1, call 2, timeout
    whole       when the last of several parcels was signed or came back, or is given up
    back        last time that its courier said that the parcel goes back, or is back: of one alone nobody is asked then
    over        when the order was closed, or all its money was back: nobody is asked any more

An order of several parcels is delivered with the last of them: until then nobody is asked, and no time runs out. The
link goes out at the signature, a call after more than 24 hours without a word, another after more than 72. A
parcel that came damaged, and any answer but a confirmation, is for people: no further call. After more than 7 days the
delivery counts as confirmed, and the order is told so, once; not if something was in dispute by then: a refund, an
after-sales case, an open ticket, a complaint since the signature, an answer since then that things are not well. A
ticket that closes later, or a wish that is withdrawn, ends the dispute then. An answer of before the signature is
about another matter, and whoever gets a parcel after an answer, such as one sent again, may be called about it. What
was said counts by its own time, so it makes no difference what is read first, or in one turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streams.domain.order.meanings import CALL, CONFIRM_TIMEOUT, CONFIRMED, DAMAGED, SCAN, answer_of
from streams.domain.rules.nodes import RANK
from streams.domain.status_map import goes_back, masked, says_closed

from .settings import Settings
from .watch import ALERTS, Send
from .waybill import Fact, is_signed, rank_of

Row = dict[str, Any]

REQUESTS: Final = "customer-requests"
ORDERS: Final = "order-facts"
LINK, FIRST, SECOND, TIMEOUT, FORGET = "link", "call 1", "call 2", "timeout", "forget"
TICKETS: Final = 16
"""Tickets of an order that are watched; the row must not grow without end."""

_KINDS: Final = frozenset(
    {
        "buyer_confirmed",
        SCAN,
        "signed",
        CALL,
        "cancel_marked",
        "complaint",
        "refund_requested",
        "refund_settled",
        "ticket_opened",
        "ticket_closed",
    }
)
_AXES: Final = ("refund:", "aftersale:", "dispute:", "return:", "goods:")
"""Of status words that tell of a dispute, but for those that tell of none."""
_SETTLED: Final = frozenset(
    {
        *("refund:none", "refund:withdrawn", "aftersale:none", "aftersale:canceled", "aftersale:withdrawn"),
        *("return:cancelled", "goods:received"),
    }
)
_WITHDRAWN: Final = frozenset(
    {"refund:withdrawn", "aftersale:withdrawn", "aftersale:canceled", "return:cancelled"},
)
_COMPLAINTS: Final = 16
_TIMES: Final = ("signed", "confirmed", "damaged", "disputed", "auto", "whole", "withdrawn")
_WORDS: Final = frozenset({"buyer_confirmed", SCAN})
_SIGNED, _CONFIRMED = RANK["logistics_signed"], RANK["customer_signed"]


def concerns(fact: Fact, settings: Settings) -> bool:
    """Whether the fact is a signature, or a word of the customer."""
    if fact["event_type"] in _KINDS:
        return True
    if settings.auto_complete and _completes(fact, settings):
        return True
    return bool(fact.get("mapped")) and (
        rank_of(fact) >= _SIGNED or _is_disputed(fact) or _is_withdrawn(fact) or _goes_back(fact)
    )


def _completes(fact: Fact, settings: Settings) -> bool:
    return fact["event_type"] == "order_created" and fact.get("channel") in settings.auto_complete


def _is_disputed(fact: Fact) -> bool:
    """A status word of the shop that tells of a refund or an after-sales case, or that the order is closed."""
    mapped = fact.get("mapped")
    if not mapped or fact.get("topic") != "orders":
        return False
    axis = mapped.get("axis")
    return "closed" in mapped["flags"] or (axis is not None and axis.startswith(_AXES) and axis not in _SETTLED)


def _is_withdrawn(fact: Fact) -> bool:
    """A status word of the shop that what its customer asked for is off."""
    return fact.get("topic") == "orders" and (fact.get("mapped") or {}).get("axis") in _WITHDRAWN


def _goes_back(fact: Fact) -> bool:
    """The courier's word that the parcel is on its way back, or back: as good as a complaint."""
    return fact.get("topic") == "couriers" and goes_back((fact.get("mapped") or {}).get("axis"))


def observe(row: Row | None, fact: Fact, settings: Settings) -> tuple[Row | None, list[Send]]:
    """The row after the fact (the same object if it says nothing new), and what is told at once."""
    kind, topic, at = fact["event_type"], fact.get("topic"), fact["event_time"]
    rank = rank_of(fact)
    new, sends = dict(row or {}), list[Send]()
    if settings.auto_complete and _completes(fact, settings):
        new["auto"] = at
    if kind == "refund_settled" or (topic == "orders" and says_closed(fact)):
        new["disputed"] = min(at, new.get("disputed", at))
    elif kind == "refund_requested" or _is_disputed(fact):
        first, last = new.get("wished", (at, at))
        new["wished"] = [min(at, first), max(at, last)]
    if _is_withdrawn(fact):
        new["withdrawn"] = max(at, new.get("withdrawn", at))
    if is_signed(fact):
        if at < new.get("signed", at + 1):
            new["signed"] = at
            new.setdefault("waybill_no", fact.get("waybill_no"))
    elif kind == SCAN and answer_of(fact) == DAMAGED:
        _damage(new, fact, sends)
    elif kind in _WORDS or kind == "cancel_marked" or (topic == "orders" and rank >= _CONFIRMED):
        _confirm(new, fact, sends)
    elif kind == CALL:
        result = answer_of(fact)
        if result == DAMAGED:
            _damage(new, fact, sends)
        elif result == CONFIRMED:
            _confirm(new, fact, sends)
        elif result and result not in settings.unreached and at not in (known := _objections(new)):
            new["objected"] = sorted([*known, at])[:_COMPLAINTS]
            if new.get("confirmed", at) <= at:
                sends.append(_objection(fact["order_guid"], fact["result"], at))
    elif kind == "complaint" or _goes_back(fact):
        if kind != "complaint":
            new["back"] = max(at, new.get("back", at))
        new["complained"] = sorted({*new.get("complained", ()), at})[:_COMPLAINTS]
    elif kind in ("ticket_opened", "ticket_closed"):
        _ticket(new, fact.get("ticket_code") or "", int(kind == "ticket_closed"), at)
    return (row if new == (row or {}) else new), sends


def _confirm(row: Row, fact: Fact, sends: list[Send]) -> None:
    """All is well, or there is nothing left to dispute about; what was said later than that stands."""
    at = fact["event_time"]
    row["confirmed"] = min(at, row.get("confirmed", at))
    if any(objected < at for objected in _objections(row)):
        sends.append(_closing("disputed", fact["order_guid"], at))


def _objections(row: Row) -> list[int]:
    """When a call was answered otherwise; a row of an older program has the first time alone."""
    times: list[int] | int = row.get("objected", [])
    return times if isinstance(times, list) else [times]


def know(guid: str, row: Row, whole: int | None, over: int | None) -> tuple[Row, list[Send]]:
    """The row of a delivered order with what its waybills say of it (waybill.whole_at, waybill.over_since), the one
    given if that is nothing new; what was in dispute is settled once the order is over."""
    if "signed" not in row or (row.get("whole"), row.get("over")) == (whole, over):
        return row, []
    new = {name: value for name, value in row.items() if name not in ("whole", "over")}
    new |= {name: at for name, at in (("whole", whole), ("over", over)) if at is not None}
    sends = list[Send]()
    if over is not None:
        if any(at < over for at in _objections(row)):
            sends.append(_closing("disputed", guid, over))
        if row.get("damaged", over) < over:
            sends.append(_closing("damaged", guid, over))
    return new, sends


def _closing(what: str, guid: str, at: int) -> Send:
    return ALERTS, f"LOG-15/{what}/{guid}", {"do": "close", "rule": "LOG-15", "at": at, "order_guid": guid}


def _since(row: Row) -> int:
    """When all of it was delivered, ms."""
    signed: int = row["signed"]
    whole: int = row.get("whole", signed)
    return max(signed, whole)


def _ticket(row: Row, code: str, place: int, at: int) -> None:
    tickets = row.get("tickets", {})
    times = list(tickets.get(code, (None, None)))
    if times[place] is None or at > times[place]:
        times[place] = at
    if code in tickets or len(tickets) < TICKETS:
        row["tickets"] = {**tickets, code: times}


def _times_out_at(row: Row, settings: Settings) -> int | None:
    """When the delivery counts as confirmed, ms; None if it is confirmed, or in dispute."""
    signed: int = row["signed"]
    until = limit = _since(row) + settings.timeout_ms
    for opened, closed in row.get("tickets", {}).values():
        if opened is not None and opened <= limit:
            if closed is None or closed < opened:
                return None
            until = max(until, closed)
    if "wished" in row and row["wished"][0] <= until:
        if row.get("withdrawn", 0) < row["wished"][1]:
            return None
        until = max(until, row["withdrawn"])
    said = [row[name] for name in ("confirmed", "damaged", "disputed") if name in row]
    said += [at for at in (*row.get("complained", ()), *_objections(row)) if at >= signed]
    return None if any(at <= until for at in said) else until + 1


def _damage(row: Row, fact: Fact, sends: list[Send]) -> None:
    """A dispute like others, but told at once, and once."""
    guid, at = fact["order_guid"], fact["event_time"]
    row["disputed"] = min(at, row.get("disputed", at))
    if "damaged" in row:
        return
    row["damaged"] = at
    detail = "the customer says that the parcel was damaged: ask for photos, offer to send again"
    said = {"do": "open", "rule": "LOG-15", "title": "delivered damaged", "detail": detail, "at": at}
    sends.append((ALERTS, f"LOG-15/damaged/{guid}", {**said, "order_guid": guid}))


def _objection(guid: str, result: str, at: int) -> Send:
    detail = f"the customer answers the call with {masked(result)!r}: find out what is wanted, and settle it"
    said = {"do": "open", "rule": "LOG-15", "title": "delivery disputed", "detail": detail, "at": at}
    advice = "Ask the customer what is missing or wrong; send again or refund."
    return ALERTS, f"LOG-15/disputed/{guid}", {**said, "advice": advice, "order_guid": guid}


def due(row: Row, settings: Settings) -> Iterator[tuple[int, str]]:
    """(when, what) may come next, in no order."""
    last: int = max(row.get(name, 0) for name in _TIMES)
    objected = _objections(row)
    last = max(last, *row.get("complained", ())[-1:], *objected[-1:], *row.get("wished", ())[-1:], 0)
    if "tickets" in row:
        last = max(last, *(at for times in row["tickets"].values() for at in times if at is not None))
    yield last + settings.kept_ms, FORGET
    if "signed" not in row or "auto" in row:
        return
    asked = row.get("asked", ())
    over = None if TIMEOUT in asked else _times_out_at(row, settings)
    if over is not None:
        yield over, TIMEOUT
    if "whole" not in row and row.get("back", row["signed"] - 1) >= row["signed"]:
        return
    if "confirmed" in row or "damaged" in row or "over" in row or any(at >= _since(row) for at in objected):
        return
    for what, after in ((LINK, 0), (FIRST, settings.call_ms + 1), (SECOND, settings.call_again_ms + 1)):
        if what not in asked:
            yield _since(row) + after, what


def next_due(row: Row | None, settings: Settings) -> int | None:
    """The earliest of it, ms."""
    return None if row is None else min(at for at, _ in due(row, settings))


def fire(guid: str, row: Row, at: int, now: int, settings: Settings) -> tuple[Row | None, list[Send]]:
    """The row (None: forgotten) and the requests after all that was due by `at`.

    A delivery told so late (`now`) that its link would be void is history, and nobody is asked about it; told so late
    that both calls are due, it has the second alone.
    """
    ready = sorted(item for item in due(row, settings) if item[0] <= at)
    what = [name for _, name in ready]
    sends = [_timeout(guid, due) for due, name in ready if name == TIMEOUT]
    if FORGET in what:
        return None, sends
    if not what:
        return row, []
    row = {**row, "asked": sorted({*row.get("asked", ()), *what})}
    if sends or now - _since(row) > settings.link_ms:
        return row, sends
    calls = [name for name in what if name != LINK][-1:]
    if calls == [FIRST] and now - _since(row) > settings.call_again_ms:
        calls = []
    wanted = ([LINK] if LINK in what and not calls else []) + calls
    return row, [_request(guid, row, name, at, settings) for name in wanted]


def _timeout(guid: str, at: int) -> Send:
    """For the order: nobody said a word in time. `at` (ms): the time by which they had to."""
    kind = CONFIRM_TIMEOUT
    said = {"event_type": kind, "event_id": f"{kind[1:]}/{guid}", "event_time": at, "source": "logistics"}
    return ORDERS, guid, {**said, "topic": "logistics", "order_guid": guid}


def _request(guid: str, row: Row, what: str, at: int, settings: Settings) -> Send:
    kind, attempt = ("confirm_link", 1) if what == LINK else ("voice_call", 1 if what == FIRST else 2)
    request = {
        "request_id": f"{kind}/{guid}/{attempt}",
        "kind": kind,
        "order_guid": guid,
        "waybill_no": row.get("waybill_no"),
        "attempt": attempt,
        "at": at,
        "expires_at": at + settings.link_ms if what == LINK else None,
    }
    return REQUESTS, guid, request
