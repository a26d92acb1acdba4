"""The rule marks mean something: each names a rule of the catalogue."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.rules_report import catalogue, proofs


def test_the_catalogue_holds_every_rule_once() -> None:
    assert len(catalogue()) == 196


def test_every_mark_names_a_rule_of_the_catalogue() -> None:
    unknown = {rule: tests for rule, tests in proofs().items() if rule not in catalogue()}
    assert not unknown


def test_marks_are_found_on_functions_classes_and_modules(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        "import pytest\npytestmark = [pytest.mark.rule('ID-01')]\n"
        "@pytest.mark.rule('ID-02', 'ID-03')\ndef test_a(): pass\n"
        "@pytest.mark.rule('ID-04')\nclass TestB:\n    def test_c(self): pass\n"
    )
    assert proofs(tmp_path) == {
        "ID-01": ["tests/test_x.py::test_a", "tests/test_x.py::TestB::test_c"],
        "ID-02": ["tests/test_x.py::test_a"],
        "ID-03": ["tests/test_x.py::test_a"],
        "ID-04": ["tests/test_x.py::TestB::test_c"],
    }
