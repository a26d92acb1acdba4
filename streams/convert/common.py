"""What the converters share: reading tables, exact money, local times, and the order in which lines are written."""

from __future__ import annotations

import csv
import gzip
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.domain.contract import LIMITS

Line: TypeAlias = dict[str, Any]
"""One input line: {"topic": str, "value": {envelope and fields}}, times in integer milliseconds UTC."""

Sort: TypeAlias = Literal["time", "source"]
"""time: all lines by event time; source: order by order as the source lists them."""

Row: TypeAlias = dict[str, str]


class ConvertError(ValueError):
    """The source cannot be converted; the message is one line and names the file, and the row where there is one."""


def line(topic: str, **fields: Any) -> Line:
    """An input line; fields that are None are left out, as the contract's nullable fields may be."""
    return {"topic": topic, "value": {name: value for name, value in fields.items() if value is not None}}


def minor(text: str) -> int:
    """An amount as written ("128.45") in minor units (12845); exact, ValueError when it has more than two decimals."""
    try:
        scaled = Decimal(text.strip()).scaleb(2)
    except InvalidOperation:
        raise ValueError(f"not an amount: {text!r}") from None
    if not scaled.is_finite() or abs(scaled) > LIMITS.amount or scaled != scaled.to_integral_value():
        raise ValueError(f"not an amount in hundredths: {text!r}")
    return int(scaled)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name; ConvertError where the system has no time zone data."""
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ConvertError(f"no time zone data for {name}: install the system's tzdata or the tzdata package") from None


def local_ms(text: str, tz: ZoneInfo) -> int:
    """A wall-clock text ("2018-08-15 04:10[:37]") of a zone as ms UTC; of an hour that occurs twice, the first."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=tz)
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def compact(value: Any) -> str:
    """JSON without blanks, text as it is: the `raw` of an event."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def find(folder: Path, *stems: str) -> Path | None:
    """The first of STEM.csv.gz, STEM.csv that exists, stems in order of preference."""
    for stem in stems:
        for name in (f"{stem}.csv.gz", f"{stem}.csv"):
            if (folder / name).is_file():
                return folder / name
    return None


def found(folder: Path, what: str, *stems: str) -> Path:
    """The same, or a ConvertError that says what is missing."""
    path = find(folder, *stems)
    if path is None:
        names = ", ".join(f"{stem}.csv[.gz]" for stem in stems)
        raise ConvertError(f"{folder}: no {what}; looked for {names}")
    return path


def rows(path: Path, *columns: str) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a CSV file, plain or gzip; column names and values lose surrounding blanks.

    ConvertError when the file cannot be read as UTF-8 CSV, lacks one of `columns`, or a row has other columns than
    the header.
    """
    try:
        with _text(path) as text:
            reader = csv.reader(text)
            header = [name.strip() for name in next(reader, [])]
            if missing := [column for column in columns if column not in header]:
                raise ConvertError(f"{path}: no column {', '.join(missing)}")
            for cells in reader:
                if len(cells) != len(header):
                    raise ConvertError(f"{path}:{reader.line_num}: {len(cells)} columns, the header has {len(header)}")
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ConvertError(f"{path}: cannot be read as CSV: {error}") from None


@contextmanager
def row_of(path: Path, number: int) -> Iterator[None]:
    """A value of the row that cannot be converted becomes a ConvertError that names file and row: one that is none
    (ValueError), or that no amount or calendar has (ArithmeticError)."""
    try:
        yield
    except ConvertError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise ConvertError(f"{path}:{number}: {error}") from None


def in_time_order(groups: Iterable[list[Line]]) -> Iterator[Line]:
    """The lines of all groups by event time; at equal times in the order of the groups, then of the lines in a group.

    Groups must come by their earliest event time, so that only the groups that overlap are held in memory.
    """
    waiting: list[tuple[int, int, int, Line]] = []
    for position, group in enumerate(groups):
        if not group:
            continue
        start = min(entry["value"]["event_time"] for entry in group)
        while waiting and waiting[0][0] < start:
            yield heapq.heappop(waiting)[3]
        for index, entry in enumerate(group):
            heapq.heappush(waiting, (entry["value"]["event_time"], position, index, entry))
    while waiting:
        yield heapq.heappop(waiting)[3]


def write(path: Path, lines: Iterable[Line]) -> int:
    """Writes JSON lines and returns their number; gzip where the name ends in .gz, with no name or time inside.

    The same lines always give the same bytes.
    """
    count = 0
    with path.open("wb") as plain, _packed(path, plain) as out:
        for entry in lines:
            out.write(compact(entry).encode() + b"\n")
            count += 1
    return count


def _text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _packed(path: Path, plain: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if path.suffix == ".gz":
        return gzip.GzipFile(filename="", fileobj=plain, mode="wb", compresslevel=9, mtime=0)  # type: ignore[return-value]
    return nullcontext(plain)
