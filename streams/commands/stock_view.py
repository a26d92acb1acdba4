"""Stock in plain words: one SKU, and what a check found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streams.commands.order_view import clock
from streams.commands.stock_books import POOLS

if TYPE_CHECKING:
    from rich.console import Console

    from streams.commands.stock_check import Verdict

ORDERS_SHOWN = 20


def show(console: Console, stock: Mapping[str, Any]) -> None:
    """Print one SKU as `stock_topics.find` gives it."""
    from rich.markup import escape

    state = stock["state"]
    console.print(f"[bold]{escape(stock['sku'])}[/bold]")
    if state is None:
        console.print("  inventory-states has no record of it")
    else:
        _levels(console, state)
    _held(console, stock)
    changes = stock["changes"]
    if changes:
        console.print("[bold]last changes[/bold] (newest last)")
        for row in changes:
            where = " ".join(part for part in (row["warehouse"], row["pool"]) if part)
            line = f" line {row['line_no']}" if row.get("line_no") is not None else ""
            whose = f"  {row['order_guid']}{line}" if row.get("order_guid") else ""
            console.print(
                f"  {clock(row['at'])} {row['delta']:>+8,} {escape(where):<24} {row['reason']}{escape(whose)}"
            )


def _levels(console: Console, state: Mapping[str, Any]) -> None:
    from rich.markup import escape

    paused = "  [red]selling is paused[/red]" if state["paused"] else ""
    console.print(f"  [bold]available[/bold]  {state['available']:,}{paused}")
    console.print(f"  [bold]held[/bold]       {state['held']:,}")
    if state["oversold"]:
        console.print(f"  [bold]oversold[/bold]   [red]{state['oversold']:,}[/red]")
    if state["virtual"]:
        console.print(f"  [bold]virtual[/bold]    {state['virtual']:,} (delivered, awaiting confirmation)")
    console.print(f"  [bold]changed[/bold]    {clock(state.get('updated_at'))}, version {state['version']}")
    warehouses = state.get("warehouses") or {}
    if not warehouses:
        return
    width = max(len("warehouse"), *(len(name) for name in warehouses)) + 2
    console.print(f"  [bold]{'warehouse':<{width}}[/bold]" + "".join(f"[bold]{pool:>15}[/bold]" for pool in POOLS))
    for name in sorted(warehouses):
        console.print(f"  {escape(name):<{width}}" + "".join(f"{warehouses[name][pool]:>15,}" for pool in POOLS))


def _held(console: Console, stock: Mapping[str, Any]) -> None:
    from rich.markup import escape

    held = stock["held_for"]
    if not held and not stock["vouchers"]:
        return
    left_out = len(held) - ORDERS_SHOWN
    console.print("[bold]held for[/bold]" + (f" (oldest first, {left_out:,} more left out)" if left_out > 0 else ""))
    for row in held[:ORDERS_SHOWN]:
        console.print(
            f"  {row['units']:>8,}  {escape(row['order_guid'])} line {row['line_no']}  since {clock(row['since'])}"
        )
    if stock["vouchers"]:
        console.print(f"  {stock['vouchers']:>8,}  carts")


def show_findings(console: Console, verdict: Verdict, limit: int) -> None:
    """Print what a check found, at most `limit` lines of it."""
    from rich.markup import escape

    looked = f"{verdict.skus:,} SKUs, {verdict.rows:,} ledger rows, {verdict.holds:,} holds of orders"
    for finding in verdict.findings[:limit]:
        where = f" {escape(finding.where)}" if finding.where else ""
        console.print(f"[red]{finding.kind:<10}[/red] {escape(finding.sku)}{where}: {escape(finding.text)}")
    more = len(verdict.findings) - limit
    if more > 0:
        console.print(f"... and {more:,} more")
    if verdict.unproven:
        console.print(f"{verdict.unproven:,} SKUs are older than their ledger: their sums cannot be proven any more")
    if verdict.findings:
        console.print(f"[red]{len(verdict.findings):,} things do not add up[/red] in {looked}")
    else:
        console.print(f"[green]all adds up[/green]: {looked}")
