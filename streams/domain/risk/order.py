"""One order: which signals it has fired, when something of it is due, and who is told (RSK-01, 02, 07, 10, 11).

The row is a function of the set of facts; only what the rules themselves tie to time (a print judged against the hour
before it, the end of the order, timers) depends on when a fact came. Fields that are not there are empty:

    at, customer, ip, tier, total, currency      of the order_created; `ip` salted and hashed; `tier` the city's
    signals    {type: [at, evidence]}            a type counts once, at its earliest
    level, lock                                  1 orange, 2 red; 1 locked, 2 unlocked by hand
    paid, chats, cancels                         times, sorted
    addresses, chases                            [time, event], sorted
    node, rank, scan                             [number, since], furthest state, latest word of a courier
    rests                                        latest word that the parcel is at a pickup point, there, or back
    received, refunds, closed                    {event: amount} each; since when its channel calls it closed
    told                                         events that were passed on to a counter
    over                                         customer_signed or closed: nothing fires any more; 2 where only its
                                                 channel calls it closed, which may be said of a partial refund
    due, late, overdue, called                   its timer; alerts that were raised, `late` since when it is open
    spoken                                       latest answer of the customer to a call before it was shipped
    promised, near                               see promise
    regretted, warned, trouble                   when it was cancelled soon after payment, warned of, in trouble first
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from streams.domain import calendar
from streams.domain.contract import LIMITS
from streams.domain.order import money
from streams.domain.order.dedup import event_key
from streams.domain.order.meanings import CONFIRM_TIMEOUT, NO_ANSWER, is_before_shipping, operator_of, said_of
from streams.domain.risk import chats, promise, standing, tally, verdict
from streams.domain.risk.outcome import DUE, ORDERS, RISK_FACT, UNLOCK, Fact, Get, Outcome, Row
from streams.domain.risk.settings import Settings
from streams.domain.rules.nodes import NODES, SHIPPED
from streams.domain.status_map import says_closed

KEPT: Final = 64
"""Events of a kind that are remembered of one order; a sender that never stops must not grow the row without end."""
_KEPT_FIELDS: Final = (
    ("customer", "customer_id"),
    ("tier", "city_tier"),
    ("promised", "promised_delivery_at"),
)


def step(get: Get, guid: str, fact: Fact, settings: Settings) -> Outcome:
    """One fact of the order (as the orders agent takes it). One of an order never created changes nothing: the orders
    agent refuses it."""
    out = Outcome()
    before: Row | None = get(ORDERS, guid)
    kind: str = fact["event_type"]
    if "topic" not in fact or (kind.startswith("_") and kind != CONFIRM_TIMEOUT):
        return out
    if before is None:
        if kind != "order_created":
            return out
        new = _created(out, guid, fact, settings)
    else:
        new = dict(before)
    handler = _HANDLERS.get(kind)
    if handler is not None:
        handler(out, guid, new, fact, settings)
    standing.follow(new, fact)
    if says_closed(fact) and not standing.is_part_refunded(new):
        _cancelled(out, guid, new, fact, settings)
    if standing.is_trouble(new, fact):
        new.setdefault("trouble", fact["event_time"])
    _settle(out, guid, before, new, fact["event_time"], settings)
    return out


def signalled(get: Get, guid: str, message: Fact, settings: Settings) -> Outcome:
    """A counter found something about the order: {type, at, evidence}."""
    out = Outcome()
    before = get(ORDERS, guid)
    if before is not None:
        new = dict(before)
        fire(new, message["type"], message["at"], message["evidence"])
        _settle(out, guid, before, new, message["at"], settings)
    return out


def chatted(get: Get, guid: str, message: Fact, settings: Settings) -> Outcome:
    """The customer spoke without naming an order, and this is one of the latest ones."""
    out = Outcome()
    before = get(ORDERS, guid)
    if before is not None:
        new, at = dict(before), message["at"]
        if message["opened"]:
            _opened(new, at, settings)
        _said(new, at, message["event"], message["urgent"], message["chasing"], settings)
        _settle(out, guid, before, new, at, settings)
    return out


def due(get: Get, guid: str, at: int, settings: Settings) -> Outcome:
    """The order's timer, due at `at` (ms)."""
    out = Outcome()
    before = get(ORDERS, guid)
    if before is None:
        return out
    new, limits = dict(before), settings.limits
    new.pop("due", None)
    for what, when in standing.dues(new, settings):
        if when > at:
            continue
        if what == "stall":
            fire(new, "transit_stall", when, f"no courier scan for {limits.stall_ms // calendar.HOUR_MS} h")
        elif what == "node":
            fire(new, "node_overdue", when, f"node {NODES[new['node'][0] - 1].name} is over its limit")
        elif what == "unshipped":
            new["overdue"] = 1
            new.setdefault("trouble", at)
            hours = limits.unshipped_ms // calendar.HOUR_MS
            out.alarm("RSK-10", guid, at, "paid and unshipped", f"paid, and not shipped after more than {hours} h")
        elif what == "promise":
            promise.tell(out, guid, new, at, limits)
    _settle(out, guid, before, new, at, settings)
    return out


def fire(row: dict[str, Any], signal: str, at: int, evidence: str) -> None:
    """RSK-01: a type counts once; of several occasions the earliest stands. Nothing fires once the order is over."""
    if row.get("over"):
        return
    fired = row.get("signals") or {}
    known = fired.get(signal)
    if known is None or [at, evidence] < known:
        row["signals"] = {**fired, signal: [at, evidence]}


def hashed(value: str, settings: Settings) -> str:
    """What stands for personal data: enough to tell two values apart, nothing to read one back by without the salt."""
    return sha256(f"{settings.salt}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


# -- what each fact adds ----------------------------------------------------------------------------------------------


def _created(out: Outcome, guid: str, fact: Fact, settings: Settings) -> dict[str, Any]:
    at, limits = fact["event_time"], settings.limits
    row: dict[str, Any] = {"at": at}
    for name, field in _KEPT_FIELDS:
        if fact.get(field) is not None:
            row[name] = fact[field]
    row["currency"] = money.currency_of(fact, "CNY")
    price, _, _ = money.price(fact, LIMITS.amount)
    if price is not None:
        row["total"] = price
    if fact.get("ip"):
        row["ip"] = hashed(fact["ip"], settings)
    dwell = fact.get("page_dwell_s")
    if dwell is not None and dwell > limits.dwell_s:
        fire(row, "page_dwell", at, f"{dwell:g} s on the payment page")
    _coupons(row, fact, settings)
    if "customer" in row:
        out.count(f"customer/{row['customer']}", {"do": "order", "at": at, "guid": guid})
    return row


def _coupons(row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    limits, at, coupons = settings.limits, fact["event_time"], fact.get("coupon_count")
    discounts = [entry.get("amount_minor") for entry in fact.get("discounts") or ()]
    off = sum(amount or 0 for amount in discounts)
    if coupons is None:  # a shop front that does not count them lists them
        coupons = sum(amount != 0 for amount in discounts)
    gross = sum((line.get("quantity") or 0) * (line.get("unit_price_minor") or 0) for line in fact.get("lines") or ())
    gross = gross or (fact.get("total_minor") or 0) + off
    if coupons >= limits.coupons:
        fire(row, "coupon_depth", at, f"{coupons} coupons stacked")
    elif gross > 0 and 100 * off >= limits.discount_percent * gross:
        fire(row, "coupon_depth", at, f"{100 * off // gross} % discount")


def _address(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    limits, at, event = settings.limits, fact["event_time"], _event(fact)
    changes = _noted(row, "addresses", [at, event])
    if changes is None:
        return
    if "customer" in row:
        message = {"do": "address", "at": at, "event": event, "guid": guid}
        out.count(f"customer/{row['customer']}", message)
    elif (found := pair([when for when, _ in changes], limits.address_window_ms)) is not None:
        fire(row, "address_change", found, ADDRESS_EVIDENCE)
    large = limits.high_value_minor.get(row["currency"])
    high = large is not None and row.get("total", 0) >= large
    # Whoever has confirmed goods and address, and changes the latter once more, is called once more.
    again = row.get("called") == 2 and "spoken" in row and row.get("rank", 0) < SHIPPED
    is_asked = len(changes) >= 2 and changes[-1][0] > row.get("spoken", 0)
    if is_asked and high and (again or not row.get("called")) and not row.get("over"):
        row["called"] = 1
        detail = "the address of a high-value order was changed a second time: the customer may refuse the parcel"
        out.alarm("RSK-07", guid, at, "call the customer before anything is made or shipped", detail)


def _spoken(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    """RSK-07: the customer was asked before it is shipped; what they said is with whoever called."""
    at: int = fact["event_time"]
    if not is_before_shipping(fact) or said_of(fact) in (None, NO_ANSWER) or at <= row.get("spoken", 0):
        return
    row["spoken"] = at
    if row.get("called") == 1 and at >= row["addresses"][-1][0]:
        row["called"] = 2
        out.calm("RSK-07", guid, at)


ADDRESS_EVIDENCE: Final = "2 address changes within 30 min"


def pair(times: list[int], window: int) -> int | None:
    """The later of the first two times that lie within the window; `times` sorted."""
    return next((b for a, b in pairwise(times) if b - a <= window), None)


def _paid(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    at, limits = fact["event_time"], settings.limits
    _deposit(out, guid, row, fact, settings)
    if _noted(row, "paid", at) is None:
        return
    minute = (at + calendar.SHANGHAI_OFFSET_MS) % calendar.DAY_MS // calendar.MINUTE_MS
    if limits.night_from <= minute < limits.night_to:
        fire(row, "night_payment", at, f"paid at {minute // 60:02}:{minute % 60:02}")
    _chat_after(row, settings)
    _pay_then_cancel(out, guid, row, settings)


def _deposit(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    _moved(row, "received", fact)


def _chat(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    _opened(row, fact["event_time"], settings)
    _words(out, guid, row, fact, settings)


def _opened(row: dict[str, Any], at: int, settings: Settings) -> None:
    if _noted(row, "chats", at) is not None:
        _chat_after(row, settings)


def _chat_after(row: dict[str, Any], settings: Settings) -> None:
    for paid in row.get("paid", ()):
        for chat in row.get("chats", ()):
            if 0 <= chat - paid <= settings.limits.chat_window_ms:
                fire(row, "chat_after_payment", chat, f"chat opened {(chat - paid) / 1000:g} s after payment")


def _words(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    urgent, chasing = chats.said(fact.get("text") or "", settings.limits)
    _said(row, fact["event_time"], _event(fact), urgent, chasing, settings)


def _said(row: dict[str, Any], at: int, event: str, urgent: list[str], chasing: bool, settings: Settings) -> None:
    limits = settings.limits
    for word in urgent:
        fire(row, "urgent_words", at, f"said {word}")
    if chasing:
        chases = _noted(row, "chases", [at, event]) or ()
        times = [when for when, _ in chases]
        for first, last in zip(times, times[limits.chases - 1 :], strict=False):
            if last - first <= limits.chase_window_ms:
                fire(row, "repeated_chasing", last, f"chased {limits.chases} times within a day")


def _printed(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    duration = fact.get("duration_ms")
    if duration is not None and _noted(row, "told", _event(fact)) is not None:
        warehouse = fact.get("warehouse") or fact["source"]
        message = {"do": "print", "at": fact["event_time"], "ms": duration, "guid": guid}
        out.count(f"warehouse/{warehouse}", message)


def _refund_asked(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    ip = hashed(fact["ip"], settings) if fact.get("ip") else row.get("ip")
    if ip is not None and _noted(row, "told", _event(fact)) is not None:
        at = fact["event_time"]
        message = {"do": "refund", "at": at, "event": _event(fact), "guid": guid}
        out.count(f"ip/{ip}/{calendar.compact_date(at)}", message)


def _refunded(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    _moved(row, "refunds", fact)


def _moved(row: dict[str, Any], name: str, fact: Fact) -> None:
    """What the order itself would count of its money."""
    known = row.get(name, {})
    if len(known) < KEPT and money.refusal(row["currency"], fact) is None:
        row[name] = {**known, _event(fact): fact.get("amount_minor") or 0}


def _cancelled(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    if _noted(row, "cancels", fact["event_time"]) is not None:
        _pay_then_cancel(out, guid, row, settings)
    if fact["event_type"] == "cancel_marked":
        row["over"] = 1


def _pay_then_cancel(out: Outcome, guid: str, row: dict[str, Any], settings: Settings) -> None:
    """RSK-02 #10: what the customer's later orders are judged by. The earliest such cancellation is told."""
    found = [
        cancel
        for cancel in row.get("cancels", ())
        for paid in row.get("paid", ())
        if 0 <= cancel - paid <= settings.limits.cancel_window_ms
    ]
    if not found or min(found) == row.get("regretted"):
        return
    if "regretted" not in row:
        paid = row["paid"][0]
        hour = (paid + calendar.SHANGHAI_OFFSET_MS) % calendar.DAY_MS // calendar.HOUR_MS
        message = {"do": "regret", "at": max(found), "hour": hour, "tier": row.get("tier", "")}
        out.count(tally.pattern_key(paid), message)
    row["regretted"] = min(found)
    if "customer" in row:
        out.count(f"customer/{row['customer']}", {"do": "cancel", "at": min(found), "guid": guid})


def _failed(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    if _noted(row, "told", _event(fact)) is not None:
        out.count(tally.POPUPS, {"do": "popup", "at": fact["event_time"]})


def _command(out: Outcome, guid: str, row: dict[str, Any], fact: Fact, settings: Settings) -> None:
    """RSK-04: a person unlocks the order. What became of the command goes to the order, which audits it."""
    if fact.get("command") != UNLOCK or _noted(row, "told", _event(fact)) is None:
        return
    refused = None if row.get("lock") == 1 else "the order is not locked by its risk score"
    if not operator_of(fact):
        refused = f"{UNLOCK} needs an operator"
    if refused is None:
        row["lock"] = 2
        out.calm("RSK-04", guid, fact["event_time"])
    said = {name: fact[name] for name in ("operator", "source") if fact.get(name)}
    reason = fact.get("reason") or "unlocked by hand"
    out.sends.append(verdict.told(guid, row, fact["event_time"], _event(fact), settings, reason, refused, said))


_HANDLERS: Final[dict[str, Any]] = {
    "address_changed": _address,
    "payment_succeeded": _paid,
    "balance_paid": _paid,
    "deposit_paid": _deposit,
    "chat_opened": _chat,
    "chat_message": _words,
    "ticket_opened": _words,
    "label_printed": _printed,
    "refund_requested": _refund_asked,
    "refund_settled": _refunded,
    "cancel_requested": _cancelled,
    "cancel_marked": _cancelled,
    "manual_command": _command,
    "payment_failed": _failed,
    "voice_call_result": _spoken,
}


# -- what follows -----------------------------------------------------------------------------------------------------


def _settle(out: Outcome, guid: str, before: Row | None, new: dict[str, Any], at: int, settings: Settings) -> None:
    """Weigh the signals, move the timer, store the row if it is another."""
    verdict.weigh(out, guid, new, at, settings)
    if "trouble" in new and (before is None or "trouble" not in before):
        early = int(new.get("warned", new["trouble"]) < new["trouble"])
        out.count(tally.capture_key(new["trouble"]), {"do": "abnormal", "at": new["trouble"], "early": early})
    ended = standing.is_ended(new)
    if new.get("overdue") == 1 and (ended or new.get("rank", 0) >= SHIPPED):
        new["overdue"] = standing.TOLD_AND_CALM
        out.calm("RSK-10", guid, at)
    if new.get("called") == 1 and new.get("rank", 0) >= SHIPPED > (before or {}).get("rank", 0):
        new["called"] = 2  # nothing can be asked before it is shipped any more
        out.calm("RSK-07", guid, at)
    if "near" in new:
        promise.settle(out, guid, new, at, settings.limits, ended)
    if ended:
        verdict.end(out, guid, new, at)
    if "late" in new:
        late_at = standing.late_at(new, settings)
        # An old fact told late puts nothing off: it is late as of when that was found, at the node it is at now.
        if late_at is None or late_at > max(at, new["late"]):
            del new["late"]
            out.calm("RSK-11", guid, at)
        elif late_at > new["late"]:
            new["late"] = late_at
    for what, when in standing.dues(new, settings):
        if what == "late" and when <= at:
            _likely_late(out, guid, new, at)
    dues = [when for _, when in standing.dues(new, settings)]
    earliest = min(dues, default=None)
    if earliest != new.get("due"):
        out.timers.append((DUE, guid, earliest))
        if earliest is None:
            new.pop("due", None)
        else:
            new["due"] = earliest
    if new != before:
        out.writes.append((ORDERS, guid, new))


def _likely_late(out: Outcome, guid: str, row: dict[str, Any], at: int) -> None:
    """RSK-11: warned ahead, once for as long as it lasts."""
    row["late"] = at
    node = NODES[row["node"][0] - 1].name
    out.alarm("RSK-11", guid, at, "likely late", f"at {node}: its age and its weak signals together reach the limit")


def _event(fact: Fact) -> str:
    return event_key(fact["source"], fact["event_id"]).hex()


def _noted(row: dict[str, Any], name: str, entry: Any) -> list[Any] | None:
    """The row's list with the entry, sorted; None if that is no news."""
    known: list[Any] = row.get(name) or []
    if entry in known or len(known) >= KEPT:
        return None
    row[name] = sorted([*known, entry])
    return row[name]  # type: ignore[no-any-return]


__all__ = ["RISK_FACT", "chatted", "due", "fire", "hashed", "pair", "signalled", "step"]
