"""What the tests of the sinks into finance ask of topics and tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg.rows import dict_row

from streams import topology
from streams.connect.connectors import DEAD_LETTERS
from tests.servers.finance import Finance
from tests.support.entries import T0
from tests.support.progress import wait_until
from tests.support.records import read


def rows(finance: Finance, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(finance.postgres.dsn, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def one(finance: Finance, query: str) -> Any:
    """The one value of the first row; None without a row."""
    return next((value for row in rows(finance, query) for value in row.values()), None)


def wait_for(finance: Finance, query: str, wanted: Any, seconds: float = 60) -> None:
    wait_until(lambda: bool(one(finance, query) == wanted), seconds, f"{query} gives {wanted}", every=0.25)


def entry(number: int, **more: Any) -> dict[str, Any]:
    """One that no order of the test has."""
    return {
        "entry_id": f"single/{number}", "order_guid": "single", "line_no": None, "channel": "tmall", "kind": "receipt",
        "debit_account": "cash", "credit_account": "customer_advances", "amount_minor": 100, "currency": "CNY",
        "period": "2025-12", "rule": "FIN-01", "recognized_at": T0, "reversal_of": None, **more,
    }  # fmt: skip


def abort(finance: Finance, encode: Callable[[Any], bytes], transactions: int, size: int) -> None:
    """Entries that reach the topic and are never committed."""
    producer = Producer({"bootstrap.servers": finance.kafka.bootstrap, "transactional.id": "test-aborts"})
    producer.init_transactions(30)
    for transaction in range(transactions):
        producer.begin_transaction()
        for number in range(size):
            value = entry(number, entry_id=f"aborted/{transaction}/{number}", amount_minor=1_000_000)
            producer.produce("ledger-entries", encode(value), value["entry_id"])
        producer.flush(30)
        producer.abort_transaction(30)


def committed(finance: Finance) -> set[tuple[Any, ...]]:
    """What a reader of committed data finds in the topic, the newest of each key."""
    decode = topology.load(registry=finance.registry.url).decoder("ledger-entries")
    newest = {record.key: record.value for record in read(finance.kafka.bootstrap, "ledger-entries")}
    return {tuple(decode(value).values()) for value in newest.values() if value is not None}


def tabled(finance: Finance) -> set[tuple[Any, ...]]:
    names = [field["name"] for field in topology.load().schema("ledger-entries")["fields"]]
    names[names.index("recognized_at")] = "(extract(epoch FROM recognized_at) * 1000)::bigint"
    with psycopg.connect(finance.postgres.dsn) as connection:
        return set(connection.execute(f"SELECT {', '.join(names)} FROM ledger_entries".encode()).fetchall())


def letters(finance: Finance) -> dict[tuple[bytes | None, bytes | None], str]:
    """(key, value) of what could not be written, and why."""
    conf = {"bootstrap.servers": finance.kafka.bootstrap, "group.id": "test-letters", "enable.partition.eof": True}
    consumer, found, left = Consumer(conf), {}, {0, 1, 2, 3}
    consumer.assign([TopicPartition(DEAD_LETTERS, number, 0) for number in left])
    while left:
        for message in consumer.consume(100, 0.5):
            if message.error() is not None:
                left.discard(message.partition())
            else:
                said = {name: value or b"" for name, value in message.headers() or []}
                found[message.key(), message.value()] = said["__connect.errors.exception.message"].decode()
    consumer.close()
    return found
