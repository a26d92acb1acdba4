"""One list of a courier: read, judged row by row, and sent or written (LOG-08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from streams.commands.common import note
from streams.config import Settings
from streams.domain.courier_file import Judged
from streams.errors import OmsError

SHOWN_ROWS: Final = 20


@dataclass(slots=True)
class Report:
    """What a file held. No text of a cell is in it but headings' fields: cells hold names and telephones."""

    file: str
    sha256: str
    courier: str
    layout: str
    encoding: str | None
    tables: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    """Sheets that are hidden or have no heading."""
    rows: int = 0
    repeated: int = 0
    day_only: int = 0
    """Events whose row gives a day without a clock: they stand at its first moment."""
    late: list[Judged] = field(default_factory=list)
    bad: list[Judged] = field(default_factory=list)
    values: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def findings(self) -> bool:
        """Whether a row was left out that somebody has to look at."""
        return bool(self.late or self.bad)

    def as_json(self, sent: int) -> dict[str, Any]:
        names = ("file", "sha256", "courier", "layout", "encoding", "tables", "passed_over", "rows")
        out: dict[str, Any] = {name: getattr(self, name) for name in names}
        out |= {"events": len(self.values), "sent": sent, "repeated": self.repeated, "day_only": self.day_only}
        for name in ("late", "bad"):
            out[name] = [{"table": j.table, "row": j.number, "reason": j.reason} for j in getattr(self, name)]
        return out

    def show(self, done: str) -> None:
        for judged in sorted([*self.bad, *self.late], key=lambda j: (j.table, j.number))[:SHOWN_ROWS]:
            note(f"{self.file}: {judged.table} row {judged.number}: {judged.reason}")
        if (more := len(self.bad) + len(self.late) - SHOWN_ROWS) > 0:
            note(f"{more:,} more rows than shown: --json has all")
        if self.passed_over:
            note(f"sheets passed over (hidden, or without a heading): {', '.join(self.passed_over)}")
        if self.day_only:
            note(f"{self.day_only:,} rows give a day without a clock: taken as 00:00")
        encoding = f" ({self.encoding})" if self.encoding else ""
        note(
            f"{self.file}{encoding}: {self.rows:,} rows, {done}, {self.repeated:,} repeated, "
            f"{len(self.late):,} too old, {len(self.bad):,} wrong"
        )


def content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OmsError(f"cannot read {path}: {error.strerror}", exit_code=2) from None


def judge(path: Path, content: bytes, courier: str, now: int, columns: Mapping[str, str] | None = None) -> Report:
    """Every row of the file judged at `now` (ms). OmsError (exit 2) if it is no list: unreadable or without heading."""
    from streams.convert.courier_tables import tables
    from streams.domain.courier_file import Reader
    from streams.domain.courier_file.layout import LayoutError
    from streams.domain.rules import data

    book = tables(str(path), content)
    layout = data.courier_layouts().of(courier)
    reader = Reader(courier, layout, data.status_maps(), data.contract(), data.courier_numbers(), now, columns)
    report = Report(str(path), sha256(content).hexdigest(), courier, f"{layout.name}/{layout.version}", book.encoding)
    report.passed_over.extend(book.hidden)
    for table in book.tables:
        try:
            rows = reader.read(table)
        except LayoutError as error:
            raise OmsError(f"{path}: {table.name}: {error}", exit_code=2) from None
        if rows is None:
            report.passed_over.append(table.name)
            continue
        report.tables.append(table.name)
        for judged in rows:
            _count(report, judged)
    if not report.tables:
        raise OmsError(
            f"{path} has no heading with a waybill column (such as 运单号) and a time column (such as 签收时间): "
            "name them with --columns waybill=HEADING,signed_at=HEADING",
            exit_code=2,
        )
    return report


def _count(report: Report, judged: Judged) -> None:
    report.rows += 1
    if judged.value is not None:
        report.values.append(judged.value)
        report.day_only += judged.day_only
    elif judged.outcome == "repeated":
        report.repeated += 1
    elif judged.outcome == "late":
        report.late.append(judged)
    else:
        report.bad.append(judged)


def write(values: Sequence[Mapping[str, Any]], out: Path) -> int:
    """The events as input lines. OmsError (exit 2) if they cannot be written."""
    from streams.convert.common import line
    from streams.convert.common import write as write_lines

    try:
        return write_lines(out, (line("couriers", **value) for value in values))
    except OSError as error:
        raise OmsError(f"cannot write {out}: {error.strerror}", exit_code=2) from None


def send(settings: Settings, values: Sequence[Mapping[str, Any]]) -> int:
    """Send all and wait for the broker's word on each. Raises OmsError; to send again does no harm."""
    from streams.commands.publish import send_all

    if not values:
        return 0
    records = [(value["waybill_no"], dict(value)) for value in values]
    return send_all(settings, "couriers", records, "importing", "import the file again")
