"""ST-08: who is responsible for each of the 23 nodes, how long an order may stay there, and how it gets in and on.

The records are data (`rules/node_records.json`), checked against the tables of `nodes` and `meanings` when read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.alert import TARGETS
from streams.domain.order.meanings import MEANINGS
from streams.domain.rules.nodes import NODES

OVERDUE, ABNORMAL = 1, 2
"""ST-15: over the SLA. ST-10: at an abnormal node. As bits of `sla.Wait.raised`."""


class NodeRecordError(ValueError):
    """A node record that must not be used; names the node."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What is tried again by itself at the node: so often, so far apart."""

    times: int
    every_ms: int


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """`limits`: (ms after the entry, OVERDUE or ABNORMAL), shortest first; none where nobody is late. `entry`: the
    `topic.event_type` that bring an order here by themselves; a mapped status does as well. `manual`: what a person
    does about an order that stays; `manual_move`: whether two approvals may move an order here (ST-09)."""

    owner: str
    targets: tuple[str, ...]
    sla_ms: int | None
    limits: tuple[tuple[int, int], ...]
    retry: Retry | None
    entry: tuple[str, ...]
    expects: str
    manual: str
    manual_move: bool


@dataclass(frozen=True, slots=True)
class NodeRecords:
    """By node number less one; empty: no node has a record, and no order is ever late. `history_ms`: an SLA that had
    passed by more than this when the order was told of its node raises no alert. `phones`: to call about a parcel, by
    the name of its courier."""

    nodes: tuple[NodeRecord, ...] = ()
    history_ms: int = 7 * 86_400_000
    phones: Mapping[str, str] = field(default_factory=dict)

    def of(self, node: int) -> NodeRecord | None:
        """The record of a node by its number."""
        return self.nodes[node - 1] if self.nodes else None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> NodeRecords:
        """From {"version", "history_ms", "nodes": {name: record}}. NodeRecordError names the node."""
        if document.get("version") != _VERSION:
            raise NodeRecordError(f"node records of version {document.get('version')}, this program reads {_VERSION}")
        entries, names = document["nodes"], {node.name for node in NODES}
        if entries.keys() != names:
            raise NodeRecordError(
                f"records without a node, or nodes without a record: {sorted(entries.keys() ^ names)}"
            )
        history = document["history_ms"]
        if not _is_span(history):
            raise NodeRecordError("history_ms is not a time in ms")
        return cls(tuple(_record(node.number, node.name, entries[node.name]) for node in NODES), history)


_VERSION: Final = 1
_FIELDS: Final = frozenset(
    ("owner", "targets", "sla_ms", "abnormal_ms", "retry", "entry", "expects", "manual", "manual_move")
)


def _record(number: int, name: str, entry: Mapping[str, Any]) -> NodeRecord:
    if entry.keys() != _FIELDS:
        raise NodeRecordError(f"{name}: fields missing or unknown: {sorted(entry.keys() ^ _FIELDS)}")
    for word in ("owner", "expects", "manual"):
        if not isinstance(entry[word], str) or not entry[word].strip():
            raise NodeRecordError(f"{name}: {word} is empty")
    if unknown := [target for target in entry["targets"] if target not in TARGETS]:
        raise NodeRecordError(f"{name}: unknown targets {unknown}")
    limits = []
    for span, bit in (("abnormal_ms", ABNORMAL), ("sla_ms", OVERDUE)):
        if entry[span] is not None:
            if not _is_span(entry[span]):
                raise NodeRecordError(f"{name}: {span} is not a time in ms")
            limits.append((entry[span], bit))
    said = {f"{topic}.{kind}" for (topic, kind), meaning in MEANINGS.items() if meaning.node == number}
    if {*entry["entry"]} != said:
        raise NodeRecordError(f"{name}: entered by {sorted(said)}, the record says {sorted(entry['entry'])}")
    try:
        retry = None if entry["retry"] is None else Retry(**entry["retry"])
    except TypeError as error:
        raise NodeRecordError(f"{name}: retry: {error}") from None
    if retry is not None and (retry.times < 1 or retry.every_ms < 1):
        raise NodeRecordError(f"{name}: retry is not a count and a time in ms")
    if not isinstance(entry["manual_move"], bool):
        raise NodeRecordError(f"{name}: manual_move is neither true nor false")
    return NodeRecord(
        entry["owner"],
        tuple(entry["targets"]),
        entry["sla_ms"],
        tuple(sorted(limits)),
        retry,
        tuple(entry["entry"]),
        entry["expects"],
        entry["manual"],
        entry["manual_move"],
    )


def _is_span(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
