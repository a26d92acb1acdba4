"""The doors between the rooms stay shut: who may import whom, read from the source without importing it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STREAMS = ROOT / "streams"

# The domain is pure: no clock, chance, environment, files, network, logging, threads.
IMPURE = {
    "asyncio", "ctypes", "fcntl", "getpass", "glob", "http", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "platform", "queue", "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "sys", "syslog", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
# The status maps and calendars of the rules are data files: one module may read them, at import and never again.
RULE_DATA_READERS = {"streams.domain.rules"}
RULE_DATA_MODULES = {"pathlib", "importlib.resources"}

# Who may import a client library: modules by name, or a room with all in it ("streams" = anything not in a room below).
ROOMS = {"streams.domain", "streams.agents", "streams.engine"}
CLIENTS = {
    "confluent_kafka": {
        "streams.engine.source", "streams.engine.transaction", "streams.engine.restore", "streams.engine.takeover",
        "streams.engine.topics", "streams.engine.wire",
        "streams",
    },
    "rocksdict": {"streams.engine.rocks"},
    "faust": {"streams.app"},
    "mode": {"streams.app"},
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(absolute module, line) of every import in the file, those inside functions and TYPE_CHECKING too."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield stem, node.lineno
            yield from ((f"{stem}.{alias.name}", node.lineno) for alias in node.names)


def files(room: str) -> list[Path]:
    return sorted((STREAMS / room).rglob("*.py"))


def within(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(room + ".") for room in rooms)


def may_import(module: str, library: str) -> bool:
    allowed = CLIENTS[library]
    return within(module, allowed - {"streams"}) or ("streams" in allowed and not within(module, ROOMS))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_the_domain_imports_the_standard_library_and_itself_only() -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in files("domain")
        for name, line in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not within(name, {"streams.domain"})
    ]
    assert not wrong


def test_the_domain_has_no_clock_no_chance_and_no_input_or_output() -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in files("domain")
        for name, line in imports(path)
        if name.split(".")[0] in IMPURE
        and not (within(module_name(path), RULE_DATA_READERS) and within(name, RULE_DATA_MODULES))
    ]
    assert not wrong


def test_the_domain_never_asks_what_time_it_is_nor_prints() -> None:
    clock = {"now", "utcnow", "today"}
    wrong = []
    for path in files("domain"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            asked = isinstance(node.func, ast.Attribute) and node.func.attr in clock
            talked = isinstance(node.func, ast.Name) and node.func.id in {"print", "input", "open"}
            if asked or (talked and not within(module_name(path), RULE_DATA_READERS)):
                wrong.append(f"{where(path, node.lineno)}: {ast.unparse(node.func)}()")
    assert not wrong


def test_the_engine_knows_nothing_of_orders() -> None:
    closed = {"streams.domain", "streams.agents", "streams.app", "streams.cli", "streams.commands"}
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in files("engine")
        for name, line in imports(path)
        if within(name, closed)
    ]
    assert not wrong


def test_agents_see_domain_engine_and_topology_only() -> None:
    open_doors = {"streams.agents", "streams.domain", "streams.engine", "streams.topology"}
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in files("agents")
        for name, line in imports(path)
        if name != "streams" and within(name, {"streams"}) and not within(name, open_doors)
    ]
    assert not wrong


@pytest.mark.parametrize("library", CLIENTS)
def test_only_the_modules_made_for_it_touch_a_client_library(library: str) -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in sorted(STREAMS.rglob("*.py"))
        for name, line in imports(path)
        if within(name, {library}) and not may_import(module_name(path), library)
    ]
    assert not wrong


def test_the_doors_are_really_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "streams" / "domain" / "order" / "x.py"
    source.parent.mkdir(parents=True)
    source.write_text("from ..money import Money\nfrom . import y\nimport a.b as c\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [name for name, _ in imports(source)] == [
        "streams.domain.money", "streams.domain.money.Money", "streams.domain.order", "streams.domain.order.y", "a.b",
    ]  # fmt: skip
