"""The agent most of the engine's unit tests run: an event is a list of things to do."""

from __future__ import annotations

from typing import Any

from streams.engine import Agent, Context


class Boom(Exception):
    """What a reducer raises on ``["boom", text]``."""


def scripted(sources: tuple[str, ...] = ("in",), tables: bool = True) -> Agent:
    """Events: ``{"at": ms, "do": [[verb, ...], ...]}``; the timer ``kind`` is run as a script of its key.

    Verbs: put T K V, add K N (read and write table a), mutate K (append to the list in place), delete T K, emit K V,
    latest K V, odd (emit what cannot be encoded), set KIND K DUE, cancel KIND K, refuse TEXT, boom TEXT, memo K V.
    """
    agent = Agent("scripted", sources=sources, writes=("out", "states"))
    a = agent.table("a") if tables else None
    b = agent.table("b") if tables else None

    @agent.time_of
    def time_of(event: Any) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: Any) -> None:
        for step in event["do"]:
            run(ctx, *step)

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        ctx.emit("out", key, {"timer": kind, "due": due, "now": ctx.now})
        if kind == "boom":
            run(ctx, "put", "b", "left-by-timer", 1)
            run(ctx, "boom", key)
        if kind == "again":
            ctx.timers.set("again", key, due + 10)

    def run(ctx: Context, verb: str, *args: Any) -> None:
        match verb, *args:
            case "put", table, k, value:
                spec = a if table == "a" else b
                assert spec is not None
                ctx[spec][k] = value
            case "add", k, n:
                assert a is not None
                ctx[a][k] = ctx[a].get(k, 0) + n
                ctx.emit("out", k, ctx[a][k])
            case "mutate", k:
                assert a is not None
                row = ctx[a].get(k, [])
                row.append(len(row))
                ctx[a][k] = row
                ctx.emit("out", k, row)
            case "delete", table, k:
                spec = a if table == "a" else b
                assert spec is not None
                del ctx[spec][k]
            case "emit", k, value:
                ctx.emit("out", k, value)
            case "emit_to", topic, k, value:
                ctx.emit(topic, k, value)
            case "latest", k, value:
                ctx.emit_latest("states", k, value)
            case "put_odd", table, k:
                run(ctx, "put", table, k, {1, 2})
            case "emit_odd", k:
                ctx.emit("out", k, {1, 2})
            case "latest_odd", k:
                ctx.emit_latest("states", k, {1, 2})
            case "latest_key", text:
                ctx.emit_latest("states", text.encode("ascii").decode("unicode_escape"), 1)
            case "emit_key", text:
                ctx.emit("out", text.encode("ascii").decode("unicode_escape"), 1)
            case "put_key", text:
                run(ctx, "put", "a", text.encode("ascii").decode("unicode_escape"), 1)
            case "set", kind, k, due:
                ctx.timers.set(kind, k, due)
            case "cancel", kind, k:
                ctx.timers.cancel(kind, k)
            case "refuse", text:
                ctx.refuse(text)
            case "boom", text:
                raise Boom(text)
            case "memo", k, value:
                ctx.memo[k] = value
            case "memo_out", k:
                ctx.emit("out", k, ctx.memo.get(k))
            case _:
                raise AssertionError(verb)

    return agent


def event(at: int, *do: Any) -> dict[str, Any]:
    return {"at": at, "do": [list(step) for step in do]}
