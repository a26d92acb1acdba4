"""Quix Streams, exactly once, RocksDB state with a changelog; runs until it is told to stop."""

from typing import Any

from quixstreams import Application, State

from bench.job import decode_event, encode_state, fold
from bench.peers.contract import Run, first_event

started = False


def merge(value: bytes, state: State) -> bytes | None:
    global started
    if not started:
        started = True
        first_event()
    order: dict[str, Any] | None = state.get("order")
    order, merged = fold(order, decode_event(value))
    state.set("order", order)
    return None if merged is None else encode_state(merged)


def main() -> None:
    run = Run.from_env()
    app = Application(
        broker_address=run.broker,
        consumer_group=run.run_id,
        auto_offset_reset="earliest",
        state_dir=run.state_dir,
        processing_guarantee=run.option,
        loglevel="WARNING",
    )
    source = app.topic(run.source, key_deserializer="bytes", value_deserializer="bytes")
    output = app.topic(run.output, key_serializer="bytes", value_serializer="bytes")
    merged = app.dataframe(source).apply(merge, stateful=True)
    merged.filter(lambda value: value is not None).to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
