"""Where sold goods are sent from (INV-10): at the payment nobody may know, and they are deducted where most are.

Once warehouse or allocation say it, the books follow: what was deducted elsewhere is moved to the warehouse that sends
it, as far as its own books have the units. Otherwise each count of either would be an unauthorised change. What is
available of the SKU stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .change import Change
from .holds import CONFIRMED, Hold, Line
from .settings import Settings
from .settle import keep
from .stock import SALES
from .warehouse import MOVED, bring, known_of


def place(change: Change, hold: Hold | None, command: Mapping[str, Any], settings: Settings) -> Change:
    """Book the order's sold lines at the warehouse of the command. One that has no such SKU changes nothing."""
    if hold is None or command["warehouse"] not in change.stock.warehouses:
        return change
    new = hold.copy()
    for line_no, _ in command["lines"]:
        line = new.lines.get(line_no)
        if line is not None and line.phase == CONFIRMED:
            new.lines[line_no] = _placed(change, line_no, line, command["warehouse"])
    if change.changed:
        keep(change, new, settings)
    return change.finish()


def _placed(change: Change, line_no: int, line: Line, warehouse: str) -> Line:
    taken: list[list[Any]] = []
    for name, units in line.taken:
        moved = 0 if name == warehouse else min(units, max(0, known_of(change, warehouse, SALES)))
        if moved:
            # Nothing ever left the other one: a count of there since the payment had them all.
            bring(change, name, SALES, moved, MOVED, line_no, line.until)
            bring(change, warehouse, SALES, -moved, MOVED, line_no)
        taken += [[place, part] for place, part in ((name, units - moved), (warehouse, moved)) if part]
    return replace(line, taken=taken, warehouse=warehouse)
