"""What the demo tells at its end."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

STATES = ("pending_payment", "paid", "shipped", "logistics_signed", "customer_signed", "settled")
ALERTS_SHOWN = 8


def report(console: Console, result: Mapping[str, Any], kept: str | None) -> None:
    """Counts, alerts, and exact commands to look further; `kept` is the broker's URL if it stays up."""
    speed = result["events"] / result["seconds"] if result["seconds"] else 0
    console.print(
        f"\n[bold]{result['orders']:,} orders[/bold] out of {result['events']:,} events"
        f" in {result['seconds']:.1f} s ({speed:,.0f} events/s, exactly once)"
    )
    _table(console, "orders by state", {state: result["states"].get(state, 0) for state in STATES})
    _table(console, "flags", result["flags"])
    _table(console, "atomic events", result["atomic_events"])
    _table(console, "decisions in the audit log", result["decisions"])
    console.print(f"[bold]waiting for their order[/bold] (parked)  {result['parked']:,}")
    dead = ", ".join(f"{stage} {count:,}" for stage, count in sorted(result["dead"].items()))
    console.print(f"[bold]dead letters[/bold]  {sum(result['dead'].values()):,}" + (f" ({dead})" if dead else ""))
    _alerts(console, result["alerts"])
    _cases(console, result["cases"])
    _next(console, result, kept)


def _table(console: Console, title: str, counts: Mapping[str, int]) -> None:
    console.print(f"[bold]{title}[/bold]")
    for name, count in counts.items() if title == "orders by state" else sorted(counts.items()):
        console.print(f"  {name:<20} {count:>8,}")


def _alerts(console: Console, alerts: list[Mapping[str, Any]]) -> None:
    from rich.markup import escape

    console.print(f"[bold]open alerts[/bold]  {len(alerts):,}")
    kinds: dict[tuple[str, str], int] = {}
    for alert in alerts:
        kind = (str(alert["rule"]), str(alert["title"]))
        kinds[kind] = kinds.get(kind, 0) + 1
    for (rule, title), count in sorted(kinds.items(), key=lambda item: -item[1])[:ALERTS_SHOWN]:
        console.print(f"  {escape(rule):<8} {escape(title)}" + (f"  x {count}" if count > 1 else ""))


def _cases(console: Console, cases: Mapping[str, Mapping[str, Any]]) -> None:
    console.print("[bold]failure cases[/bold] (what happened and what must come out: streams/data/cases/README.md)")
    for name, case in sorted(cases.items()):
        found = ", ".join(f"{what} {count:,}" for what, count in sorted(case["found"].items()))
        console.print(f"  {name:<34} {case['orders']:>5,} orders: {found}")


def called_as() -> str:
    """How this program is called here: `oms` where the shell finds it, else as it was called."""
    called = Path(sys.argv[0])
    if called.name != "oms":
        return f"{Path(sys.executable).name} -m streams.cli"
    return "oms" if shutil.which("oms") else os.path.relpath(called)


def _next(console: Console, result: Mapping[str, Any], kept: str | None) -> None:
    folder, oms = result["folder"], called_as()
    console.print("[bold]where to look next[/bold]")
    for guid in result["examples"]:
        console.print(f"  {oms} order {guid} --from {folder}")
    commands = [
        f"{oms} deadletters list --from {folder}",
        f"ls {folder}   # every output as JSON lines, the log of the worker",
        f"{oms} replay FILE... --out DIR   # your own events, without a broker",
        f"export OMS_BROKER=kafka://HOST:9092; {oms} topics apply && {oms} worker   # on your own broker",
    ]
    if kept:
        commands = [
            f"OMS_DATA_DIR={folder}/state {oms} order ID --broker {kept}",
            f"{oms} topics read order-states --last --broker {kept}",
            f"OMS_PARTITIONS={result['partitions']} {oms} doctor --broker {kept}",
            *commands,
        ]
    for command in commands:
        console.print(f"  {command}", markup=False)
