"""Which dead letters `oms deadletters replay` sends again."""

from __future__ import annotations

from typing import Any

import pytest

from streams.commands.deadletters import _chosen


def letter(offset: int, value: bytes | None = b"v", *, partition: int | None = 0, key: bytes | None = b"k") -> Any:
    return {"topic": "orders", "partition": partition, "offset": offset, "key": key, "value": value}


def offsets(letters: list[Any], *place: Any) -> list[int]:
    return [each["offset"] for each in _chosen(letters, *(place or (None, None, None)))]


@pytest.mark.rule("DQ-08")
def test_a_record_that_is_refused_again_does_not_double_with_each_try() -> None:
    letters = [letter(1), letter(2, b"w")]
    offset = 3
    for _ in range(4):  # each try is refused wholly
        for each in [*_chosen(letters, None, None, None)]:
            letters.append({**each, "offset": offset})
            offset += 1
        assert len(letters) == offset - 1
    assert len(letters) == 2 + 4 * 2
    assert offsets(letters) == [1, 2]
    assert offsets(letters, "orders", 0, 5) == [5]  # and each of them can be named


@pytest.mark.rule("DQ-08")
def test_what_differs_in_place_or_bytes_is_another_record() -> None:
    others = [letter(2, b"w"), letter(3, key=None), letter(4, key=b""), letter(5, partition=1), letter(6, None)]
    assert offsets([letter(1), letter(1), *others]) == [1, 2, 3, 4, 5, 6]
