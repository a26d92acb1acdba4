"""Money that does not add up, told to finance: paid against the price, refunded against paid (FIN-06, FIN-07).

Neither is refused, since the money did move; it is posted as it came. Somebody is told once it has not added up for
`mismatch_ms` after the last movement: a second payment, or the payment of an early refund, may be on its way. The alert
closes when the sums fit after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streams.domain.ledger.row import RECEIPT, RECEIPTS, REFUND, Row, sums
from streams.domain.ledger.settings import Settings

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""

ALERTS: Final = "alert-facts"
PRICE, OVER = "FIN-06", "FIN-07"
_TITLES: Final = {PRICE: "payment and price differ", OVER: "refunded more than was paid"}


def causes(row: Row, settings: Settings) -> Iterator[tuple[str, int, str]]:
    """(rule, from when it is told, ms, detail) of what does not add up now."""
    paid, refunded, _ = sums(row)
    currency = row["currency"]
    if any(kind == RECEIPT for kind, *_ in row.get("money", {}).values()):
        at = _last(row, RECEIPTS) + settings.mismatch_ms + 1
        total = row.get("total")
        if total is None:
            yield PRICE, at, f"paid {paid} minor units of {currency}, and no price was told"
        else:
            gap = paid - total
            gap = max(0, gap - refunded) if gap > 0 else gap
            if abs(gap) > settings.rounding_minor:
                yield PRICE, at, f"paid {paid} minor units of {currency} for a price of {total}"
    if refunded > paid:
        at = _last(row, (REFUND,)) + settings.mismatch_ms + 1
        yield OVER, at, f"refunded {refunded} minor units of {currency} of {paid} paid"


def _last(row: Row, kinds: tuple[str, ...]) -> int:
    return max(int(at) for kind, _, _, at in row["money"].values() if kind in kinds)


def settle(guid: str, row: Row, at: int, now: int, settings: Settings, sends: list[Send]) -> tuple[Row, int | None]:
    """The row after what is to be told by `now` was told, and when there may be more (ms)."""
    raised, due = row.get("raised", []), None
    open_now = list(raised)
    found = {rule: (when, detail) for rule, when, detail in causes(row, settings)}
    for rule, (when, detail) in found.items():
        if rule not in raised and when <= now:
            open_now.append(rule)
            sends.append(_finding(guid, row, rule, {"do": "open", "title": _TITLES[rule], "detail": detail, "at": now}))
        elif rule not in raised:
            due = when if due is None else min(due, when)
    for rule in raised:
        if rule not in found:
            open_now.remove(rule)
            sends.append(_finding(guid, row, rule, {"do": "close", "at": at}))
    if open_now != raised:
        row = {**row, "raised": sorted(open_now)}
    return row, due


def _finding(guid: str, row: Row, rule: str, said: dict[str, Any]) -> Send:
    return ALERTS, f"{rule}/{guid}", {**said, "rule": rule, "order_guid": guid, "channel": row.get("channel")}


def refused(guid: str, row: Row, fact: Any, reason: str) -> Send:
    """Money in another currency: the order's audit row refuses it, the shop has it all the same."""
    said = {"do": "open", "title": "money in another currency", "detail": reason, "at": fact["event_time"]}
    topic, _, value = _finding(guid, row, "FIN-07", {**said, "last_event": _event(fact)})
    return topic, f"FIN-07/currency/{guid}", value


def unexplained(guid: str, row: Row, at: int) -> Send:
    detail = f"lines less discounts are {row['unexplained']} minor units of {row['currency']} more than the price"
    said = {"do": "open", "title": "discounts and price differ", "detail": detail, "at": at}
    topic, _, value = _finding(guid, row, "FIN-06", said)
    return topic, f"FIN-06/discounts/{guid}", value


def twice(guid: str, row: Row, fact: Any) -> Send:
    """FIN-03: a second trigger for revenue that is recognised. One alert per source that does so, counted."""
    source = fact["source"]
    detail = f"{source} told a second time that the customer has the goods; revenue stays as it was recognised"
    said = {"do": "count", "title": "duplicate_revenue_blocked", "detail": detail, "at": fact["event_time"]}
    topic, _, value = _finding(guid, row, "FIN-03", {**said, "source": source, "last_event": _event(fact)})
    return topic, f"FIN-03/{source}", value


def _event(fact: Any) -> str:
    return f"{fact['topic']}/{fact['source']}/{fact['event_id']}"
