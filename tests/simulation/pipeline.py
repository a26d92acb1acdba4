"""A small, nasty pipeline: everything the engine promises is needed for its outputs to be right.

    raw, more -> sort (no state) -> facts -> keys (tables, timers) -> group-facts -> groups (tables, prefix scans)

Among the inputs are payloads that cannot be decoded, refused ones, and poison: records and timers on which a reducer
fails after it has written tables, timers and outputs - and changed a row in place, which it must not. A sender may
deliver twice: ``keys`` and ``groups`` know the ids they have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import orjson

from streams.engine import Agent, Context
from streams.engine.codec import json

STATELESS: Final = ("facts", "notes")
STEPS: Final = ("group-facts", "steps", "summaries")
LATEST: Final = ("totals", "latest-summaries")
PARTITIONS: Final = 3
IDLE_MS: Final = 60


class Poison(Exception):
    """What the reducers raise on poison."""


class Topics:
    """JSON everywhere; key and payload in a dead letter are shown as text."""

    def encoder(self, topic: str) -> Callable[[Any], bytes]:
        if topic == "dead-letters":
            return lambda letter: orjson.dumps(
                {**letter, **{part: (letter[part] or b"").decode("latin-1") for part in ("key", "value")}}
            )
        return json.encode

    def decoder(self, topic: str) -> Callable[[bytes], Any]:
        return json.decode


def agents() -> list[Agent]:
    return [_sort(), _keys(), _groups()]


def _sort() -> Agent:
    agent = Agent("sort", sources=("raw", "more"), writes=STATELESS)

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        ctx.memo["last"] = event["id"]
        if event["n"] < 0:
            ctx.refuse("a negative number")
            return
        ctx.emit("facts", event["key"], event)
        if event.get("poison") == "sort":
            raise Poison("sort")
        ctx.emit("notes", event["key"], {"id": event["id"], "from": ctx.source, "last": ctx.memo["last"]})

    @agent.on_undecodable
    def undecodable(ctx: Context, key: bytes | None, value: bytes, error: str) -> None:
        ctx.emit("notes", "undecodable", {"partition": ctx.partition, "value": value.decode("latin-1")})

    return agent


def _keys() -> Agent:
    agent = Agent("keys", sources=("facts",), writes=("steps", "totals", "group-facts"))
    seen, rows, log = agent.table("seen"), agent.table("rows"), agent.table("log")

    @agent.time_of
    def time_of(event: dict[str, Any]) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        name, number = event["key"], event["id"]
        if f"{name}/{number}" in ctx[seen]:
            return
        ctx[seen][f"{name}/{number}"] = True
        row = ctx[rows].get(name, {"n": 0, "events": [], "group": event["group"]})
        new = {**row, "n": row["n"] + event["n"], "events": [*row["events"], number], "group": event["group"]}
        ctx[rows][name] = new
        ctx[log][f"{name}/{len(new['events']):04d}"] = number
        ctx.timers.set("idle", name, event["at"] + IDLE_MS)
        if event["n"] % 5 == 0:
            ctx.timers.cancel("wake", name)
        else:
            ctx.timers.set("wake", name, event["at"] + 10 * event["n"])
        if event.get("poison") == "timer":
            ctx.timers.set("poison", name, event["at"] + 7)
        ctx.emit("steps", name, {"id": number, **new})
        ctx.emit_latest("totals", name, {"n": new["n"], "events": len(new["events"])})
        ctx.emit("group-facts", event["group"], {**event, "sum": new["n"]})
        if event.get("poison") == "keys":
            row["events"].append("left by poison")
            raise Poison("keys")

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        row = ctx[rows].get(key)
        if kind == "poison":
            ctx[rows][key] = {"n": -1000, "events": ["left by a timer"], "group": "none"}
            ctx.timers.set("idle", key, due + 1)
            raise Poison("timer")
        ctx.emit("steps", key, {"timer": kind, "due": due, "n": row and row["n"]})
        if kind == "wake" and row is not None:
            ctx.timers.set("idle", key, due + IDLE_MS // 2)
            forgotten = [name for name, _ in ctx[log].scan(f"{key}/")][:-2]
            for name in forgotten:
                del ctx[log][name]
            fact = {"id": f"wake-{due}", "key": key, "n": 1, "sum": row["n"] + 1, "at": due, "group": row["group"]}
            ctx[rows][key] = {**row, "n": row["n"] + 1}
            ctx.emit("group-facts", row["group"], fact)
        if kind == "idle" and row is not None:
            del ctx[rows][key]
            ctx.emit_latest("totals", key, {"n": 0, "events": 0})
            fact = {"id": f"idle-{due}", "key": key, "n": 0, "sum": 0, "at": due, "group": row["group"]}
            ctx.emit("group-facts", row["group"], fact)

    return agent


def _groups() -> Agent:
    agent = Agent("groups", sources=("group-facts",), writes=("summaries", "latest-summaries"))
    seen, members, counts = agent.table("seen"), agent.table("members"), agent.table("counts")

    @agent.time_of
    def time_of(event: dict[str, Any]) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        group, member = event["group"], event["key"]
        mark = f"{group}/{member}/{event['id']}"
        if mark in ctx[seen]:
            return
        ctx[seen][mark] = event["at"]
        if event["sum"]:
            ctx[members][f"{group}/{member}"] = event["sum"]
        else:
            del ctx[members][f"{group}/{member}"]
        ctx[counts][group] = ctx[counts].get(group, 0) + 1
        inside = dict(ctx[members].scan(f"{group}/"))
        early = len(list(ctx[members].range(f"{group}/", f"{group}/k4")))
        summary = {"sum": sum(inside.values()), "members": sorted(inside), "early": early, "count": ctx[counts][group]}
        ctx.emit("summaries", group, {"id": event["id"], "of": member, **summary})
        ctx.emit_latest("latest-summaries", group, summary)
        if event.get("poison") == "groups":
            raise Poison("groups")

    return agent


@dataclass(frozen=True)
class Input:
    """A story to tell the pipeline: what to send, and between which sends it runs to quiescence."""

    seed: int
    together: bool = False
    """All events of a chunk at one time: then the order of the agents' turns does not matter within a key."""
    chunks: list[list[tuple[str, bytes, str]]] = field(default_factory=list)
    end: int = 0

    @classmethod
    def of(cls, seed: int, together: bool = False, size: int = 28) -> Input:
        random, at, made, sent = Random(seed), 1000, cls(seed, together), 0
        while sent < size:
            chunk = []
            at += random.choice((1, 5, 30, 80)) if together else 0
            for _ in range(random.randint(1, 8)):
                sent += 1
                at += 0 if together else random.choice((0, 1, 5, 20, 90))
                chunk.append(_event(random, sent, at if together else max(0, at - random.choice((0, 0, 0, 15)))))
            made.chunks.append(chunk)
        return cls(seed, together, made.chunks, at + 200)


def _event(random: Random, number: int, at: int) -> tuple[str, bytes, str]:
    key = f"k{random.randrange(6)}"
    topic = random.choice(("raw", "raw", "more"))
    if random.random() < 0.04:
        return topic, b"no JSON " + str(number).encode(), key
    event = {"id": number, "key": key, "group": f"g{random.randrange(2)}", "n": random.randint(1, 9), "at": at}
    if random.random() < 0.04:
        event["n"] = -1
    if random.random() < 0.16:
        event["poison"] = random.choice(("sort", "keys", "groups", "timer"))
    return topic, orjson.dumps(event), key
