"""Faust as it ships: an agent, a RocksDB table and a `send` per event. BENCH_OPTION: at_least_once or exactly_once."""

import faust
import orjson

from bench.job import decode_event, encode_state, fold
from bench.peers.contract import Run, first_event

PARTITIONS = 4

run = Run.from_env()
app = faust.App(
    run.run_id,
    broker=f"kafka://{run.broker}",
    store="rocksdb://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    datadir=run.state_dir,
    web_enabled=False,
    producer_acks=-1,
    processing_guarantee=run.option,
    value_serializer="raw",
    key_serializer="raw",
)
source = app.topic(run.source, value_serializer="raw", key_serializer="raw", partitions=PARTITIONS)
output = app.topic(run.output, value_serializer="raw", key_serializer="raw", partitions=PARTITIONS)
orders = app.Table("orders", partitions=PARTITIONS, value_type=bytes, key_type=bytes, options={"driver": "rocksdict"})
started = False


@app.agent(source)
async def merge(stream: faust.StreamT) -> None:
    global started
    async for event in stream.events():
        if not started:
            started = True
            first_event()
        stored = orders.get(event.key)
        state, merged = fold(orjson.loads(stored) if stored else None, decode_event(event.value))
        orders[event.key] = orjson.dumps(state)
        if merged is not None:
            await output.send(key=event.key, value=encode_state(merged))


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()
