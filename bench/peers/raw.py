"""The ceiling of one CPython process: consume, fold, produce, state in a dict. Neither durable nor exact."""

from typing import Any

from confluent_kafka import Consumer, Producer

from bench.job import decode_event, encode_state, fold
from bench.peers.contract import Run, first_event


def main() -> None:
    run = Run.from_env()
    consumer = Consumer({
        "bootstrap.servers": run.broker,
        "group.id": run.run_id,
        "auto.offset.reset": "earliest",
    })  # fmt: skip
    producer = Producer({
        "bootstrap.servers": run.broker,
        "linger.ms": 5,
        "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    consumer.subscribe([run.source])
    states: dict[bytes, dict[str, Any]] = {}
    done = 0
    while done < run.events:
        messages = consumer.consume(2_000, 0.5)
        if messages and not done:
            first_event()
        for message in messages:
            key = message.key()
            states[key], merged = fold(states.get(key), decode_event(message.value()))
            if merged is not None:
                producer.produce(run.output, key=key, value=encode_state(merged))
        producer.poll(0)
        done += len(messages)
    producer.flush()


if __name__ == "__main__":
    main()
