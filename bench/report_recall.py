"""The part of RESULTS.md about alerts before late orders."""

from typing import Any


def section(figures: dict[str, Any]) -> str:
    """Markdown: recall and false alerts side by side, by rule."""
    head = (
        f"{figures['orders']:,} orders, {figures['events']:,} events: {figures['late']:,} delivered late, "
        f"{figures['in_time']:,} in time, {figures['undelivered']:,} never (in the data)."
    )
    lines = [
        f"\n## Alerts before orders are late\n\n{figures['method']}\n\n{head}\n",
        "| rule | warned of | of them late | recall | in time | never delivered | false share | median lead | first |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in figures["rules"]:
        lead = "" if row["lead_h"] is None else f"{row['lead_h']:,} h"
        lines.append(
            f"| {row['rule']} | {row['warned']:,} | {row['late']:,} | {_percent(row['recall'])} | {row['in_time']:,} "
            f"| {row['undelivered']:,} | {_percent(row['false_share'])} | {lead} | {row['first']:,} |"
        )
    reached = "reached" if figures["reached"] else "NOT reached"
    lines += ["", f"Every late order warned of by its promise, or with a reason why not: {reached}.", ""]
    lines += _counted("Late, and no alert of any rule before", figures["missed"])
    lines += _counted("Late, and no alert by the promise before", figures["missed_promise"])
    lines += _counted("Where the late orders lost their time", figures["causes"])
    return "\n".join(lines)


def _counted(title: str, counts: dict[str, int]) -> list[str]:
    found = [f"- {count:,} {what}" for what, count in counts.items()] or ["- none"]
    return [f"{title}:\n", *found, ""]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
