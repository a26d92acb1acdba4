"""`make rules`: every rule of the catalogue with the tests that prove it, read from the marks in the source.

Reads `@pytest.mark.rule("ID-01", ...)` on functions and classes and in `pytestmark`; imports no test.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "streams" / "domain" / "rules" / "catalogue.txt"


def catalogue() -> dict[str, str]:
    """Rule id to title, in the order of the catalogue."""
    lines = CATALOGUE.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def _ids(node: ast.AST) -> list[str]:
    """Ids of all `...mark.rule(...)` calls within a decorator or assignment."""
    return [
        str(argument.value)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "rule"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]


def _marked(body: list[ast.stmt], inherited: list[str], within: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            inherited = inherited + _ids(node.value)
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = [rule for mark in node.decorator_list for rule in _ids(mark)]
            yield from _marked(node.body, inherited + own, f"{within}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            own = [rule for mark in node.decorator_list for rule in _ids(mark)]
            for rule in dict.fromkeys(inherited + own):
                yield rule, f"{within}::{node.name}"


def proofs(root: Path = ROOT) -> dict[str, list[str]]:
    """Rule id to the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for rule, test in _marked(tree.body, [], str(path.relative_to(root))):
            found.setdefault(rule, []).append(test)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="rules against the tests that prove them")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the tests")
    options = parser.parse_args()
    titles, found = catalogue(), proofs()
    for rule, title in titles.items():
        tests = found.get(rule, [])
        print(f"{rule}  {len(tests) or '-':>3}  {title}")
        if options.verbose:
            print("".join(f"             {test}\n" for test in tests), end="")
    without = [rule for rule in titles if rule not in found]
    unknown = sorted(set(found) - set(titles))
    print(f"\n{len(titles) - len(without)} of {len(titles)} rules have tests; {len(without)} have none:")
    for family in dict.fromkeys(rule.split("-")[0] for rule in without):
        print(f"  {family}: " + " ".join(rule.split("-")[1] for rule in without if rule.startswith(family + "-")))
    if unknown:
        print(f"error: tests name rules that are not in the catalogue: {', '.join(unknown)}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
