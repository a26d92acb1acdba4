"""FIN-13: where the money of an order stands, in one answer with the blocking condition named.

FIN-08: what lies between its value as sold (GMV) and what is booked of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.domain.ledger.entries import ADVANCES, CASH, DISCOUNTS, REFUNDS, REVENUE
from streams.domain.ledger.recognise import BACK, CONFLICT, MONEY, PICKUP, WORD, verdict
from streams.domain.ledger.row import Row, sums, taken_back
from streams.domain.ledger.settings import CONFIRMED, PICKED, Settings
from streams.domain.order.tiers import REVENUE_BLOCKED

_WITH_COURIER: Final = ("HANDED_OVER", "DELIVERED")
"""Base tiers (ST-04) of an order that a courier has picked up."""


def view(row: Row, settings: Settings) -> dict[str, Any]:
    """{paid, refunded, fees, recognised, advances: minor units; recognised_at, ready_at: ms or None; waits_for: what is
    missing for revenue, None if nothing is; bridge, None if it has no price}. `recognised` is net of discounts and
    refunds of the price. Of the bridge: gmv - discounts - refunds - unrecognised - fees = booked."""
    paid, refunded, fees = sums(row)
    done = row.get("done")
    found = verdict(row, settings)
    recognised = 0 if done is None else row["total"] - sum(taken_back(row).values())
    waits = BACK if 0 < paid <= refunded else found.waits
    return {
        "currency": row["currency"],
        "paid_minor": paid,
        "refunded_minor": refunded,
        "fees_minor": fees,
        "recognised_minor": recognised,
        "advances_minor": paid - refunded - recognised,
        "recognised_at": done,
        "ready_at": found.at if done is None else None,
        "waits_for": waits if done is None else None,
        "bridge": bridge(row),
    }


def bridge(row: Row) -> dict[str, int] | None:
    """The bridge of `view`."""
    if "total" not in row:
        return None
    back, fees = sum(taken_back(row).values()), sums(row)[2]
    recognised = 0 if "done" not in row else row["total"] - back
    off = sum(part[2] for part in row["parts"])
    return {
        "gmv_minor": row["total"] + off,
        "discounts_minor": off,
        "refunds_minor": back,
        "unrecognised_minor": row["total"] - back - recognised,
        "fees_minor": fees,
        "booked_minor": recognised - fees,
    }


def waits_for(state: Mapping[str, Any], settings: Settings) -> str | None:
    """The `waits_for` of `view` from an order's record of order-states, where there is no row of the ledger; None if
    nothing is missing that the record tells of."""
    paid, total, told = state.get("paid_minor") or 0, state.get("total_minor"), state.get("entered_at") or {}
    needs = settings.rule(state.get("channel")).needs
    if 0 < paid <= (state.get("refunded_minor") or 0):
        return BACK
    if "paid" not in told or (total is not None and paid < total - settings.rounding_minor):
        return MONEY
    if PICKED in needs and (state.get("tiers") or {}).get("base") not in _WITH_COURIER:
        return PICKUP
    if CONFIRMED in needs and "customer_signed" not in told:
        return WORD
    if (state.get("tiers") or {}).get("finance") == REVENUE_BLOCKED:
        return CONFLICT
    return None


def of_entries(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The same from an order's records of ledger-entries, which do not say what revenue waits for or what
    an order without revenue is worth; None without any."""
    entries, moved, account = list(entries), Counter[str](), Counter[str]()
    if not entries:
        return None
    for entry in entries:
        debit, credit, amount = entry["debit_account"], entry["credit_account"], abs(entry["amount_minor"])
        account[debit] += amount
        account[credit] -= amount
        if debit == CASH:
            moved["paid"] += amount
        elif credit == CASH:
            moved["refunded" if debit == ADVANCES else "fees"] += amount
    gone = {entry["reversal_of"] for entry in entries}
    sold = [
        entry["recognized_at"]
        for entry in entries
        if entry["credit_account"] == REVENUE and entry["entry_id"] not in gone
    ]
    return {
        "currency": entries[0]["currency"],
        "paid_minor": moved["paid"],
        "refunded_minor": moved["refunded"],
        "fees_minor": moved["fees"],
        "recognised_minor": -account[REVENUE] - account[DISCOUNTS] - account[REFUNDS],
        "advances_minor": -account[ADVANCES],
        "recognised_at": max(sold, default=None),
        "ready_at": None,
        "waits_for": None,
        "bridge": None,
    }
