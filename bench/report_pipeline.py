"""The pipeline's part of RESULTS.md: each figure beside its target."""

from typing import Any


def section(figures: dict[str, Any]) -> str:
    """Markdown of all figures that were taken; ``rows`` holds dicts of text, wanted, measured and reached."""
    lines = [
        f"\n## The real pipeline\n\n{figures['method']}\n",
        "| figure | target | measured | |",
        "|---|--:|--:|---|",
    ]
    for row in figures["rows"]:
        reached = {True: "reached", False: "NOT reached", None: ""}[row["reached"]]
        lines.append(f"| {row['text']} | {row['wanted']} | {row['measured']} | {reached} |")
    return "\n".join([*lines, ""])
