"""`intake`: every input record is checked, its status word mapped, and sent on to where it belongs. Keeps no state."""

from __future__ import annotations

from functools import cache
from typing import Any
from zlib import crc32

from streams.domain import alert, channel, identity, ids, streak
from streams.domain.events import INPUT_TOPICS, SPECS, Fact, fact_of, primary_code, request_code
from streams.domain.inventory import breaker, references
from streams.domain.ledger import periods
from streams.domain.logistics.waybill import kept_name
from streams.domain.order.meanings import ANSWER, ANSWERED
from streams.domain.protected.cleaning import clean
from streams.domain.protected.seal import SEAL
from streams.domain.risk import chats
from streams.domain.rules import data
from streams.domain.status_map import StatusMaps, is_own_type, masked, may_be_signed, missing_key, speakers
from streams.domain.tax import integrity
from streams.engine import Agent, Context
from streams.engine.partitioner import partition_of

_CONTRACT = data.contract()
_PROTECTED = data.protected()
_RISK = data.risk().limits
_ANSWERS = data.answers()
_COURIER_OF = data.logistics().courier_of
_WORD = _CONTRACT.limits.word
_SPEAKERS = 1_000
"""Interfaces of which rows are kept."""


def make(maps: StatusMaps | None = None) -> Agent:
    """The agent. `maps`: the status tables it reads status words by; default: those of the package."""
    agent = Agent(
        "intake",
        sources=INPUT_TOPICS,
        writes=(
            "identity-facts",
            "stock-commands",
            "channel-facts",
            "courier-facts",
            "order-facts",
            "invoice-facts",
            "risk-facts",
            "alert-facts",
        ),
        sparse=True,
    )
    tables = maps or data.status_maps()
    unread: dict[str, int] = {}
    """Interface -> how many of its records this process could not use, on whichever partition. A topic, for those that
    could not be read; a source on its topic, for those that break the contract."""

    @agent.fold
    def fold(ctx: Context, key: bytes | None, value: dict[str, Any]) -> None:
        _fold(ctx, tables, unread, value)

    @agent.on_undecodable
    def undecodable(ctx: Context, key: bytes | None, value: bytes, error: str) -> None:
        _unusable(ctx, unread, ctx.source, error, streak.UNDECODABLE)

    return agent


def _fold(ctx: Context, maps: StatusMaps, unread: dict[str, int], value: dict[str, Any]) -> None:
    topic = ctx.source
    payload = ctx.value
    wrong = _CONTRACT.check(topic, value, ctx.received_at) or _CONTRACT.oversize(payload)
    if wrong is not None:
        ctx.refuse(wrong.reason, stage="contract")
        if wrong.rule == "DQ-15":
            _lineage_break(ctx, topic, value)
        # DQ-08: the ghost orders could be read, but for one field (out_trade_no); to the shop that is the same silence.
        # They go by who speaks: good records of others on the topic must not hide them.
        _unusable(ctx, unread, _speaker(topic, value["source"], unread), wrong.reason, streak.REFUSED)
        _order_refused(ctx, value)
        return
    _usable(ctx, unread, topic)
    _usable(ctx, unread, f"{topic}/{value['source']}")
    fact = fact_of(topic, value, crc32(payload))
    if topic in _PROTECTED.changes:
        fact, cleaned = clean(_PROTECTED.changes[topic], fact, _number(fact), fact["event_time"])
        if cleaned:
            fact["cleaned"] = [[*one] for one in cleaned]  # stands in the audit with the payload
    if topic in _PROTECTED.fields and (sealed := _PROTECTED.seal(topic, fact)):
        fact[SEAL] = sealed
    raw_status = fact.get("raw_status")
    if raw_status is not None:
        _map(ctx, maps, topic, fact, raw_status)
    result = fact.get("result")
    if result and fact["event_type"] in ANSWERED:
        answer = _ANSWERS.get(result.strip().casefold())
        if answer is not None:
            fact[ANSWER] = answer
    if "invoice" in fact:
        fact["invoice"] = integrity.sealed(fact["invoice"], fact.get("raw"))  # TAX-10: from here on nobody may alter it
    route = SPECS[topic][fact["event_type"]].route
    if route == "order" or route == "perhaps_order":
        if route == "perhaps_order" and fact.get("command") == alert.CLOSE_COMMAND:
            _close_alert(ctx, fact)
            return
        code = primary_code(fact) or request_code(fact)
        if code is not None:
            message = identity.event_message(code, fact)
            if fact["event_type"] == "order_created":
                # By way of its channel, which may have to hold it back; every other event waits for its order anyway.
                ctx.emit("channel-facts", code[1], message)
                return
            ctx.emit("identity-facts", code[2], message)
            if not channel.concerns(fact):
                return
        elif fact.get("command") in references.STOCK_COMMANDS:
            if fact.get("target"):
                ctx.emit("stock-commands", fact["target"], fact)
            else:
                ctx.refuse(f"{fact['command']} needs a SKU as target")
            return
        elif fact["event_type"] == "manual_command" and fact["command"] not in channel.COMMANDS:
            # Nobody would ever hear of it: what a person asked for must not vanish (ST-06).
            ctx.refuse("manual_command names no order: no code, and no order_guid or alias as target; not of a channel")
            return
        elif (chat := chats.of_customer(fact, _RISK)) is not None:
            ctx.emit("risk-facts", *chat)
    elif route == "stock":
        ctx.emit("stock-commands", fact["sku"], fact)
        return
    elif route == "cart":
        by_sku: dict[str, list[Any]] = {}
        for line in fact["lines"]:
            by_sku.setdefault(line["sku"], []).append(line)
        fact.pop("raw", None)  # nobody reads it there, and a cart of many SKUs would carry it as often
        for sku, lines in by_sku.items():
            ctx.emit("stock-commands", sku, {**fact, "lines": lines, "sku": sku})
        return
    elif route == "set":
        routes = references.routes(fact)
        if isinstance(routes, str):
            ctx.refuse(routes)
            return
        for target, name, message in routes:
            if target == references.COURIERS:  # one row of a courier, whatever it is called
                name = kept_name(name, _COURIER_OF)
            ctx.emit(target, name, message)
        return
    elif route == "period":
        _tell_all(ctx, fact)
        return
    elif route == "tax":
        ctx.emit("invoice-facts", fact["reply_to"], {**fact, "do": "answer", "at": fact["event_time"]})
        return
    ctx.emit("channel-facts", channel.key_of(fact), fact)


def _number(fact: Fact) -> str:
    """By what a share of the orders is told from the others (DQ-11): the number its events have in common."""
    code = primary_code(fact)
    return fact["event_id"] if code is None else code[2]


def _tell_all(ctx: Context, fact: Fact) -> None:
    """FIN-11, FIN-08: a period concerns every order, so every partition of them is told."""
    if fact["event_type"] == "bi_total":
        said, wrong = periods.STATED, periods.wrong_statement(fact)
    else:
        said, wrong = periods.CLOSED, periods.refusal(fact["period"], fact["event_time"])
    if wrong is not None:
        ctx.refuse(wrong)
        return
    for key in _keys(ctx.partitions("order-facts")):
        ctx.emit("order-facts", key, {**fact, "event_type": said, "order_guid": key})


@cache
def _keys(partitions: int | None) -> tuple[str, ...]:
    """One of the keys for each partition, the first of all among them; all of them where nobody knows how many."""
    if partitions is None:
        return periods.KEYS
    found: dict[int, str] = {}
    for key in periods.KEYS:
        found.setdefault(partition_of(key.encode(), partitions), key)
    return tuple(found.values())


def _close_alert(ctx: Context, fact: Fact) -> None:
    """A person says that the cause is dealt with; whether there was anything to close, the alerts agent knows."""
    target = fact.get("target")
    if not target:
        ctx.refuse(f"{alert.CLOSE_COMMAND} needs the alert key as target")
        return
    sku = breaker.sku_of(target)
    if sku is not None:  # INV-11: only its stock knows whether selling may go on; the alert closes with the pause
        ctx.emit("stock-commands", sku, {**fact, "target": sku})
        return
    name = channel.channel_of(target)
    if name is not None:  # BRK-01: the alert is the channel's ticket; closed, it must not leave the channel shut unseen
        ctx.emit("channel-facts", name, {**fact, "event_type": "ticket_closed", "ticket_code": target})
    guid = identity.of_conflict(target)
    if guid is not None:  # ID-04: with it ends the flag of the order
        code = ids.ORDER_GUID, "", guid
        ctx.emit("identity-facts", guid, identity.event_message(code, {**fact, ids.ORDER_GUID: guid}))
    at, event = fact["event_time"], f"ops/{fact['source']}/{fact['event_id']}"
    ctx.emit("alert-facts", target, {"do": "close", "by": alert.PERSON, "at": at, "last_event": event})


def _speaker(topic: str, source: str, unread: dict[str, int]) -> str:
    """The interface of a record that breaks the contract; the topic, where a sender makes up ever new names."""
    name = f"{topic}/{source}"
    return name if name in unread or (0 < len(source) <= _WORD and len(unread) < _SPEAKERS) else topic


def _unusable(ctx: Context, unread: dict[str, int], interface: str, error: str, title: str) -> None:
    """DQ-08: the payload itself is in dead-letters already; here the streak is counted."""
    unread[interface] = unread.get(interface, 0) + 1
    _emit(ctx, streak.failed(interface, f"partition {ctx.partition}", error, ctx.now, title))


def _usable(ctx: Context, unread: dict[str, int], interface: str) -> None:
    """A good record breaks the row of its interface. After a start it is not known whether the last one was good: said
    once more, it does no harm."""
    count, memo = unread.get(interface, 0), ctx.memo
    if memo.get(interface) != count and (interface in memo or len(memo) < _SPEAKERS):
        _emit(ctx, streak.recovered(interface, ctx.now))
        memo[interface] = count


def _emit(ctx: Context, said: streak.Said) -> None:
    ctx.emit("alert-facts", *said)


def _map(ctx: Context, maps: StatusMaps, topic: str, fact: Fact, raw_status: str) -> None:
    event_type = fact["event_type"]
    mapped = maps.find(topic, speakers(topic, fact), fact.get("raw_field"), raw_status, event_type)
    if not mapped["known"] and is_own_type(event_type, raw_status):
        return
    fact["mapped"] = mapped
    if not mapped["known"]:
        source, field, said = fact["source"], fact.get("raw_field"), masked(raw_status)
        where = f" as {masked(field)}" if field else ""
        taken = ", and until one does it counts as a signature" if may_be_signed(topic, raw_status) else ""
        finding = {
            "do": "count",
            "rule": "ST-03",
            "title": "mapping_missing",
            "detail": f"{source} said {said!r}{where} on {topic}; no table knows it{taken}",
            "at": fact["event_time"],
            "source": source,
            "channel": fact.get("channel"),
            "last_event": f"{topic}/{source}/{fact['event_id']}",
        }
        ctx.emit("alert-facts", missing_key(source, field, raw_status), finding)


def _order_refused(ctx: Context, value: dict[str, Any]) -> None:
    """BRK-01: a new order that is refused has reached us all the same; its channel's intake has not lost it."""
    said = {name: value[name] for name in ("channel", "order_no", *ids.PAIRED_KINDS) if value.get(name)}
    if value["event_type"] != "order_created" or not {"channel", "order_no"} <= said.keys():
        return
    if all(len(code) <= _CONTRACT.limits.word for code in said.values()):
        told: dict[str, Any] = {"event_type": "_order_refused", **said}
        if _CONTRACT.wrong_time(value.get("event_time"), ctx.received_at) is None:
            told["created_at"] = value["event_time"]  # FIN-09: the month it is missing in
        ctx.emit("channel-facts", said["channel"], told)


def _lineage_break(ctx: Context, topic: str, value: dict[str, Any]) -> None:
    source, event_type = value["source"], value["event_type"]
    finding = {
        "do": "count",
        "rule": "DQ-15",
        "title": "lineage_break",
        "detail": f"{source} sends {event_type} on {topic} without a code of the order",
        "at": value["event_time"],
        "source": source,
        "last_event": f"{topic}/{source}/{value['event_id']}",
    }
    ctx.emit("alert-facts", f"DQ-15/{source}/{topic}", finding)


intake = make()
