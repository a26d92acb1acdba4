"""What the harness tells a Python runner by its environment, and the one thing the runner says back."""

import os
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """The settings of one run; ``run_id`` is unique and names groups, transactional ids and internal topics."""

    broker: str
    source: str
    output: str
    run_id: str
    state_dir: str
    events: int
    option: str  # processing guarantee or number of processes, as the runner defines it

    @staticmethod
    def from_env() -> "Run":
        env = os.environ
        return Run(
            env["BENCH_BROKER"], env["BENCH_SOURCE"], env["BENCH_OUTPUT"], env["BENCH_RUN"],
            env["BENCH_STATE_DIR"], int(env["BENCH_EVENTS"]), env.get("BENCH_OPTION", ""),
        )  # fmt: skip


def first_event() -> None:
    """Says that the first event was taken up: the clock of the measurement starts here. To be called once."""
    os.write(1, b"FIRST %.3f\n" % time.time())  # not by print: Faust takes sys.stdout for its log
