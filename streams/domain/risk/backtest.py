"""How good warnings were: what is known afterwards of the orders that were, and were not, warned of (RSK-12).

    precision   orders warned of that came to trouble later ÷ orders warned of
    recall      orders warned of before their trouble ÷ orders that came to trouble: the early-signal capture rate
    lead time   from the warning to the trouble, ms, of those that were warned of in time

A warning at the time of the trouble is no early one. Of several troubles of an order the first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.domain.risk.settings import RiskError

TROUBLES: Final = {
    "cancelled": "the order was closed after it was paid",
    "refunded": "money was paid back, all or part of it",
    "exception": "the courier told of an exception: a return, a loss, damage",
    "complaint": "the customer complained",
    "late": "paid and unshipped for more than 24 h (RSK-10)",
}
_FLAGS: Final = {"closed": "cancelled", "refunded": "refunded", "partially_refunded": "refunded"}
_EVENTS: Final = {("couriers", "exception"): "exception", ("orders", "complaint"): "complaint"}


def merged(table: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """A risk table with the entries of `change` in their place; of a signal a bare number is its weight. RiskError for
    what is no table."""
    if not isinstance(change, Mapping):
        raise RiskError("the weights are no table of names")
    new = dict(table)
    for name, value in change.items():
        if name not in table:
            raise RiskError(f"no entry {name!r}; there are {', '.join(sorted(table))}")
        if name == "signals":
            new[name] = _signals(table[name], value)
        elif isinstance(table[name], Mapping) and isinstance(value, Mapping):
            new[name] = {**table[name], **value}
        else:
            new[name] = value
    return new


def _signals(table: Mapping[str, Any], change: Any) -> dict[str, Any]:
    if not isinstance(change, Mapping):
        raise RiskError("signals are no table of names")
    new = dict(table)
    for name, value in change.items():
        if name not in table:
            raise RiskError(f"no signal {name!r}; there are {', '.join(table)}")
        new[name] = {**table[name], **(value if isinstance(value, Mapping) else {"weight": value})}
    return new


def trouble_of(row: Mapping[str, Any], before: Iterable[str], after: Iterable[str]) -> str | None:
    """What trouble a row of audit-log tells of; `before`, `after`: the flags of the order in it."""
    if row["decision"] not in ("accepted", "filled_in"):
        return None
    known = set(before)
    for flag in after:
        if flag in _FLAGS and flag not in known:
            return _FLAGS[flag]
    return _EVENTS.get((row["topic"], row["event_type"]))


def judged(warned: Mapping[str, int], troubled: Mapping[str, int]) -> dict[str, Any]:
    """{warned, troubled, in_time, precision, recall, lead_ms} of orders warned of and in trouble, by guid, since when
    (ms). A share of nothing is None; `lead_ms` is the median, the lower of two middle ones."""
    leads = sorted(troubled[guid] - at for guid, at in warned.items() if troubled.get(guid, at) > at)
    return {
        "warned": len(warned),
        "troubled": len(troubled),
        "in_time": len(leads),
        "precision": round(len(leads) / len(warned), 4) if warned else None,
        "recall": round(len(leads) / len(troubled), 4) if troubled else None,
        "lead_ms": leads[(len(leads) - 1) // 2] if leads else None,
    }
