"""What an order's record must be, worked out from the bag of its events at once, without any code of the package.

Slow and plain on purpose: every line is a sentence of the rules.
"""

from __future__ import annotations

from typing import Any

STATES = ["pending_payment", "paid", "shipped", "logistics_signed", "customer_signed", "settled"]
MAY_CLAIM = {
    "pending_payment": ["orders"],
    "paid": ["payments"],
    "shipped": ["wms", "couriers"],
    "logistics_signed": ["couriers"],
    "customer_signed": ["orders", "service"],
    "settled": ["finance"],
}
# Node: state, place (a loop shares one), who may tell it.
NODES: dict[str, tuple[str, int, list[str]]] = {
    "pending_payment": ("pending_payment", 1, ["orders"]),
    "paid": ("paid", 2, ["payments"]),
    "risk_review": ("paid", 3, ["orders", "wms"]),
    "order_review": ("paid", 3, ["orders", "wms"]),
    "warehouse_allocated": ("paid", 5, ["wms"]),
    "label_pending": ("paid", 6, ["wms"]),
    "label_printing": ("paid", 6, ["wms"]),
    "label_printed": ("paid", 6, ["wms"]),
    "outbound_pending": ("paid", 9, ["wms"]),
    "picking": ("paid", 10, ["wms"]),
    "quality_check": ("paid", 11, ["wms"]),
    "packed": ("paid", 12, ["wms"]),
    "loaded": ("shipped", 13, ["wms"]),
    "shipped": ("shipped", 14, ["wms", "couriers"]),
    "awaiting_pickup": ("shipped", 15, ["wms", "couriers"]),
    "picked_up": ("shipped", 16, ["couriers"]),
    "in_transit": ("shipped", 17, ["couriers"]),
    "transit_stalled": ("shipped", 17, ["couriers"]),
    "out_for_delivery": ("shipped", 17, ["couriers"]),
    "logistics_signed": ("logistics_signed", 20, ["couriers"]),
    "awaiting_confirm": ("logistics_signed", 20, ["couriers"]),
    "customer_signed": ("customer_signed", 22, ["orders", "service"]),
    "settled": ("settled", 23, ["finance"]),
}
NUMBER = {name: number for number, name in enumerate(NODES, 1)}
# Event type: (state it claims, node it tells, state its claim shows). Absent: no claim.
PLAIN: dict[str, tuple[str | None, str | None, str | None]] = {
    "payment_succeeded": ("paid", "paid", "paid"),
    "balance_paid": ("paid", "paid", "paid"),
    "deposit_paid": (None, None, "pending_payment"),
    "payment_failed": (None, None, "pending_payment"),
    "cancel_marked": (None, None, None),
    "buyer_confirmed": ("customer_signed", "customer_signed", "customer_signed"),
    "confirmation_scanned": ("customer_signed", "customer_signed", "customer_signed"),
    "allocated": (None, "warehouse_allocated", "paid"),
    "label_print_started": (None, "label_printing", "paid"),
    "label_printed": (None, "label_printed", "paid"),
    "label_print_failed": (None, "label_pending", "paid"),
    "picking_started": (None, "picking", "paid"),
    "quality_checked": (None, "quality_check", "paid"),
    "packed": (None, "packed", "paid"),
    "loaded": ("shipped", "loaded", "shipped"),
    "waybill_accepted": (None, "awaiting_pickup", None),
    "picked_up": ("shipped", "picked_up", "shipped"),
    "scanned": ("shipped", "in_transit", "shipped"),
    "exception": (None, "transit_stalled", None),
    "out_for_delivery": ("shipped", "out_for_delivery", "shipped"),
    "signed": ("logistics_signed", "logistics_signed", "logistics_signed"),
    "settled": ("settled", "settled", "settled"),
}
RECEIPTS = ("payment_succeeded", "balance_paid", "deposit_paid")


def record(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The derived fields of order-states, of distinct events of which one is the order_created."""
    created = next(event for event in events if event["event_type"] == "order_created")
    reached: dict[str, list[int]] = {"pending_payment": [created["event_time"]]}
    nodes: dict[str, list[int]] = {"pending_payment": [created["event_time"]]}
    claims: dict[str, list[tuple[int, int, str]]] = {}
    accepted = [created["event_time"]]
    paid = refunded = 0
    closed = invoiced = False
    cancels: list[int] = []
    words: list[int] = []
    receipts: list[int] = []
    backs: list[int] = []
    codes: dict[str, list[tuple[int, str]]] = {"waybill_no": [], "package_id": [], "platform_txn_no": []}
    stolen = [(event["code_kind"], event["code"]) for event in events if event["event_type"] == "_code_rejected"]

    for event in events:
        if event["event_type"] == "_code_rejected":
            continue
        for kind, known in codes.items():
            if kind in event and (kind, event[kind]) not in stolen:
                known.append((event["event_time"], event[kind]))
        if event is created:
            continue
        kind, when, topic = event["event_type"], event["event_time"], event["topic"]
        if kind in (*RECEIPTS, "refund_settled", "fee_charged") and event["currency"] != created["currency"]:
            continue
        claim = says(event)
        if claim is not None:
            claims.setdefault(event["source"], []).append(
                (when, STATES.index(claim) if claim else -1, event.get("raw_status", kind))
            )
        mapped = event.get("mapped")
        if mapped and mapped["known"]:
            words += [when] if "closed" in mapped["flags"] and topic == "orders" else []
            invoiced = invoiced or mapped["event"] == "invoiced"
        state, node, refused = moves(event)
        if refused:
            continue
        accepted.append(when)
        if state:
            reached.setdefault(state, []).append(when)
        if node:
            nodes.setdefault(node, []).append(when)
        paid += event["amount_minor"] if kind in RECEIPTS else 0
        refunded += event["amount_minor"] if kind == "refund_settled" else 0
        receipts += [when] if kind in RECEIPTS and event["amount_minor"] else []
        backs += [when] if kind == "refund_settled" and event["amount_minor"] else []
        cancels += [when] if kind == "cancel_marked" else []

    closed = bool(cancels or words)
    unmapped = [event for event in events if "mapped" in event and not event["mapped"]["known"]]
    signed = [event["event_time"] for event in unmapped if event["topic"] == "couriers" and "签" in event["raw_status"]]
    signed = signed if max(map(STATES.index, reached)) else []
    truly = dict(reached)
    if signed:
        reached.setdefault("logistics_signed", signed)
    state = max(reached, key=STATES.index)
    left = "shipped" in truly or "logistics_signed" in truly
    frozen = 0 < refunded < paid and not left and is_called_off(cancels, words, receipts, backs)
    return {
        "state": state,
        "node": furthest(nodes, state),
        "entered_at": {name: min(reached[name]) for name in STATES if name in reached},
        "flags": flags(truly, state, paid, refunded, closed, frozen, bool(stolen), bool(signed)),
        "claims": {
            source: {"raw": last[2], "state": STATES[last[1]] if last[1] >= 0 else None, "at": last[0]}
            for source, last in sorted((source, max(said)) for source, said in claims.items())
        },
        "paid_minor": paid,
        "refunded_minor": refunded,
        "updated_at": max(accepted),
        "waybills": by_first_mention(codes["waybill_no"]),
        "package_ids": by_first_mention(codes["package_id"]),
        "platform_txn_no": next(iter(by_first_mention(codes["platform_txn_no"])), None),
        "invoiced": invoiced,
    }


def says(event: dict[str, Any]) -> str | None:
    """The state that the event's claim shows: "" for a claim without a state, None for no claim at all."""
    mapped = event.get("mapped")
    if mapped:
        if not mapped["known"]:
            return ""
        if mapped["state"]:
            return str(mapped["state"])
        if event["topic"] in ("wms", "couriers"):
            return "" if mapped["flags"] else None
    if event["event_type"] in PLAIN:
        return PLAIN[event["event_type"]][2] or ""
    return "" if mapped and mapped["flags"] else None


def moves(event: dict[str, Any]) -> tuple[str | None, str | None, bool]:
    """(state, node, refused): what the event is allowed to move."""
    mapped, topic = event.get("mapped"), event["topic"]
    state, node, _ = PLAIN.get(event["event_type"], (None, None, None))
    if not mapped:
        return state, node, False
    if not mapped["known"]:
        return None, None, True
    if not mapped["state"]:
        return (None, None, False) if topic in ("wms", "couriers") else (state, node, False)
    state, node = mapped["state"], mapped["node"]
    if topic in MAY_CLAIM[str(state)] and node != "awaiting_pickup":
        return state, node or str(state), False
    if node and topic in NODES[node][2]:
        return None, node, False
    return None, None, True


def furthest(nodes: dict[str, list[int]], state: str) -> str:
    if state == "logistics_signed":
        return "awaiting_confirm"
    within = [name for name in nodes if STATES.index(NODES[name][0]) <= STATES.index(state)]
    return max(within, key=lambda name: (NODES[name][1], max(nodes[name]), NUMBER[name]))


def is_called_off(cancels: list[int], words: list[int], receipts: list[int], backs: list[int]) -> bool:
    """A cancel mark means the whole order; a word for closed does that was told before any money went back. It holds
    until somebody pays again."""
    if not cancels and not (words and min(words) < min(backs)):
        return False
    begun = max(min(backs), max(cancels) if cancels else min(words))
    return not any(when > begun for when in receipts)


def flags(
    reached: dict[str, list[int]],
    state: str,
    paid: int,
    refunded: int,
    closed: bool,
    frozen: bool,
    stolen: bool,
    signed: bool,
) -> list[str]:
    skipped = any(name not in reached for name in STATES[: STATES.index(state)])
    undelivered = "customer_signed" in reached and "logistics_signed" not in reached
    full = paid > 0 and refunded >= paid
    found = {
        "closed": closed and not 0 < refunded < paid,
        "frozen": frozen,
        "conflict": undelivered or stolen,
        "gap": skipped,
        "partially_refunded": refunded > 0 and not full,
        "refunded": full,
        "provisional": signed and "logistics_signed" not in reached,
    }
    return [name for name, holds in found.items() if holds]


def by_first_mention(mentions: list[tuple[int, str]]) -> list[str]:
    first: dict[str, int] = {}
    for when, code in mentions:
        first[code] = min(when, first.get(code, when))
    return [code for _, code in sorted((when, code) for code, when in first.items())]
