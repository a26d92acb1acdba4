"""How far the invoice of an order is, and how far one invoice."""

from __future__ import annotations

from typing import Final

NONE, REFUSED, ACCEPTED, BLOCKED, WAITING, GROUPED = "none", "refused", "accepted", "blocked", "waiting", "grouped"
REQUESTED, ISSUED, REJECTED, VOID = "requested", "issued", "rejected", "void"
PARTLY_RED, RED = "partly_red", "red"

ASKABLE: Final = frozenset({NONE, REFUSED, REJECTED})
"""An order of which an invoice may be asked for; else there is one, or it is on its way."""
ENDED: Final = frozenset({NONE, REFUSED, ISSUED, VOID, PARTLY_RED, RED})
"""Nobody waits for an invoice."""
BAD: Final = frozenset({REFUSED, BLOCKED, REJECTED})
"""Nothing becomes of it unless somebody does something."""
