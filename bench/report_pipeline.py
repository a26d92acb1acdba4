"""The parts of RESULTS.md that are tables of figures, each beside its target."""

from typing import Any


def section(figures: dict[str, Any]) -> str:
    """Markdown of the real pipeline's figures."""
    return _section("The real pipeline", figures)


def stock(figures: dict[str, Any]) -> str:
    """Markdown of the figures about stock."""
    return _section("Stock: a flash sale, and a million SKUs", figures)


def timers(figures: dict[str, Any]) -> str:
    """Markdown of the figures about timers."""
    return _section("Timers: a million open, ten thousand due at once", figures)


def close(figures: dict[str, Any]) -> str:
    """Markdown of the figures about the close of a month."""
    return _section("The close of a month of 420,000 orders", figures)


def connect(figures: dict[str, Any]) -> str:
    """Markdown of the figures about the sink into the database of finance."""
    return _section("Kafka Connect: ledger entries into PostgreSQL", figures)


def _section(title: str, figures: dict[str, Any]) -> str:
    """``rows`` of the figures holds dicts of text, wanted, measured and reached."""
    lines = [
        f"\n## {title}\n\n{figures['method']}\n",
        "| figure | target | measured | |",
        "|---|--:|--:|---|",
    ]
    for row in figures["rows"]:
        reached = {True: "reached", False: "NOT reached", None: ""}[row["reached"]]
        lines.append(f"| {row['text']} | {row['wanted']} | {row['measured']} | {reached} |")
    return "\n".join([*lines, ""])
