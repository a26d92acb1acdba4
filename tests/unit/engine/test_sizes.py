"""What the engine lets pass, producer and topics take: else one record would block its source for ever."""

from __future__ import annotations

import tracemalloc

from streams import agents, topology
from streams.engine.agent import TableSpec
from streams.engine.store import MemoryStore
from streams.engine.table import MAX_KEY_LENGTH, MAX_VALUE_BYTES, Table
from streams.engine.transaction import _DEFAULTS

ENVELOPE = 1000
"""Offsets, lengths and headers of a record and of the batch around it."""
PRODUCER = _DEFAULTS["message.max.bytes"]


def limit(topic: str) -> int:
    return int(topology.load().topic(topic).config["max.message.bytes"])


def test_the_largest_output_fits_in_every_topic() -> None:
    largest = MAX_VALUE_BYTES + 4 * MAX_KEY_LENGTH + ENVELOPE  # a character of a key takes up to four bytes
    for name in topology.load().topics:
        assert largest <= limit(name), name


def test_the_largest_row_fits_in_every_changelog() -> None:
    for agent in agents.ALL:
        if agent.stateful:
            allowed = int(topology.load().changelog(agent.name).config["max.message.bytes"])
            assert allowed >= MAX_VALUE_BYTES + MAX_KEY_LENGTH + ENVELOPE, agent.name


def test_the_dead_letter_of_the_largest_record_fits_in_its_topic() -> None:
    sources = [topic for topic in topology.load().topics if topic != "dead-letters"]
    largest = max(limit(name) for name in sources) + 4 * 4000 + ENVELOPE  # the record, and 4,000 characters of why
    assert largest <= PRODUCER
    assert limit("dead-letters") >= PRODUCER + ENVELOPE


def test_the_rows_of_a_turn_take_no_more_memory_than_their_bytes() -> None:
    rows = Table(TableSpec("t"), MemoryStore())
    for number in range(1000):
        rows[str(number)] = "x" * 1500
    tracemalloc.start()
    try:
        changes = rows.changes()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1.5 * sum(len(value or b"") for _, value in changes)
