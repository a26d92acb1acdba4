"""`oms maps`: what the words of platforms, couriers and warehouse systems mean (ST-03): check, show, import, schema."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Json, emit_json, note, settings_of
from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from streams.domain.status_map import Row, StatusMaps, Table

app = typer.Typer(no_args_is_help=True, help="Status maps: check, show, import, schema.")

Name = Annotated[str | None, typer.Argument(metavar="[PLATFORM]", help="Name of a table, source, channel or courier.")]


@app.command("check")
def check(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE...]")] = None, as_json: Json = False
) -> None:
    """Check tables as an import would, each with those in use; without FILE those in use. Exit 1 if one is wrong."""
    found: list[dict[str, Any]] = []
    if files:
        for path in files:
            wrong = problem(path, settings_of().maps_dir)
            found.append({"file": str(path), "ok": wrong is None, "error": wrong})
    else:
        tables, wrong = None, None
        try:
            tables = in_use(settings_of().maps_dir).tables
        except OmsError as error:
            wrong = str(error)
        rows = sum(len(table.rows) for table in tables or ())
        found.append({"file": None, "ok": wrong is None, "error": wrong, "tables": len(tables or ()), "rows": rows})
    if as_json:
        emit_json(found)
    else:
        for each in found:
            name = each["file"] or f"{each['tables']} tables, {each['rows']:,} rows"
            typer.echo(f"{name}: good" if each["ok"] else each["error"])
    if not all(each["ok"] for each in found):
        raise typer.Exit(1)


@app.command("show")
def show(
    platform: Name = None,
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="What does this code mean there?")] = None,
    field: Annotated[str | None, typer.Option("--field", help="Only this field of the platform's message.")] = None,
    as_json: Json = False,
) -> None:
    """All tables; one platform's rows; or what one code means there. Exit 1 if no table knows it."""
    maps = in_use(settings_of().maps_dir)
    if platform is None:
        _list(maps, as_json)
        return
    tables = _tables_of(maps, platform)
    if not tables:
        raise OmsError(f"no table for {platform}; `oms maps show` lists all")
    codes = {row.code for table in tables for row in table.rows}
    said = {code} if code in codes else {each for each in codes if each.casefold() == (code or "").casefold()}
    rows = [
        (table, row)
        for table in tables
        for row in table.rows
        if (code is None or row.code in said)
        and (
            field is None or field in (table.default_fields if row.field is None else (row.field,)) or row.field == "*"
        )
    ]
    if code is not None and not rows:
        topics = {topic for table in tables for topic in table.topics}
        rows = _of_all(maps, topics, code)
    elif code is not None:
        topics = {topic for _, row in rows for topic in row.topics}
        rows = [(table, row) for table, row in _of_all(maps, topics, code) if row.event_type] + rows
    if as_json:
        emit_json([_record(table, row) for table, row in rows])
    else:
        for table, row in rows:
            typer.echo(_line(table, row))
    if not rows:
        wanted = " ".join(word for word in (platform, field, code) if word)
        raise OmsError(
            f"{wanted}: no row of {', '.join(table.name for table in tables)} says so; such a word is parked"
        )


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(metavar="FILE")], as_json: Json = False) -> None:
    """Check a table and put it into OMS_MAPS_DIR, where workers find it at their next start. Exit 1 if it is wrong.

    A table of the same name is replaced, the package's too; the version must be higher than that of the one in use.
    """
    folder = settings_of().maps_dir
    if folder is None:
        raise UsageError("set OMS_MAPS_DIR to the folder the workers read their own status tables from")
    wrong = problem(file, folder, rising=True)
    if wrong is not None:
        raise OmsError(wrong)
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(target, file.read_bytes())
    except OSError as error:
        raise OmsError(f"{target}: {error.strerror}") from None
    if as_json:
        emit_json({"file": str(target)})
    else:
        typer.echo(str(target))
    note("workers read it at their next start")


@app.command("schema")
def schema() -> None:
    """The form of a table as JSON Schema, for editors and tools."""
    from streams.domain.status_schema import json_schema

    emit_json(json_schema())


def in_use(folder: Path | None) -> StatusMaps:
    """The tables a worker would start with. OmsError names the file and row that stops it."""
    from streams.domain.rules import data
    from streams.domain.status_map import MapError

    try:
        return data.status_maps(own=folder)
    except MapError as error:
        raise OmsError(f"OMS_MAPS_DIR: {error}") from None


def problem(path: Path, folder: Path | None, *, rising: bool = False) -> str | None:
    """Why the table of this file must not be used in place of its namesake, beside all others; None: it may.

    `rising`: its version must be higher than that of its namesake.
    """
    from streams.domain.rules import data
    from streams.domain.status_map import MapError, StatusMaps

    if path.suffix != ".json":
        return f"{path}: the file must be named TABLE.json"
    try:
        table = data.status_table(path)
        tables = dict(data.status_tables(data.STATUS))
        if folder is not None and folder.is_dir():
            tables |= data.status_tables(folder)
        before = tables.get(table.name)
        if rising and before is not None and table.version <= before.version:
            return f"{table.name}: version must be higher than {before.version}, that of the table in use"
        StatusMaps([*(other for name, other in sorted(tables.items()) if name != table.name), table])
    except MapError as error:
        return str(error)
    return None


def _tables_of(maps: StatusMaps, platform: str) -> list[Table]:
    """Those of the platform, or of the one that it is a shop of."""
    from streams.domain.spelling import bare, beginnings

    for short in beginnings(platform) or (platform,):
        is_whole = short in (bare(platform), platform)
        found = [
            table
            for table in maps.tables
            if short in {bare(name) or name for name in (table.name, *table.names)}
            and (is_whole or table.topics != ("couriers",))
        ]
        if found:
            return found
    return []


def _of_all(maps: StatusMaps, topics: set[str], code: str) -> list[tuple[Table, Row]]:
    """What a code means of anybody of a category, in whichever field."""
    return [
        (table, row)
        for table in maps.tables
        for row in table.rows
        if "*" in table.names and row.code == code and row.field == "*" and topics.intersection(row.topics)
    ]


def _replace(target: Path, content: bytes) -> None:
    """Written beside it and renamed: a worker that starts now finds the old file or the new one, never half of one."""
    handle, name = tempfile.mkstemp(prefix=".", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _list(maps: StatusMaps, as_json: bool) -> None:
    found: list[dict[str, Any]] = [
        {
            "table": table.name,
            "version": table.version,
            "topics": list(table.topics),
            "names": list(table.names),
            "rows": len(table.rows),
        }
        for table in maps.tables
    ]
    if as_json:
        emit_json(found)
        return
    for each in found:
        names = ", ".join(each["names"])
        typer.echo(
            f"{each['table']:<16} v{each['version']}  {each['rows']:>4} rows  {'+'.join(each['topics'])}: {names}"
        )


def _record(table: Table, row: Row) -> dict[str, Any]:
    mapped = {name: value for name, value in row.mapped.items() if name != "known"}
    head = {"table": table.name, "topics": list(row.topics), "field": row.field, "code": row.code}
    return {**head, **mapped, "not_status": row.not_status, "note": row.note, "event_type": row.event_type}


def _line(table: Table, row: Row) -> str:
    mapped = row.mapped
    node = mapped["node"]
    where = row.event_type or row.field or "|".join(table.default_fields)
    state = mapped["state"] or ("no order status" if row.not_status else "no state")
    words = [state if node in (None, mapped["state"]) else f"{state}/{node}", *mapped["flags"]]
    words += [mapped["axis"]] if mapped["axis"] else []
    why = "; ".join(text for text in (row.not_status, row.note) if text)
    return f"{'+'.join(row.topics)} {where} {row.code}: {', '.join(words)}{f' ({why})' if why else ''}"
