"""What lies in the topics against what had to be sent: nothing missing, nothing twice, in order per key."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.support.oracle import DEAD_LETTERS, Sent
from tests.support.records import Record

Decoder = Callable[[bytes], Any]


def _text(topic: str, value: Mapping[str, Any]) -> str:
    """One line per value. Of a dead letter only its position and stage: texts of errors may name lines of code."""
    if topic == DEAD_LETTERS:
        value = {name: value[name] for name in ("topic", "partition", "offset", "stage")}
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)


def differences(topic: str, found: Iterable[Record], sent: Iterable[Sent], decode: Decoder, show: int = 5) -> list[str]:
    """Findings about one topic, empty if it is right; at most `show` examples of each kind.

    A topic sent with `emit` must hold every value exactly once, and per key in the order sent where one partition sent
    them all. One sent with `emit_latest` may leave out values that were overtaken within a turn: what it holds must be
    a part of what was sent, in order, ending with the same last value for each key.
    """
    sent = list(sent)
    actual: dict[str | None, list[str]] = defaultdict(list)
    for record in found:
        key = None if record.key is None else record.key.decode()
        actual[key].append(_text(topic, decode(record.value)) if record.value is not None else "tombstone")
    expected: dict[str | None, list[str]] = defaultdict(list)
    origins: dict[str | None, set[tuple[str, str, int]]] = defaultdict(set)
    for one in sent:
        expected[one.key].append(_text(topic, one.value))
        origins[one.key].add((one.agent, one.source, one.partition))
    check = _latest if any(one.latest for one in sent) else _all
    findings: list[str] = []
    for key in {**actual, **expected}:
        findings += check(key, actual[key], expected[key], len(origins[key]) <= 1)
        if len(findings) > show:
            break
    return [f"{topic}: {text}" for text in findings[:show]]


def _all(key: str | None, actual: list[str], expected: list[str], ordered: bool) -> list[str]:
    have, want = Counter(actual), Counter(expected)
    findings = [f"key {key}: missing ({count}x) {text}" for text, count in (want - have).items()]
    findings += [f"key {key}: too many ({count}x) {text}" for text, count in (have - want).items()]
    if not findings and ordered and actual != expected:
        at = next(index for index, pair in enumerate(zip(actual, expected, strict=True)) if pair[0] != pair[1])
        findings.append(f"key {key}: out of order at {at}: {actual[at]} instead of {expected[at]}")
    return findings


def _latest(key: str | None, actual: list[str], expected: list[str], _: bool) -> list[str]:
    if not actual or not expected:
        return [f"key {key}: {len(actual)} records, {len(expected)} sent"]
    if actual[-1] != expected[-1]:
        return [f"key {key}: last value {actual[-1]} instead of {expected[-1]}"]
    rest = iter(expected)
    strange = next((text for text in actual if text not in rest), None)  # `in` consumes: order is checked too
    return [] if strange is None else [f"key {key}: not sent, sent twice or out of order: {strange}"]
