"""The score of an order and what crossing a threshold leads to (RSK-01, RSK-03 to RSK-06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.domain.risk.outcome import ORDER_FACTS, RISK_FACT, WARNINGS, Outcome, Row
from streams.domain.risk.settings import UNIT, Settings

ORANGE, RED = 1, 2
LEVELS: Final = ("", "orange", "red")
LOCKED: Final = 1


def score_of(row: Row, settings: Settings) -> int:
    """Millionths: the weights in force on the day of the order, so that all of one order come from one season."""
    fired = row.get("signals")
    if not fired:
        return 0
    season = settings.season(row["at"])
    return sum(settings.weight(signal, season) for signal in fired)


def ranked(row: Row, settings: Settings) -> list[dict[str, Any]]:
    """RSK-04: the root causes, heaviest first, of equally heavy ones the earliest; as `risk-alerts` has them."""
    season, fired = settings.season(row["at"]), row.get("signals", {})
    order = sorted(fired, key=lambda signal: (-settings.weight(signal, season), fired[signal], signal))
    return [
        {
            "type": signal,
            "weight": settings.weight(signal, season) / UNIT,
            "at": fired[signal][0],
            "evidence": fired[signal][1],
        }
        for signal in order
    ]


def weigh(out: Outcome, guid: str, row: dict[str, Any], at: int, settings: Settings) -> None:
    """Tell each threshold that the order has crossed, once; beyond the red one it is locked. Changes `row`."""
    if row.get("over") or not row.get("signals"):
        return
    score, level = score_of(row, settings), row.get("level", 0)
    reached = RED if score >= settings.red else ORANGE if score >= settings.orange else 0
    if reached <= level:
        return
    row["level"] = reached
    row.setdefault("warned", at)
    if reached == RED:
        row["lock"] = LOCKED
    causes = ranked(row, settings)
    season = settings.season(row["at"])
    advice = list(dict.fromkeys(settings.signals[cause["type"]].advice for cause in causes))
    told_at = max(at, *(cause["at"] for cause in causes))
    for crossed in range(level + 1, reached + 1):
        record = {
            "order_guid": guid,
            "level": LEVELS[crossed],
            "score": score / UNIT,
            "signals": causes,
            "season": season,
            "advice": advice,
            "locked": crossed == RED,
            "at": told_at,
        }
        out.sends.append((WARNINGS, guid, record))
        why = "; ".join(f"{cause['type']} {cause['weight']:g} ({cause['evidence']})" for cause in causes)
        rule, title = ("RSK-04", "order locked") if crossed == RED else ("RSK-03", "order at risk")
        detail = f"score {score / UNIT:g}, {season} season: {why}"
        out.alarm(rule, guid, told_at, title, detail, advice=" ".join(advice))
    reason = f"risk score {score / UNIT:g}: {', '.join(cause['type'] for cause in causes)}"
    out.sends.append(told(guid, row, told_at, LEVELS[reached], settings, reason))


def told(
    guid: str,
    row: Row,
    at: int,
    event: str,
    settings: Settings,
    reason: str,
    refused: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> tuple[str, str, dict[str, Any]]:
    """What the order learns: its score and lock, whenever its band or lock changed. Sent in the order of the changes,
    on one partition, so the order ends where the risk desk does."""
    fact = {
        "event_type": RISK_FACT,
        "event_id": f"risk/{event}",
        "source": "risk",
        "topic": "risk",
        "event_time": at,
        "order_guid": guid,
        "score": score_of(row, settings) / UNIT,
        "locked": row.get("lock") == LOCKED,
        "reason": reason,
        **({} if refused is None else {"refused": refused}),
        **(more or {}),
    }
    return ORDER_FACTS, guid, fact


def end(out: Outcome, guid: str, row: dict[str, Any], at: int) -> None:
    """RSK-01: signals live until the order is customer_signed or closed, and nobody need act once its money is back. A
    lock stays until somebody lifts it; its alert ends, as there is nothing left to hold back."""
    level = row.get("level", 0)
    if level > row.get("calmed", 0):  # an order whose money is back may still cross a threshold
        row["calmed"] = level
        out.calm("RSK-03", guid, at)
        if row.get("lock") == LOCKED:
            out.calm("RSK-04", guid, at)
    if row.get("called") == 1:
        row["called"] = 2
        out.calm("RSK-07", guid, at)
