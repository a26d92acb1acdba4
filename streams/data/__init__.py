"""What the package brings along: a sample of real orders (see ATTRIBUTION.md) and the failure cases, as input lines."""

from pathlib import Path

FOLDER = Path(__file__).parent
SAMPLE = FOLDER / "olist_sample.jsonl.gz"


def cases() -> list[Path]:
    """The event files of the failure cases, by number."""
    return sorted((FOLDER / "cases").glob("case-*.jsonl*"))
