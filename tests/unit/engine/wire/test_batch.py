"""Record batches, read back by a reader of the test's own that follows the format of KIP-98."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from streams.engine.codec import compile_decode
from streams.engine.partitioner import partition_of

try:
    from streams.engine.wire import _batch
except ImportError:
    if os.environ.get("CI") == "true" and shutil.which("cc"):  # elsewhere librdkafka's producer does the work
        raise
    pytest.skip("the C extension was not built", allow_module_level=True)


def zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = compile_decode.varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def records(batch: bytes) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """(offset delta, key, value) of a batch, everything that is checked by a broker checked."""
    length, epoch, magic, crc, attributes, last, first_ms, last_ms = struct.unpack_from(">iibIhiqq", batch, 8)
    assert (length, epoch, magic, attributes) == (len(batch) - 12, -1, 2, 0x10)
    assert crc == _batch.crc32c(batch[21:])[1]
    assert first_ms == last_ms
    (count,) = struct.unpack_from(">i", batch, 57)
    assert last == count - 1
    at = 61
    for number in range(count):
        size, at = zigzag(batch, at)
        end = at + size
        assert batch[at : at + 2] == b"\0\0"
        delta, at = zigzag(batch, at + 2)
        assert delta == number
        parts: list[bytes | None] = []
        for _ in range(2):
            size, at = zigzag(batch, at)
            parts.append(None if size < 0 else batch[at : at + size])
            at += max(0, size)
        assert batch[at] == 0
        assert at + 1 == end
        at = end
        yield delta, parts[0], parts[1]
    assert at == len(batch)


def batches(partitions: int = 8, full: int = 1 << 30, most: int = 900_000, on_full: Any = lambda: None) -> Any:
    return _batch.Batches(lambda topic: partitions, on_full, full, most)


def test_it_was_built_from_this_source() -> None:
    source = Path(_batch.__file__).with_name("_batch.c")
    assert sha256(source.read_bytes()).hexdigest() == _batch.SOURCE, "older than its source: pip install -e ."


def test_the_checksum_is_crc32c_by_instruction_and_by_table() -> None:
    assert _batch.crc32c(b"123456789") == (0xE3069283, 0xE3069283)
    rng = random.Random(1)
    for length in range(70):
        hard, soft = _batch.crc32c(rng.randbytes(length))
        assert hard == soft


def test_records_come_back_as_they_went_in_each_in_the_partition_of_its_key() -> None:
    rng = random.Random(2)
    one = batches()
    sent: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
    for number in range(3000):
        topic = rng.choice(("a", "b"))
        key = rng.choice(("ключ" * rng.randrange(9), rng.randbytes(rng.randrange(40)), str(number)))
        value = rng.choice((None, b"", rng.randbytes(rng.randrange(300)), "text"))
        one.append(topic, value, key)
        name = key.encode() if isinstance(key, str) else key
        data = value.encode() if isinstance(value, str) else value
        sent.setdefault((topic, partition_of(name, 8)), []).append((name, data))
    taken = one.take(77, 5, 1_700_000_000_000)
    assert {
        (topic, number): [(key, value) for _, key, value in records(data)] for topic, number, _, _, data in taken
    } == sent
    for _, _, first, count, data in taken:
        assert struct.unpack_from(">qhii", data, 43) == (77, 5, first, count)
        assert struct.unpack_from(">q", data, 27) == (1_700_000_000_000,)
    assert one.waiting == 0
    assert one.take(77, 5, 0) == []


def test_sequence_numbers_go_on_within_a_transaction_and_begin_anew_with_the_next() -> None:
    one = batches(1)
    firsts = []
    for _ in range(3):
        one.append("a", b"v", b"k")
        one.append("a", b"v", b"k")
        firsts += [first for _, _, first, _, _ in one.take(1, 1, 0)]
    one.append("a", b"lost", b"k")
    one.clear()
    one.append("a", b"v", b"k")
    assert firsts == [0, 2, 4]
    [(_, _, first, count, data)] = one.take(1, 2, 0)
    assert (first, count, [value for _, _, value in records(data)]) == (0, 1, [b"v"])


def test_a_batch_keeps_to_its_size_and_a_larger_record_has_one_of_its_own() -> None:
    one = batches(1, most=10_000)
    for size in (4_000, 4_000, 4_000, 50_000, 10):
        one.append("a", b"x" * size, None)
    taken = one.take(1, 1, 0)
    assert [(first, count) for _, _, first, count, _ in taken] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert all(len(data) <= 10_000 for _, _, _, _, data in taken[:2])
    assert [len(value or b"") for *_, data in taken for _, _, value in records(data)] == [
        4_000,
        4_000,
        4_000,
        50_000,
        10,
    ]


def test_records_without_a_key_go_round_and_a_named_partition_is_kept() -> None:
    one = batches(3)
    for _ in range(6):
        one.append("a", b"v", None)
    one.append("b", b"v", b"k", 2)
    one.extend("c", [(b"k", b"v"), (b"l", None)], 1)
    counts = [(topic, number, count) for topic, number, _, count, _ in one.take(1, 1, 0)]
    assert counts == [("a", 0, 2), ("a", 1, 2), ("a", 2, 2), ("b", 2, 1), ("c", 1, 2)]


def test_who_waits_for_much_is_told_once_per_portion() -> None:
    told: list[int] = []
    one: Any = batches(1, full=1_000, on_full=lambda: told.append(one.waiting))
    for _ in range(25):
        one.append("a", b"x" * 200, b"k")
    assert len(told) == 5
    assert told == sorted(told)


def test_partitions_are_asked_once_until_they_are_forgotten() -> None:
    asked: list[str] = []

    def partitions(topic: str) -> int:
        asked.append(topic)
        return 4

    one = _batch.Batches(partitions, lambda: None, 1 << 30, 900_000)
    for _ in range(3):
        one.append("a", b"v", b"k")
    one.forget()
    one.append("a", b"v", b"k")
    assert asked == ["a", "a"]
    assert [count for *_, count, _ in one.take(1, 1, 0)] == [1]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("a", 5, b"k"), TypeError),
        (("a", b"v", 5), TypeError),
        (("a", b"v", "\ud800"), UnicodeEncodeError),
        (("a", b"v", b"k", 8), ValueError),
        (("a", b"v"), TypeError),
        (("none", b"v", b"k"), LookupError),
    ],
)
def test_what_is_no_record_leaves_nothing_behind(args: tuple[Any, ...], error: type[Exception]) -> None:
    def partitions(topic: str) -> int:
        if topic == "none":
            raise LookupError(topic)
        return 8

    one = _batch.Batches(partitions, lambda: None, 1 << 30, 900_000)
    with pytest.raises(error):
        one.append(*args)
    assert one.waiting == 0
    assert one.take(1, 1, 0) == []
    one.append("a", b"v", b"k")
    assert len(one.take(1, 1, 0)) == 1


def test_an_error_while_it_is_sent_reaches_the_caller() -> None:
    def full() -> None:
        raise ConnectionError("no broker")

    one = batches(1, full=10, on_full=full)
    with pytest.raises(ConnectionError):
        one.append("a", b"x" * 100, b"k")
