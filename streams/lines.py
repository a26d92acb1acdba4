"""Input lines: `{"topic": "orders", "value": {...}}`, one JSON object per line, plain or gzip.

A reader never raises for a line: what cannot be read comes out as a `BadLine` with file, line number and reason, and
the next line follows. Times (`at`, `*_at`, `*_time`) may be ISO 8601 text with an offset; they become integer
milliseconds UTC. Of fields that are no event's, which nobody reads, any text will do.
A record that is no event can be written by its bytes, `{"topic": "payments", "bytes": "<base64>"}`, and goes out as it
stands: a capture of undecodable records can be played again.
"""

from __future__ import annotations

import base64
import errno
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, cast

import orjson

from streams.errors import OmsError

_MARK = b"\xef\xbb\xbf"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
TIME_FIELDS = frozenset({"event_time", "promised_ship_at", "promised_delivery_at"})
"""Times of the input topics' schemas."""
# The codes an order can be known by, the most telling first: the key `oms publish` gives a record. All events that name
# the same code meet in one partition in the order they were sent; the rest is the identity agent's work.
KEY_FIELDS = (
    "order_no",
    "platform_txn_no",
    "internal_no",
    "waybill_no",
    "package_id",
    "order_guid",
    "sku",
    "customer_id",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One event as written: `value` has times as integer milliseconds; `raw` are the bytes of the line."""

    file: str
    number: int
    topic: str
    value: dict[str, Any]
    raw: bytes
    key: str | None = None
    payload: bytes | None = None
    """The record's bytes where the line gives them instead of a value; `value` is empty then."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event. `stage`: `decode` is not readable as JSON, `contract` is readable but no input line."""

    file: str
    number: int
    error: str
    stage: Literal["decode", "contract"]
    raw: bytes


def require_files(paths: Iterable[Path | str]) -> None:
    """OmsError for the first that is no file one could read, before anything is done with the others. What is no plain
    file (`-`, a pipe) is not opened: it can be read only once."""
    for path in paths:
        if str(path) == "-":
            continue
        problem = None
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):
                problem = os.strerror(errno.EISDIR)
            elif not os.access(path, os.R_OK):
                problem = os.strerror(errno.EACCES)
        except OSError as error:
            problem = error.strerror
        if problem is not None:
            raise OmsError(f"cannot read {path}: {problem}", exit_code=2)


def read_lines(paths: Iterable[Path | str]) -> Iterator[Line | BadLine]:
    """The lines of the files in file order. Raises OmsError if one of the files cannot be opened, before the first
    line, or if gzip data is broken."""
    paths = list(paths)
    require_files(paths)
    for path in paths:
        name = str(path)
        try:
            with open_lines(path) as file:
                for number, raw in enumerate(file, start=1):
                    if not (raw.removeprefix(_MARK) if number == 1 else raw).isspace():
                        yield parse_line(name, number, raw)
        except (OSError, EOFError, zlib.error) as error:
            raise OmsError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}", exit_code=2) from None


def open_lines(path: Path | str) -> IO[bytes]:
    """The file as bytes; gzip is recognised by its first bytes, not by its name. `-` is standard input."""
    if str(path) == "-":
        return open(0, "rb", closefd=False)
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    file.close()  # a GzipFile over it would leave it open
    return io.BufferedReader(cast("io.RawIOBase", gzip.open(path)), 1 << 20)


def parse_line(file: str, number: int, raw: bytes) -> Line | BadLine:
    """One line of text. `number` counts from 1."""
    text = raw.rstrip(b"\r\n")
    if number == 1:
        text = text.removeprefix(_MARK)
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return BadLine(file, number, f"not JSON: {error.msg} at column {error.colno}", "decode", text)
    if type(content) is dict and type(content.get("topic")) is str and type(content.get("bytes")) is str:
        return _bytes_line(file, number, content, text)
    if type(content) is not dict or type(content.get("topic")) is not str or type(content.get("value")) is not dict:
        return BadLine(file, number, 'no input line: {"topic": "...", "value": {...}} expected', "contract", text)
    key = content.get("key")
    try:
        times_to_ms(content["value"])
    except ValueError as error:
        return BadLine(file, number, str(error), "contract", text)
    except RecursionError:
        return BadLine(file, number, "nested too deep", "contract", text)
    return Line(file, number, content["topic"], content["value"], text, key if type(key) is str else None)


def _bytes_line(file: str, number: int, content: dict[str, Any], text: bytes) -> Line | BadLine:
    key = content.get("key")
    try:
        payload = base64.b64decode(content["bytes"], validate=True)
    except ValueError:
        return BadLine(file, number, "bytes: not base64", "contract", text)
    return Line(file, number, content["topic"], {}, text, key if type(key) is str else None, payload)


def times_to_ms(value: dict[str, Any], *, inside: bool = False) -> None:
    """Turn ISO 8601 times of a JSON object into integer milliseconds UTC, in place. Raises ValueError for one of
    TIME_FIELDS that is none."""
    for name, item in value.items():
        kind = type(item)
        if kind is str:
            if name.endswith(("_time", "_at")) or name == "at":
                try:
                    value[name] = parse_time(item, name)
                except ValueError:
                    if name in TIME_FIELDS and not inside:
                        raise
        elif kind is dict:
            times_to_ms(item, inside=True)
        elif kind is list:
            for element in item:
                if type(element) is dict:
                    times_to_ms(element, inside=True)


def parse_time(text: str, name: str = "time") -> int:
    """ISO 8601 with an offset (or Z) -> milliseconds UTC, cut off below the millisecond. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name}: a time without an offset (write +08:00 or Z)")
    return (moment - _EPOCH) // _MILLISECOND


def parse_until(text: str) -> int:
    """A time on the command line: epoch milliseconds or ISO 8601 with an offset. Raises ValueError."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return parse_time(text)
    if len(digits) > 15:  # what is written as text ends with the year 9999, at 253402300799999
        raise ValueError("no time in milliseconds: more than 15 digits")
    return int(text)


def code_of(value: dict[str, Any]) -> str | None:
    """The key an event travels under: the first code of KEY_FIELDS it carries, else its first line's SKU, else None."""
    for name in KEY_FIELDS:
        code = value.get(name)
        if code:
            return str(code)
    lines = value.get("lines")
    return str(lines[0]["sku"]) if lines and lines[0].get("sku") else None
