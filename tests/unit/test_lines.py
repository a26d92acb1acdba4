"""Input lines: times, keys, and what is no line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from streams import topology
from streams.errors import OmsError
from streams.lines import TIME_FIELDS, BadLine, Line, code_of, parse_line, parse_time, parse_until, read_lines


def good(text: str) -> Line:
    line = parse_line("f", 1, text.encode())
    assert isinstance(line, Line)
    return line


def bad(raw: bytes) -> BadLine:
    line = parse_line("f", 7, raw)
    assert isinstance(line, BadLine)
    assert (line.file, line.number, line.raw) == ("f", 7, raw.rstrip(b"\r\n"))
    return line


def test_times_with_an_offset_become_milliseconds_at_any_depth() -> None:
    value = good(
        '{"topic": "orders", "value": {"event_time": "2026-01-24T10:00:00+08:00", "promised_ship_at": 5, '
        '"text": "2026-01-24T10:00:00Z", "lines": [{"at": "1970-01-01T00:00:01.5Z"}], '
        '"x": {"y_at": "1970-01-01T00:00:00Z"}}}'
    ).value
    assert value["event_time"] == 1769220000000
    assert value["promised_ship_at"] == 5
    assert value["text"] == "2026-01-24T10:00:00Z"
    assert value["lines"] == [{"at": 1500}]
    assert value["x"] == {"y_at": 0}


def test_text_in_a_field_that_is_no_events_is_no_wrong_time() -> None:
    value = good(
        '{"topic": "orders", "value": {"event_time": 5, "ingest_time": "2026-01-24 10:00:06", "deliver_at": "the door",'
        '"lines": [{"sku": "A", "event_time": "noon"}]}}'
    ).value
    assert value["ingest_time"] == "2026-01-24 10:00:06"
    assert value["deliver_at"] == "the door"
    assert value["lines"][0]["event_time"] == "noon"


def test_the_times_of_events_are_those_of_the_schemas() -> None:
    loaded = topology.load()
    schemas = [loaded.schema(name) for name, topic in loaded.topics.items() if topic.is_input]
    fields = [field for schema in schemas if isinstance(schema, dict) for field in schema["fields"]]
    assert {field["name"] for field in fields if "timestamp-millis" in json.dumps(field)} == TIME_FIELDS


def test_times_before_the_epoch_and_below_the_millisecond_are_exact() -> None:
    assert parse_time("1969-12-31T23:59:59.999999Z") == -1
    assert parse_time("2026-01-24T10:00:00.123999+08:00") == 1769220000123


@pytest.mark.parametrize("text", ["2026-01-24T10:00:00", "yesterday", "", "20260124"])
def test_a_time_without_an_offset_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_until_takes_milliseconds_or_text() -> None:
    assert parse_until("1769220000000") == parse_until("2026-01-24T10:00:00+08:00") == 1769220000000
    for text in ("tomorrow", "--5", "", "9" * 16, "1" * 5000):
        with pytest.raises(ValueError, match="time"):
            parse_until(text)


@pytest.mark.parametrize(
    ("raw", "stage"),
    [
        (b'{"topic": "orders", "value": {"a": 1}', "decode"),
        (b'{"topic": "orders", "value": ' + b'{"a": ' * 1000 + b"1" + b"}" * 1001, "contract"),
        (b"\xff\xfe\n", "decode"),
        (b'{"topic": "orders", "value": {"a": "\xc3\x28"}}', "decode"),
        (b"[]\n", "contract"),
        (b'{"topic": 5, "value": {}}', "contract"),
        (b'{"topic": "orders"}', "contract"),
        (b'{"topic": "orders", "value": []}', "contract"),
        (b'{"topic": "orders", "value": {"event_time": "noon"}}', "contract"),
        (b'{"topic": "orders", "bytes": "%%%"}', "contract"),
    ],
)
def test_what_is_no_input_line_is_told_with_its_place_and_kept(raw: bytes, stage: str) -> None:
    assert bad(raw).stage == stage


def test_a_line_may_carry_a_records_bytes() -> None:
    line = good('{"topic": "payments", "bytes": "AAEC", "key": "k"}')
    assert (line.payload, line.key, line.value) == (b"\0\1\2", "k", {})


def test_files_are_read_in_order_plain_or_packed_and_blank_lines_count(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    plain.write_bytes(b'\xef\xbb\xbf{"topic":"t","value":{"n":1}}\r\n\n \n{"topic":"t","value":{"n":2}}')
    packed.write_bytes(gzip.compress(b'{"topic":"t","value":{"n":3}}\nnonsense\n'))
    read = [(Path(line.file).name, line.number, isinstance(line, Line)) for line in read_lines([plain, packed])]
    assert read == [("a.jsonl", 1, True), ("a.jsonl", 4, True), ("b.jsonl", 1, True), ("b.jsonl", 2, False)]


def test_a_byte_order_mark_before_a_blank_line_is_no_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf\r\n{"topic":"t","value":{"n":1}}\n')
    assert [(line.number, isinstance(line, Line)) for line in read_lines([file])] == [(2, True)]


def test_a_missing_file_and_a_broken_archive_are_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "b.gz"
    broken.write_bytes(gzip.compress(b'{"topic":"t","value":{}}\n' * 1000)[:-20])
    garbled = tmp_path / "g.gz"
    garbled.write_bytes(b"\x1f\x8b\x08\x00" + bytes(6) + b"\x06garbage")
    for path in (tmp_path / "none", broken, garbled):
        with pytest.raises(OmsError, match=path.name) as caught:
            list(read_lines([path]))
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"order_no": "N", "waybill_no": "W"}, "N"),
        ({"order_no": "", "platform_txn_no": "T"}, "T"),
        ({"waybill_no": "W", "package_id": "P"}, "W"),
        ({"lines": [{"sku": "S"}]}, "S"),
        ({"lines": []}, None),
        ({"target": "x"}, None),
    ],
)
def test_an_event_travels_under_its_most_telling_code(value: dict, key: str | None) -> None:
    assert code_of(value) == key
