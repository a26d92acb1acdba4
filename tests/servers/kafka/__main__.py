"""`python -m tests.servers.kafka --port 9092`: a real broker until Ctrl-C, for benchmarks and trying things out."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path

from tests.servers.kafka.install import Missing
from tests.servers.kafka.server import KafkaServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=9092, help="0 = any free one")
    parser.add_argument("--heap", default="1g")
    parser.add_argument("--data", type=Path, help="keep the data here (default: a folder removed at the end)")
    options = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        with KafkaServer(options.data, port=options.port, heap=options.heap) as server:
            print(f"ready {server.url} (Ctrl-C stops)", flush=True)
            while not done.wait(0.5) and server.running:
                pass
            if not done.is_set():
                print(f"error: the broker ended by itself:\n{server.log_tail()}", file=sys.stderr)
                return 1
    except (Missing, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
