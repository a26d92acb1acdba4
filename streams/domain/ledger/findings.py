"""Money that does not add up, told to finance: paid against the price, refunded against paid (FIN-06, FIN-07).

Neither is refused, since the money did move; it is posted as it came. Somebody is told once it has not added up for
more than `mismatch_ms` since it last moved: a second payment, or the payment of an early refund, may be on its way. The
alert closes when the sums fit after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streams.domain.ledger.row import RECEIPT, Row, sums
from streams.domain.ledger.settings import Settings

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""

ALERTS: Final = "alert-facts"
PRICE, OVER = "FIN-06", "FIN-07"
_TITLES: Final = {PRICE: "payment and price differ", OVER: "refunded more than was paid"}


def causes(row: Row, settings: Settings) -> Iterator[tuple[str, str]]:
    """(rule, detail) of what does not add up now."""
    paid, refunded, _ = sums(row)
    currency = row["currency"]
    if paid > refunded and any(kind == RECEIPT for kind, *_ in row.get("money", {}).values()):
        total = row.get("total")
        if total is None:
            yield PRICE, f"paid {paid} minor units of {currency}, and no price was told"
        else:
            gap = paid - total
            gap = max(0, gap - refunded) if gap > 0 else gap
            if abs(gap) > settings.rounding_minor:
                yield PRICE, f"paid {paid} minor units of {currency} for a price of {total}"
    if refunded > paid:
        yield OVER, f"refunded {refunded} minor units of {currency} of {paid} paid"


def settle(
    guid: str, row: Row, at: int, now: int, settings: Settings, moved: bool, sends: list[Send]
) -> tuple[Row, int | None]:
    """The row after what is to be told by `now` was told, and when there may be more (ms). `moved`: money just did; its
    time runs from here, since in a backlog what makes up for it stands behind it."""
    raised, found = row.get("raised", []), dict(causes(row, settings))
    for rule in raised:
        if rule not in found:
            sends.append(_finding(guid, row, rule, {"do": "close", "at": at}))
    still, quiet = [rule for rule in raised if rule in found], [rule for rule in found if rule not in raised]
    uneven = None
    if quiet:
        uneven = now if moved else row.get("uneven", now)
        if uneven + settings.mismatch_ms < now:
            for rule in quiet:
                said = {"do": "open", "title": _TITLES[rule], "detail": found[rule], "at": now}
                sends.append(_finding(guid, row, rule, said))
            still, uneven = still + quiet, None
    for name, value in (("raised", sorted(still) or None), ("uneven", uneven)):
        if value != row.get(name):
            row = {**row, name: value}
            if value is None:
                del row[name]
    return row, None if uneven is None else uneven + settings.mismatch_ms + 1


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
