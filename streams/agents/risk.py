"""`risk`: what the weak signals of an order sum up to (`streams.domain.risk`).

    order-facts (by order_guid)   every fact of an order, read in a group of its own: a slow risk desk holds no order up
    risk-facts  (by what counts)  its messages to itself: to rows of customers, ips and warehouses, and back to orders

Both topics have the same number of partitions, so an order's facts and the messages about it meet in one task.
"""

from __future__ import annotations

from typing import Any, Final

from streams.agents.beside import FOR_THE_ORDER
from streams.agents.outcome import apply
from streams.domain import risk as rules
from streams.domain.risk import outcome as names
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context


def make(settings: rules.Settings | None = None) -> Agent:
    """The agent under the weights of `settings`; those in force without."""
    table = settings or data.risk()
    agent = Agent(
        "risk",
        sources=(names.ORDER_FACTS, names.FACTS),
        writes=(names.FACTS, names.ORDER_FACTS, names.WARNINGS, names.ALERTS, names.REPORT_FACTS),
        skips=FOR_THE_ORDER,
        aside=True,
        clock=Clock.EVENTS,  # waits of the world outside: a backlog must not make an order late
    )
    tables = {name: agent.table(name) for name in names.TABLES}

    @agent.fold
    def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
        if ctx.source == names.ORDER_FACTS:
            found = rules.step(_get(ctx), message["order_guid"], message, table)
        else:
            if key is None:
                raise ValueError("a message without what it is about")
            found = rules.hear(_get(ctx), key.decode(), message, table, ctx.now)
        apply(ctx, found, tables, ())

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        apply(ctx, rules.due(_get(ctx), kind, key, due, table), tables, ())

    @agent.time_of
    def time_of(message: dict[str, Any]) -> int:
        return rules.time_of(message)

    def _get(ctx: Context) -> names.Get:
        return lambda name, key: ctx[tables[name]].get(key)

    return agent


risk: Final = make()
