"""The comparison's part of RESULTS.md: the table and the targets."""

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

METHOD = """
The job: Avro order events (Confluent wire format, 4 partitions) are merged into one state per order, each event gives
one Avro record of the merged state. Durable everywhere but in the raw loop: RocksDB and a changelog (Flink: RocksDB and
a checkpoint every 10 s). Broker, runner and observer share the machine.

**events/s**: from the first event a runner takes up until a read_committed reader can see the last result; start-up is
outside, warming up inside. The observer is the same for all: it polls the last stable offsets of the output topic every
50 ms. **CPU**: user and system time of all processes of the runner in that span; *whole life* adds start-up
(interpreter, JVM) and shutdown; *broker* is what the broker spent in the span. Every run's output is read back and
compared with a fold of the source: number of records, a checksum of all of them, and of the last one of each key. A run
whose results are wrong counts for nothing.
"""


def section(figures: dict[str, Any]) -> str:
    """Markdown of the whole comparison."""
    rows: list[Row] = figures["medians"]
    lines = [
        "\n## One job on every engine\n",
        f"{figures['events']:,} events, medians of {figures['rounds']} interleaved rounds"
        " (in brackets: slowest and fastest run).\n",
        *_table(rows),
        *(f"\nVoid: {name}: {why}" for name, why in figures["void"].items()),
        METHOD,
        *_targets({row["name"]: row for row in rows}),
    ]
    return "\n".join(lines)


def _table(rows: list[Row]) -> Iterator[str]:
    ours = next((row for row in rows if row["name"] == "ours1"), None)
    yield "| system | guarantee | events | events/s | to ours | CPU us/event | to ours | whole life | broker |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        rate, cpu = row["events_per_second"], row["cpu_us"]
        speed = f"{rate / ours['events_per_second']:.2f}" if ours else ""
        cost = f"{cpu / ours['cpu_us']:.2f}" if ours else ""
        yield (
            f"| {row['title']} | {row['guarantee']} | {row['events']:,} "
            f"| {rate:,.0f} ({row['slowest']:,.0f}-{row['fastest']:,.0f}) | {speed} | {cpu:.1f} | {cost} "
            f"| {row['life_cpu_us']:.1f} | {row['broker_cpu_us']:.1f} |"
        )


def _targets(rows: dict[str, Row]) -> Iterator[str]:
    """What was to be reached. A line whose systems did not run is left out."""
    reached = [*_reached(rows)]
    if reached:
        yield "| to reach, exactly once on the same 2 cores | wanted | measured | |"
        yield "|---|--:|--:|---|"
        yield from reached


def _reached(rows: dict[str, Row]) -> Iterator[str]:
    for text, ours, theirs, wanted in (
        ("one process to the raw loop, events/s", "ours1", "raw", 0.85),
        ("two processes to Kafka Streams with 2 threads, events/s", "ours2", "kstreams", 1.0),
        ("one process to Quix Streams, events/s", "ours1", "quix", 2.0),
        ("one process to stock Faust's exactly once, events/s", "ours1", "faust-eos", 40.0),
    ):
        if ours in rows and theirs in rows:
            ratio = rows[ours]["events_per_second"] / rows[theirs]["events_per_second"]
            yield _line(text, f"at least {wanted:g}", ratio, ratio >= wanted)
    for text, ours in (("one process", "ours1"), ("two processes", "ours2")):
        if ours in rows and "kstreams" in rows:
            ratio = rows[ours]["cpu_us"] / rows["kstreams"]["cpu_us"]
            yield _line(f"{text} to Kafka Streams, CPU per event", "below 1", ratio, ratio < 1)
    if "ours2" in rows and "flink" in rows:
        for text, field in (("events/s", "events_per_second"), ("CPU per event", "cpu_us")):
            ratio = rows["ours2"][field] / rows["flink"][field]
            reached = ratio >= 1 if field == "events_per_second" else ratio <= 1
            yield _line(f"aim beyond: two processes to Flink, {text}", "1", ratio, reached)


def _line(text: str, wanted: str, measured: float, reached: bool) -> str:
    return f"| {text} | {wanted} | {measured:.2f} | {'reached' if reached else 'NOT reached'} |"
