"""The words of a message: what, since when, how often, which order or channel, what to do, who. No personal data: an
alert carries none, and what a system wrote into a detail is cut to one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.alert import FORGOTTEN, PERSON

from .plan import CLOSING, OPENING

TITLE: Final = 120
"""Characters."""
_DETAIL: Final = 600

Alert = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """`title` is one line; `text` repeats it on top."""

    title: str
    text: str


def one_line(value: Any, most: int) -> str:
    """Printable, one line, at most so many characters."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def clock(at: int | None) -> str:
    """`2026-01-22 20:00:05`, Shanghai time; a time that no calendar has is unknown."""
    try:
        date = None if at is None else calendar.business_date(at)
    except (OverflowError, ValueError):
        date = None
    if at is None or date is None:
        return "unknown"
    seconds = (at - calendar.day_start(at)) // 1000
    return f"{date} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def span(ms: int) -> str:
    """`2 h 5 min`, `40 s`: rounded down."""
    seconds = max(0, ms) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def title(stage: str, alert: Alert) -> str:
    what = one_line(alert.get("title") or alert["alert_key"], TITLE)
    if " " not in what and alert.get("title"):
        what = what.replace("_", " ")  # mapping_missing
    if stage == CLOSING:
        return f"[closed] {what}"
    severity = alert.get("severity") or "warning"
    return f"[{severity}] {what}" if stage == OPENING else f"[{severity}, {stage.replace('-', ' ')}] {what}"


def message(stage: str, alert: Alert) -> Message:
    """The message of one stage of an alert."""
    head = title(stage, alert)
    lines = [head, *_detail(alert), _since(alert, stage)]
    about = [
        f"{name} {one_line(alert[field], 256)}"
        for name, field in (("order", "order_guid"), ("channel", "channel"), ("system", "source"))
        if alert.get(field)
    ]
    if about:
        lines.append("About: " + ", ".join(about))
    if stage == CLOSING:
        by = _CLOSED_BY.get(alert.get("closed_by") or "", "its cause is gone. Nothing is left to do")
        lines.append(f"Closed {clock(alert.get('closed_at'))}: {by}.")
    else:
        if alert.get("advice"):
            lines.append("To do: " + one_line(alert["advice"], _DETAIL))
        if alert.get("recipient"):
            lines.append("For: " + one_line(alert["recipient"], 100))
    lines.append(f"Rule {alert.get('rule') or '-'}, alert {one_line(alert['alert_key'], 300)}")
    return Message(head, "\n".join(lines))


_CLOSED_BY: Final = {
    PERSON: "by a person. Nothing is left to do",
    FORGOTTEN: "nothing was heard of it for so long that nobody follows it any more; it was never seen to",
}


def _detail(alert: Alert) -> list[str]:
    return [one_line(alert["detail"], _DETAIL)] if alert.get("detail") else []


def _since(alert: Alert, stage: str) -> str:
    since, count = alert.get("opened_at"), alert.get("count") or 1
    often = "once" if count == 1 else f"{count:,} times, last {clock(alert.get('updated_at'))}"
    if stage == CLOSING and since is not None and alert.get("closed_at") is not None:
        return f"Since {clock(since)} (Shanghai), open for {span(alert['closed_at'] - since)}"
    if stage not in (OPENING, CLOSING) and since is not None and alert.get("escalated_at") is not None:
        return f"Open since {clock(since)} (Shanghai), for {span(alert['escalated_at'] - since)} without a solution"
    return f"Since {clock(since)} (Shanghai), {often}"


def digest(held: Sequence[tuple[str, Alert]], per_minute: int, most_bytes: int) -> tuple[Message, int]:
    """One message that lists what was held back, and how many of `held` (stage, alert) it lists: as many as fit, at
    least one. Those it does not list are held back still."""
    lines = [_line(stage, alert) for stage, alert in held]
    head, tail = f"[digest] {len(held)} alerts", f"Held back by the limit of {per_minute} messages a minute."
    room = most_bytes - len(f"{head}, 99999 listed\n{tail}".encode())
    listed = 0
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0 and listed:
            break
        listed += 1
    if listed < len(held):
        head = f"[digest] {len(held)} alerts, {listed} listed"
        tail += " The others follow."
    return Message(head, "\n".join([head, *lines[:listed], tail])), listed


def _line(stage: str, alert: Alert) -> str:
    count = alert.get("count") or 1
    often = "" if count == 1 else f", {count:,} times"
    key = one_line(alert["alert_key"], 120)
    return f"- {title(stage, alert)}, since {clock(alert.get('opened_at'))}{often} ({key})"


def fit(text: str, most_bytes: int) -> str:
    """The text cut to so many bytes of UTF-8, at a character."""
    data = text.encode()
    if len(data) <= most_bytes:
        return text
    return data[: most_bytes - 3].decode(errors="ignore") + "…"


def trial() -> Message:
    """What `oms notify test` sends."""
    head = "[test] Alerts of oms reach this target"
    return Message(head, f"{head}\nThis is a test. Nothing has happened and nothing is left to do.")
