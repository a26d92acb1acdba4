"""Weak signals of an order and what they sum up to (RSK-01 to RSK-12), for the risk agent.

    order-facts (by guid) -> order      -> risk-alerts, alert-facts, order-facts (score and lock)
    risk-facts            -> counts     by customer, ip and day, warehouse; answers go to the orders, by guid
                          -> tally      of all orders together (RSK-09, RSK-12) -> report-facts

    settings   the table of weights, seasons, limits and advice
    order      one order: its signals, timers and what is told
    standing   how far it is, whether it is over, what may come of it when
    chats      what counts of a conversation
    promise    one order against its promised delivery (RSK-11)
    verdict    score, levels, lock
    backtest   how good warnings were, afterwards
"""

from __future__ import annotations

from streams.domain.risk import counts, order, tally
from streams.domain.risk.outcome import DUE, FORGET, REPORT, Fact, Get, Message, Outcome
from streams.domain.risk.settings import Settings

__all__ = ["Outcome", "Settings", "due", "hear", "step", "time_of"]


def step(get: Get, guid: str, fact: Fact, settings: Settings) -> Outcome:
    """One fact of `order-facts`."""
    return order.step(get, guid, fact, settings)


def hear(get: Get, key: str, message: Message, settings: Settings, now: int) -> Outcome:
    """One message of `risk-facts`: for an order ("signal", "chatted"), or for a row of what is counted. `now`: stream
    time, ms."""
    if message["do"] == "signal":
        return order.signalled(get, key, message, settings)
    if message["do"] == "chatted":
        return order.chatted(get, key, message, settings)
    if message["do"] in ("regret", "abnormal", "popup"):
        return tally.step(get, key, message, settings.limits, now)
    return counts.step(get, key, message, settings.limits)


def due(get: Get, kind: str, key: str, at: int, settings: Settings) -> Outcome:
    """A timer of `at` (ms) fires."""
    if kind == DUE:
        return order.due(get, key, at, settings)
    if kind == FORGET:
        return counts.due(get, key, at, settings.limits)
    if kind == REPORT:
        return tally.due(get, key, at, settings.limits)
    raise ValueError(f"risk knows no timer {kind!r}")


def time_of(message: Message) -> int:
    """Event time of a fact from outside; 0 for what our own agents say, who have told the time already."""
    return int(message["event_time"]) if "digest" in message else 0
