"""``python -m bench``: measures, prints the tables and writes RESULTS.md beside this file."""

import argparse
import sys
import time

from bench import build, compare, report
from bench.runners import BY_NAME, SYSTEMS
from tests.servers.kafka import Missing

QUICK_EVENTS = 200_000


def main() -> int:
    options = _options()
    names = options.only.split(",") if options.only else [system.name for system in SYSTEMS]
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        print(f"error: no such system: {', '.join(unknown)} (there are {', '.join(BY_NAME)})", file=sys.stderr)
        return 2
    events, rounds = (QUICK_EVENTS, 1) if options.quick else (options.events, options.rounds)
    started = time.perf_counter()

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - started:6.0f} s] {line}", flush=True)

    results = report.Results(keep=not (options.quick or options.only))
    try:
        results.put("compare", compare.run([BY_NAME[name] for name in names], events, rounds, say), sys.argv[1:])
    except (build.CannotBuild, Missing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    page = results.write()
    print(f"{results.text('compare')}\nwritten to {page}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="events per run (default 2,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which the median counts")
    parser.add_argument("--only", help=f"comma-separated: {', '.join(BY_NAME)}; RESULTS.md is left as it is")
    parser.add_argument("--quick", action="store_true", help="200,000 events, one round; RESULTS.md is left as it is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
