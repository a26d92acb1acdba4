"""Jars come from Maven once; what is missing or goes wrong is one reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams import java
from streams.java import Missing, bring, cache_dir


@pytest.fixture
def mvn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for Maven: makes the folder it is told of and counts its calls, or fails."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho called >> "$CALLS"\nif [ -n "$FAILS" ]; then echo "no route"; exit 1; fi\n'
        'for last; do :; done\nmkdir -p "$last"\ntouch "$last/x.jar"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAILS", "")
    monkeypatch.setattr(java, "java", lambda: "java")
    return tmp_path / "calls"


def test_what_is_there_is_not_fetched_again_and_the_last_hand_comes_before_the_name(mvn: Path, tmp_path: Path) -> None:
    folder, seen = tmp_path / "cache" / "a-1", []
    for _ in range(2):
        made = bring(folder, "A", lambda part: ["-f", "pom.xml", str(part)], lambda part: seen.append(part.name))
        assert [path.name for path in made.iterdir()] == ["x.jar"]
    assert seen == ["a-1.part"]
    assert mvn.read_text().count("called") == 1


def test_a_download_is_tried_three_times_and_leaves_nothing_by_its_name(
    mvn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "yes")
    with pytest.raises(Missing, match=r"^Maven could not fetch A:\nno route$"):
        bring(tmp_path / "a", "A", lambda part: [str(part)])
    assert mvn.read_text().count("called") == 3
    assert not (tmp_path / "a").exists()


def test_without_maven_only_what_is_there_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "java", lambda: "java")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert java.missing(tmp_path, "A") is None
    assert java.missing(tmp_path / "a", "A") == "Maven (mvn) not found: it brings A on the first run"
    with pytest.raises(Missing, match="Maven"):
        bring(tmp_path / "a", "A", lambda part: [])


def test_the_cache_is_where_one_says_or_beside_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("OMS_CACHE_DIR")
    assert cache_dir() == Path(__file__).resolve().parents[2] / ".cache"
    monkeypatch.setattr(java, "_CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache_dir() == tmp_path / "c" / "oms"
