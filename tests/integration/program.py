"""A small agent of its own as a worker process: what the engine promises, shown without any rules of orders.

`counts` reads `in`, keeps a running total per name, sends every step to `steps` and the newest total to `totals`;
a timer per name sends one more step. Some records fail on purpose.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from streams.engine import Agent, Context, EngineError
from streams.engine.codec.errors import DecodeError
from streams.engine.runner import AgentRunner, RunnerConfig
from streams.engine.topics import check_topics

PARTITIONS = 4


class JsonTopics:
    """Every topic holds JSON objects."""

    def encoder(self, topic: str) -> Any:
        return lambda value: orjson.dumps(value, default=repr)  # dead letters hold bytes

    def decoder(self, topic: str) -> Any:
        return decode


def decode(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise DecodeError("not JSON") from None
    if not isinstance(value, dict):
        raise DecodeError("not an object")
    return value


def counting(name: str = "counts", slow: float = 0.0) -> Agent:
    """`name` prefixes the topics too, so that tests on one broker do not meet; `slow` seconds pass in each timer
    and with each record that asks for it."""
    agent = Agent(name, sources=(f"{name}-in",), writes=(f"{name}-steps", f"{name}-totals"))
    rows = agent.table("rows")

    def pause(where: str) -> None:
        if slow:
            print(where, flush=True)
            time.sleep(slow)

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        who = event["name"]
        row = ctx[rows].get(who, {"n": 0, "pad": ""})
        row = {"n": row["n"] + event["n"], "pad": event.get("pad", row["pad"])}
        ctx[rows][who] = row
        if event.get("fail"):
            raise ValueError("asked to fail")
        ctx.emit(f"{name}-steps", who, {"id": event["id"], "n": row["n"]})
        ctx.emit_latest(f"{name}-totals", who, {"n": row["n"], "version": row["n"]})
        if event.get("pause"):
            pause("in fold")
        if "timer" in event:
            ctx.timers.set("nudge", who, event["at"] + event["timer"])

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, at: int) -> None:
        pause("in timer")
        ctx.emit(f"{name}-steps", key, {"id": f"timer-{at}", "n": ctx[rows].get(key, {"n": 0})["n"]})

    @agent.time_of
    def time_of(event: dict[str, Any]) -> int:
        return int(event["at"])

    return agent


def topics(name: str) -> dict[str, int]:
    return {f"{name}-in": PARTITIONS, f"{name}-steps": PARTITIONS, f"{name}-totals": PARTITIONS,
            f"oms-{name}-changelog": PARTITIONS}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="counts")
    parser.add_argument("--protocol", default="classic")
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--slow", type=float, default=0.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stdout)
    agent, codecs = counting(options.name, options.slow), JsonTopics()
    config = RunnerConfig(
        conf={"bootstrap.servers": os.environ["OMS_BROKER"]},
        worker_id=os.environ["OMS_WORKER_ID"],
        data_dir=Path(os.environ["OMS_DATA_DIR"]) / os.environ["OMS_WORKER_ID"],
        batch_size=options.batch,
        group_protocol=options.protocol,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runner = AgentRunner(agent, codecs, config)
    try:
        check_topics(config.conf, [agent])
        runner.open()
        print("ready", flush=True)
        while not stop.is_set():
            runner.step()
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        runner.close()
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
