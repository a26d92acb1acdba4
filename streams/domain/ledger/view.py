"""FIN-13: where the money of an order stands, in one answer with the blocking condition named."""

from __future__ import annotations

from typing import Any

from streams.domain.ledger.recognise import verdict
from streams.domain.ledger.row import Row, sums
from streams.domain.ledger.settings import Settings


def view(row: Row, settings: Settings) -> dict[str, Any]:
    """{paid, refunded, fees, recognised, advances: minor units; recognised_at, ready_at: ms or None; waits_for: what is
    missing for revenue, None if nothing is}. `recognised` is net of discounts and refunds."""
    paid, refunded, fees = sums(row)
    done = row.get("done")
    found = verdict(row, settings)
    recognised = 0 if done is None else row["total"] - refunded
    return {
        "currency": row["currency"],
        "paid_minor": paid,
        "refunded_minor": refunded,
        "fees_minor": fees,
        "recognised_minor": recognised,
        "advances_minor": paid - refunded - recognised,
        "recognised_at": done,
        "ready_at": found.ready if done is None and found.at is not None else None,
        "waits_for": found.waits if done is None else None,
    }
