"""``python -m bench``: measures, prints the tables and writes RESULTS.md beside this file."""

import argparse
import sys
import time

from bench import build, close, compare, connect, pipeline, recall, report, stock_broker, timers
from bench.observe import Failed
from bench.runners import BY_NAME, SYSTEMS
from tests.servers.kafka import Missing

QUICK_EVENTS = 200_000
PARTS = {
    "pipeline": lambda options, say: pipeline.run(
        pipeline.Sizes.small() if options.quick else pipeline.Sizes(rounds=options.rounds), say
    ),
    "stock": lambda options, say: stock_broker.run(
        stock_broker.Sizes.small() if options.quick else stock_broker.Sizes(), say
    ),
    "timers": lambda options, say: timers.run(timers.Sizes.small() if options.quick else timers.Sizes(), say),
    "close": lambda options, say: close.run(close.Sizes.small() if options.quick else close.Sizes(), say),
    "connect": lambda options, say: connect.run(connect.Sizes.small() if options.quick else connect.Sizes(), say),
    "recall": lambda options, say: recall.run(say, options.quick),
}
"""What there is beside the comparison with the peers."""
NAMES = f"there are {', '.join((*BY_NAME, *PARTS))}"


def main() -> int:
    options = _options()
    names = options.only.split(",") if options.only else [*BY_NAME, *PARTS]
    unknown = [name for name in names if name not in (*BY_NAME, *PARTS)]
    if unknown:
        print(f"error: nothing to measure is called {', '.join(unknown)}; {NAMES}", file=sys.stderr)
        return 2
    events, rounds = (QUICK_EVENTS, 1) if options.quick else (options.events, options.rounds)
    systems = [system for system in SYSTEMS if system.name in names]
    started = time.perf_counter()

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - started:6.0f} s] {line}", flush=True)

    results = report.Results(keep=options.keep or not (options.quick or options.only))
    try:
        if systems:
            results.put("compare", compare.run(systems, events, rounds, say), sys.argv[1:])
            print(results.text("compare"))
        for name in filter(names.__contains__, PARTS):
            results.put(name, PARTS[name](options, say), sys.argv[1:])
            print(results.text(name))
    except (build.CannotBuild, Failed, Missing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        print(f"written to {results.write()}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="events per run of the comparison (2,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median counts")
    parser.add_argument("--only", help=f"comma-separated; {NAMES}. RESULTS.md is left as it is")
    parser.add_argument(
        "--keep", action="store_true", help="with --only: these figures go into RESULTS.md all the same"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything, one round, to see that all works")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
