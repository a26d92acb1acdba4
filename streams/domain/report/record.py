"""What the reports share: the record of one, and how a share is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def record_of(
    name: str, period: str, rows: Sequence[Any], highlights: list[str], at: int, about: str | None = None
) -> dict[str, Any]:
    """`name` of the report (a rule id), `period` such as 2026-01-23, `at` (ms) when it was made. `about`: what it is
    about, where there are several of a name and period."""
    return {
        "report_id": f"{name}/{period}" if about is None else f"{name}/{period}/{about}",
        "name": name,
        "period": period,
        "rows": json.dumps(rows, ensure_ascii=False, separators=(",", ":")),
        "highlights": highlights,
        "generated_at": at,
    }


def percent(part: int, whole: int) -> str:
    """Two decimals, rounded up: what is just above a limit must not look as if it were at it."""
    share = -(-part * 10_000 // whole) if whole else 0
    return f"{share // 100}.{share % 100:02d}"
