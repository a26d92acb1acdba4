"""Payloads that are almost right: what senders, networks and disks make of events."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

from streams.data import SAMPLE, cases
from streams.domain.events import SPECS
from streams.engine.codec.errors import EncodeError
from streams.lines import BadLine, code_of, read_lines
from streams.topology import Topology

Record = tuple[str, bytes | None, str | None]
"""(topic, payload, key)."""

_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "DB20260124ABCDEFGHJKMN",
    "💥" * 300,
    "门卫代收",
    "-1",
    "null",
    "\u202e",
    "\ufffd",
    "x" * 257,
)
_NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**15, 10**15 + 1, 946_684_799_999, 4_102_444_800_000)
_VALUES: tuple[Any, ...] = (
    *_TEXTS,
    *_NUMBERS,
    None,
    True,
    False,
    0.5,
    float("inf"),
    float("nan"),
    [],
    {},
    [None],
    [{}],
)
_BIG = "y" * 1_000_000


def valid(codecs: Topology) -> list[tuple[str, dict[str, Any], bytes, str | None]]:
    """Good events of every type: (topic, value, payload, key)."""
    found = []
    for entry in read_lines([SAMPLE, *(path for path in cases() if path.suffix == ".jsonl")]):
        if not isinstance(entry, BadLine) and entry.value and entry.number <= 400:
            found.append((entry.topic, entry.value))
    found += [(topic, _minimal(topic, name)) for topic, specs in SPECS.items() for name in specs]
    return [(topic, value, codecs.encoder(topic)(value), code_of(value)) for topic, value in found]


def mutations(codecs: Topology, seed: int) -> Iterator[tuple[str, Record]]:
    """Without end, the same for the same seed: (kind of mutation, record). One in twenty is left as it was."""
    chance = random.Random(seed)
    good = valid(codecs)
    headers = sorted({payload[1:5] for _, _, payload, _ in good})
    bytewise: dict[str, Callable[[bytes], bytes]] = {
        "bit flips": lambda payload: _flip(chance, payload),
        "truncated": lambda payload: payload[: chance.randrange(len(payload))],
        "spliced": lambda payload: _splice(chance, payload, chance.choice(good)[2]),
        "bytes inserted": lambda payload: _insert(chance, payload),
        "bytes cut out": lambda payload: _cut(chance, payload),
        "schema of another topic": lambda payload: payload[:1] + chance.choice(headers) + payload[5:],
        "unknown schema": lambda payload: payload[:1] + struct.pack(">I", chance.getrandbits(32)) + payload[5:],
        "wrong magic byte": lambda payload: bytes([chance.randrange(1, 256)]) + payload[1:],
        "noise": lambda payload: payload[:5] + chance.randbytes(chance.randrange(200)),
        "appended": lambda payload: payload + chance.randbytes(chance.randrange(1, 20)),
        "untouched": lambda payload: payload,
    }
    kinds = [*bytewise, "values", "values", "values", "values", "values", "JSON", "JSON", "topic mixed up", "nothing"]
    while True:
        topic, value, payload, key = chance.choice(good)
        kind = chance.choice(kinds)
        if kind == "values":
            yield kind, (topic, _encoded(chance, codecs, topic, value), key)
        elif kind == "JSON":
            yield kind, (topic, _json(chance).encode(), key)
        elif kind == "topic mixed up":
            yield kind, (chance.choice(list(SPECS)), payload, key)
        elif kind == "nothing":
            yield kind, (topic, chance.choice((None, b"", b"\0", b"\0\0\0\0")), None)
        else:
            yield kind, (topic, bytewise[kind](payload), key if chance.random() < 0.9 else None)


def _minimal(topic: str, event_type: str) -> dict[str, Any]:
    spec = SPECS[topic][event_type]
    value: dict[str, Any] = {
        "event_id": f"{topic}-{event_type}",
        "event_type": event_type,
        "event_time": 1_769_220_000_000,
        "source": "fuzz",
        "channel": "douyin",
        "order_no": "6921234567890",
    }
    samples: dict[str, Any] = {
        "lines": [{"line_no": 1, "sku": "BAG", "quantity": 1}],
        "amount_minor": 9900,
        "quantity": 5,
        "pool": "sales",
        "to_pool": "reserved",
        "currency": "CNY",
    }
    return value | {name: samples.get(name, name) for name in spec.required if name not in value}


def _encoded(chance: random.Random, codecs: Topology, topic: str, value: dict[str, Any]) -> bytes:
    """The event with one to three fields changed, as far as the schema can say it at all."""
    for _ in range(20):
        changed = dict(value)
        for _ in range(chance.randrange(1, 4)):
            name = chance.choice(list(changed))
            if chance.random() < 0.2:
                del changed[name]
            else:
                changed[name] = _BIG if chance.random() < 0.002 else _other(chance, changed[name])
            if not changed:
                break
        try:
            return codecs.encoder(topic)(changed)
        except EncodeError:
            continue
    return codecs.encoder(topic)(value)


def _other(chance: random.Random, item: Any) -> Any:
    if isinstance(item, list) and item and isinstance(item[0], dict) and item[0] and chance.random() < 0.7:
        inner = dict(item[0])
        inner[chance.choice(list(inner))] = chance.choice(_VALUES)
        return [inner] * chance.choice((1, 1, 2, 50, 10_001))
    same = [other for other in _VALUES if type(other) is type(item)]
    return chance.choice(same if same and chance.random() < 0.8 else list(_VALUES))


def _json(chance: random.Random, depth: int = 0) -> str:
    kind = chance.randrange(6 if depth < 3 else 3)
    if kind == 0:
        return str(chance.choice(_NUMBERS))
    if kind == 1:
        return '"' + chance.choice(("event_id", "orders", "x" * chance.randrange(50), "支付成功", "\\ud800")) + '"'
    if kind == 2:
        return chance.choice(("null", "true", "{}", "[]", "{", "nan"))
    inner = [_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    return (
        "[" + ",".join(inner) + "]"
        if kind == 3
        else "{" + ",".join(f'"k{n}":{text}' for n, text in enumerate(inner)) + "}"
    )


def _flip(chance: random.Random, payload: bytes) -> bytes:
    out = bytearray(payload)
    for _ in range(chance.choice((1, 1, 2, 8))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _splice(chance: random.Random, first: bytes, second: bytes) -> bytes:
    return first[: chance.randrange(len(first))] + second[chance.randrange(len(second)) :]


def _insert(chance: random.Random, payload: bytes) -> bytes:
    at = chance.randrange(len(payload))
    return payload[:at] + chance.randbytes(chance.randrange(1, 9)) + payload[at:]


def _cut(chance: random.Random, payload: bytes) -> bytes:
    at = chance.randrange(len(payload))
    return payload[:at] + payload[at + chance.randrange(1, 9) :]
