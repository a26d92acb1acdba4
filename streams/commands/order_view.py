"""One order in plain words: where it stands, why, what each system claims, what is open, what is due next."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from streams.domain.currencies import decimals
from streams.domain.logistics.arrival import DEFAULT
from streams.domain.order.arrival import sentence
from streams.domain.order.tiers import REVENUE_BLOCKED

if TYPE_CHECKING:
    from rich.console import Console

SHOP_TIME = timezone(timedelta(hours=8))
STATES = ("pending_payment", "paid", "shipped", "logistics_signed", "customer_signed", "settled")
STEPS = 17
AUDIT_SHOWN = 8
_WAITS_FOR = {
    "pending_payment": "the payment",
    "paid": "the parcel to leave the warehouse (loaded) or the courier's pickup",
    "shipped": "the courier's signature",
    "logistics_signed": "the customer's confirmation",
    "customer_signed": "the settlement by finance",
    "settled": "nothing: settled",
}


def clock(ms: int | None) -> str:
    """Milliseconds UTC as a time of the shop's zone."""
    if ms is None:
        return "-"
    try:
        return (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
            .astimezone(SHOP_TIME)
            .strftime("%Y-%m-%d %H:%M:%S +08")
        )
    except OverflowError:
        return f"{ms} ms"


def money(minor: int | None, currency: str | None) -> str:
    """Minor units as people write them: 9900 CNY -> 99.00 CNY."""
    if minor is None:
        return "-"
    digits = decimals(currency)
    if not digits:
        return f"{minor} {currency}"
    sign, (whole, rest) = ("-" if minor < 0 else ""), divmod(abs(minor), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d} {currency or ''}".rstrip()


def codes_of(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """Every code of an order-states value, by kind."""
    codes = state.get("codes") or {}
    found = {
        "order_guid": [state.get("order_guid")],
        "order_no": [state.get("order_no")],
        "platform_txn_no": [codes.get("platform_txn_no")],
        "internal_no": [codes.get("internal_no")],
        "waybill_no": codes.get("waybills") or [],
        "package_id": codes.get("package_ids") or [],
        "alias18": [codes.get("alias18")],
    }
    return {kind: [str(code) for code in values if code] for kind, values in found.items() if any(values)}


def show(console: Console, order: Mapping[str, Any]) -> None:
    """Print one order: {"state": order-states value, "audit": [...], "alerts": [...], "money": {...}} (lists in order
    of time; money as `streams.domain.ledger.view`)."""
    from rich.markup import escape

    state = order["state"]
    currency = state.get("currency")
    where = f"{state.get('state') or 'no state yet'}, node {state.get('node') or '-'}"
    name = " ".join(str(part) for part in (state.get("channel"), state.get("order_no")) if part)
    console.print(f"[bold]{escape(state['order_guid'])}[/bold]  {escape(name)}")
    text = f": {escape(state['status_text'])}" if state.get("status_text") else ""
    console.print(f"  [bold]stands at[/bold]  {where}{text}")
    if state.get("flags"):
        console.print(f"  [bold]flags[/bold]      [yellow]{escape(', '.join(state['flags']))}[/yellow]")
    if expected := arrival_sentence(state, time.time_ns() // 1_000_000):
        console.print(f"  [bold]expected[/bold]   {escape(expected)}")
    paid, total = money(state.get("paid_minor"), currency), money(state.get("total_minor"), currency)
    back = f", {money(state['refunded_minor'], currency)} refunded" if state.get("refunded_minor") else ""
    console.print(f"  [bold]money[/bold]      {paid} paid of {total}{back}")
    if order.get("money"):
        console.print(f"  [bold]revenue[/bold]    {escape(revenue(order['money'], state))}")
    if invoice := invoice_sentence(state):
        console.print(f"  [bold]invoice[/bold]    {escape(invoice)}")
    others = {kind: codes for kind, codes in codes_of(state).items() if kind not in ("order_guid", "order_no")}
    for kind, codes in others.items():
        console.print(f"  [bold]code[/bold]       {kind} {escape(', '.join(codes))}")
    console.print(f"  [bold]changed[/bold]    {clock(state.get('updated_at'))}, version {state.get('version')}")
    _way(console, state)
    _stock(console, state)
    _claims(console, state)
    _why(console, order.get("audit") or [])
    _alerts(console, order.get("alerts") or [])
    _approvals(console, state, time.time_ns() // 1_000_000)
    _due(console, state, order.get("timers") or [])


def revenue(found: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """FIN-13: what is recognised and since when, or what it waits for; fees, and what is the customer's still."""
    currency = found["currency"]
    if found["recognised_at"] is not None:
        said = f"{money(found['recognised_minor'], currency)} recognised at {clock(found['recognised_at'])}"
    elif found["ready_at"] is not None:
        said = f"none yet: due at {clock(found['ready_at'])} unless it is cancelled"
    elif found["waits_for"] is not None:
        said = f"none yet: waits for {found['waits_for']}"
    else:
        said = f"none yet: {(state.get('tiers') or {}).get('finance') or 'waiting'}"
    if found["advances_minor"]:
        said += f"; {money(found['advances_minor'], currency)} customer advances"
    return said + (f"; {money(found['fees_minor'], currency)} fees" if found["fees_minor"] else "")


def invoice_sentence(state: Mapping[str, Any]) -> str:
    """TAX-08, TAX-09: how far the invoice is, with the codes of all and of the red ones; "" where nobody wants one."""
    found = state.get("invoice")
    if not found:
        return ""
    said = str(found["status"]) + (f": {found['reason']}" if found.get("reason") else "")
    codes = [str(each["code"]) for each in found["invoices"] if each.get("code")]
    reds = [str(code) for each in found["invoices"] for code in each["red_codes"]]
    said += f"; {', '.join(codes)}" if codes else ""
    return said + (f"; red {', '.join(reds)}" if reds else "")


def _way(console: Console, state: Mapping[str, Any]) -> None:
    entered = state.get("entered_at") or {}
    if entered:
        console.print("[bold]the way here[/bold]")
        for name in sorted(entered, key=lambda each: (STATES.index(each) if each in STATES else len(STATES), each)):
            console.print(f"  {name:<18} {clock(entered[name])}")


def _stock(console: Console, state: Mapping[str, Any]) -> None:
    """What stock answered for each line (INV-06, INV-07); nothing for an order without lines under stock control."""
    from rich.markup import escape

    lines = state.get("stock") or []
    if lines:
        console.print("[bold]stock[/bold]")
    for line in lines:
        outcome = line.get("outcome") or "not answered yet"
        colour = "red" if outcome in ("oversold", "refused") else "none"
        reason = f": {escape(line['reason'])}" if line.get("reason") else ""
        what = f"line {line.get('line_no')}, {line.get('quantity')} of {line.get('sku')}"
        console.print(f"  [{colour}]{escape(outcome)}[/{colour}]{reason}  {escape(what)}")
    if lines and state.get("held_ms") is not None:
        console.print(f"  held for {timedelta(milliseconds=state['held_ms'])}")


def _claims(console: Console, state: Mapping[str, Any]) -> None:
    from rich.markup import escape

    claims = state.get("claims") or {}
    if claims:
        console.print("[bold]what each system claims[/bold]")
        for source in sorted(claims):
            claim = claims[source]
            said = f' ("{escape(claim["raw"])}")' if claim.get("raw") else ""
            mark = "  [yellow](ahead of the order)[/yellow]" if _rank(claim) > _rank(state) else ""
            console.print(
                f"  {escape(source):<18} {claim.get('state') or 'no state'}{said} at {clock(claim.get('at'))}{mark}"
            )


def _rank(claim: Mapping[str, Any]) -> int:
    state = claim.get("state")
    return STATES.index(state) if state in STATES else -1


def _why(console: Console, audit: list[Mapping[str, Any]]) -> None:
    from rich.markup import escape

    if not audit:
        return
    left_out = len(audit) - AUDIT_SHOWN
    console.print("[bold]why[/bold] (newest last" + (f", {left_out} older left out)" if left_out > 0 else ")"))
    for row in audit[-AUDIT_SHOWN:]:
        what = row.get("event_type") or row.get("event_id") or ""
        before, after = _brief(row.get("before")), _brief(row.get("after"))
        change = f"{before} -> {after}" if row.get("after") and before != after else ""
        parts = [
            clock(row.get("at")),
            row.get("source") or "",
            what,
            f"[{row.get('rule') or '-'}]",
            row["decision"],
            change,
        ]
        reason = f"  {escape(row['reason'])}" if row.get("reason") else ""
        console.print(f"  {escape(' '.join(part for part in parts if part))}{reason}")


def _brief(text: str | None) -> str:
    """`before` and `after` are a state, or JSON with one in it."""
    if text is None:
        return "nothing"
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            return text[:60]
        state, node = content.get("state"), content.get("node")
        return f"{state}/{node}" if state and node and node != state else str(state or node or text[:60])
    return text[:60]


def _alerts(console: Console, alerts: list[Mapping[str, Any]]) -> None:
    from rich.markup import escape

    unsettled = [alert for alert in alerts if alert.get("status") != "closed"]
    console.print("[bold]open alerts[/bold]" + ("" if unsettled else "  none"))
    for alert in unsettled:
        count = f" ({alert['count']} times)" if (alert.get("count") or 1) > 1 else ""
        severity, title = str(alert.get("severity") or alert["status"]), str(alert.get("title") or "")
        since = f"{count} since {clock(alert.get('opened_at'))}, {alert.get('rule') or '-'}"
        console.print(f"  [red]{escape(severity)}[/red] {escape(title)}{since}")
        if alert.get("advice"):
            console.print(f"    do: {escape(alert['advice'])}")


def _approvals(console: Console, state: Mapping[str, Any], now: int) -> None:
    """ST-09: the moves by hand that wait, for whom, and until when."""
    from rich.markup import escape

    pending = state.get("pending_approvals") or []
    if pending:
        console.print("[bold]waiting approvals[/bold]")
    for request in pending:
        console.print(f"  {escape(approval_sentence(request, now))}")


def approval_sentence(request: Mapping[str, Any], now: int) -> str:
    """`R1: skip_quality_check to packed, asked by li, approved by wang; 1 more of others until ...` at `now` (ms)."""
    said = f"{request['request_id']}: {request['command']} to {request['node']}, asked by {request['requested_by']}"
    if request["approved_by"]:
        said += f", approved by {', '.join(request['approved_by'])}"
    until = request["expires_at"]
    left = f"{span(until - now)} left" if now <= until else "expired"
    return f"{said}; {request['missing']} more of others until {clock(until)} ({left})"


def sla_sentence(state: Mapping[str, Any], now: int) -> str:
    """ST-10: `step 12 of 17, logistics specialist: 1 h 52 min left, due ...` at `now` (ms); "" if nothing is known."""
    owner, due = state.get("node_owner"), state.get("sla_due_at")
    if owner is None:
        return ""
    said = f"step {state.get('node_step')} of {STEPS}, {owner}"
    if due is None:
        return f"{said}: no SLA"
    left = f"{span(due - now)} left" if due >= now else f"over the SLA by {span(now - due)}"
    return f"{said}: {left}, due {clock(due)}"


def arrival_sentence(state: Mapping[str, Any], now: int) -> str:
    """LOG-16: `2026-01-26 15:00:00 +08, arrives in about 2 days (47 h 12 min left), by its lane` at `now` (ms); "" if
    no parcel is on its way."""
    at = state.get("estimated_arrival_at")
    if at is None:
        return ""
    left = f" ({span(at - now)} left)" if at > now else ""
    basis = str(state.get("estimate_basis"))
    by = "by default: too few parcels to tell" if basis == DEFAULT else f"by its {basis}"
    return f"{clock(at)}, {sentence(at, now)}{left}, {by}"


def conflict_sentence(state: Mapping[str, Any]) -> str:
    """What the flag `conflict` stands for: a delivery in doubt (ST-05), or a code of another order (ID-04)."""
    if (state.get("tiers") or {}).get("finance") == REVENUE_BLOCKED:
        return "revenue and invoice are blocked by the conflict until the courier has delivered or somebody resolves it"
    return "a code it was told with belongs to another order" if "conflict" in (state.get("flags") or []) else ""


def next_sentence(state: Mapping[str, Any], lane: str = "") -> str:
    """`waits for the courier's pickup`; of an order that is closed or paid back, what is left to do about it."""
    flags = state.get("flags") or []
    if "refunded" in flags:
        return "nothing: all was paid back"
    if "closed" in flags:
        due = (state.get("tiers") or {}).get("finance") == "refund_due"
        return "closed: what was paid is to be paid back" if due else "nothing: closed"
    waits = state.get("expected_next") or _WAITS_FOR.get(str(state.get("state")), "the order itself")
    return f"waits{lane} for {waits}"


def span(ms: int) -> str:
    """`1 h 52 min`, whole minutes, rounded down."""
    hours, minutes = divmod(ms // 60_000, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _due(console: Console, state: Mapping[str, Any], timers: list[Mapping[str, Any]]) -> None:
    from rich.markup import escape

    lane = f" in lane {state['lane']}" if state.get("lane") else ""
    console.print(f"[bold]next[/bold]  {escape(next_sentence(state, lane))}")
    if said := sla_sentence(state, time.time_ns() // 1_000_000):
        console.print(f"  {escape(said)}")
    if said := conflict_sentence(state):
        console.print(f"  {said}")
    for timer in timers:
        console.print(f"  {clock(timer.get('due'))} {escape(str(timer.get('kind', '')))}")
