"""What a record costs to encode and decode, in microseconds: fastavro, cavro, the compiled codecs in Python and in C.

    python -m bench.codec_bench [ROUNDS]

Prints the best of ROUNDS (default 21) for typical records; first checks that all give the same bytes. The
decision these figures led to stands in streams/engine/codec/compiled.py.
"""

import json
import sys
import time
import timeit
from collections.abc import Callable
from io import BytesIO
from typing import Any

import fastavro
import orjson

from streams import topology
from streams.engine.codec import compile_decode, compile_encode, native
from streams.engine.codec.avro import plain
from streams.engine.codec.shape import Record, shape_of

T = 1769220000123
TXN = "4200001234202601240000000001"
LINE = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
ENVELOPE = {"event_time": T, "channel": "douyin", "order_no": "6921234567890"}
CODES = {"platform_txn_no": TXN, "waybills": ["ZTO731"], "package_ids": ["PK1"], "alias18": "DB20260124ABCDEFGH"}

# Sparse, as a sender or an agent gives them: fields that are null are left out.
SAMPLES: dict[str, dict[str, Any]] = {
    "orders": {
        **ENVELOPE,
        "event_id": "o-1",
        "event_type": "order_created",
        "source": "douyin",
        "platform_txn_no": TXN,
        "customer_id": "c-1",
        "lines": [LINE],
        "total_minor": 9900,
        "currency": "CNY",
    },
    "payments": {
        "event_id": "p-1",
        "event_type": "payment_succeeded",
        "event_time": T,
        "source": "wechatpay",
        "platform_txn_no": TXN,
        "amount_minor": 9900,
        "currency": "CNY",
    },
    "order-states": {
        "order_guid": "DB20260124ABCDEFGHJKMN",
        "channel": "douyin",
        "order_no": "6921234567890",
        "codes": CODES,
        "state": "logistics_signed",
        "node": "awaiting_confirm",
        "flags": [],
        "tiers": {"base": "LOADED", "business": "signed", "finance": "due"},
        "entered_at": {
            "pending_payment": T,
            "paid": T + 5000,
            "shipped": T + 19800000,
            "logistics_signed": T + 170000000,
        },
        "claims": {
            "wechatpay": {"raw": "payment_succeeded", "state": "paid", "at": T},
            "wms-hz": {"raw": "loaded", "state": "shipped", "at": T},
            "zto": {"raw": "201", "state": "logistics_signed", "at": T},
        },
        "tier": "L1",
        "score": 0.0,
        "paid_minor": 9900,
        "refunded_minor": 0,
        "total_minor": 9900,
        "currency": "CNY",
        "version": 5,
        "updated_at": T,
        "customer_id": "c-1",
    },
    "audit-log": {
        "order_guid": "DB20260124ABCDEFGHJKMN",
        "at": T,
        "source": "zto",
        "event_id": "c-1",
        "rule": "ST-05",
        "decision": "accepted",
        "before": "paid",
        "after": "shipped",
        "event_type": "signed",
        "topic": "couriers",
    },
}


def best_us(call: Callable[[], Any], rounds: int, number: int = 500) -> float:
    """Microseconds of CPU of one call, the best round: the others were disturbed."""
    return min(timeit.repeat(call, timer=time.thread_time, number=number, repeat=rounds)) / number * 1e6


def measure(name: str, value: dict[str, Any], rounds: int) -> tuple[list[float], list[float], int]:
    """Encode and decode times of fastavro, cavro, generated Python, C, orjson or C without nulls; nan: not there."""
    schema = topology.load().schema(name)
    shape = shape_of(schema)
    assert isinstance(shape, Record)
    parsed = fastavro.parse_schema(plain(schema))
    encode = compile_encode.compile_encoder(shape, b"", name)
    decode = compile_decode.compile_decoder(shape, name)

    def by_fastavro() -> bytes:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, value)
        return out.getvalue()

    data = by_fastavro()
    full = fastavro.schemaless_reader(BytesIO(data), parsed)
    assert encode(value) == encode(full) == data
    assert decode(data, 0) == full
    encoding: list[Callable[[], Any] | None] = [
        by_fastavro,
        None,
        lambda: encode(value),
        None,
        lambda: orjson.dumps(value),
    ]
    decoding: list[Callable[[], Any] | None] = [
        lambda: fastavro.schemaless_reader(BytesIO(data), parsed),
        None,
        lambda: decode(data, 0),
        None,
        None,
    ]
    if native.BUILT:
        quick, read = native.compile_encoder(shape, b"", name), native.compile_decoder(shape)
        sparse = native.compile_decoder(shape, drop_nulls=True)
        assert quick(value) == quick(full) == data
        assert read(data, 0) == full
        encoding[3], decoding[3:] = lambda: quick(value), [lambda: read(data, 0), lambda: sparse(data, 0)]
    try:
        from cavro import Schema

        peer = Schema(json.dumps(plain(schema)))
        assert peer.binary_encode(full) == data
        encoding[1], decoding[1] = lambda: peer.binary_encode(full), lambda: peer.binary_decode(data)
    except ImportError:
        pass

    def times(calls: list[Callable[[], Any] | None]) -> list[float]:
        return [best_us(call, rounds) if call else float("nan") for call in calls]

    return times(encoding), times(decoding), len(data)


def main(arguments: list[str]) -> None:
    """Print one row per record and direction."""
    rounds = int(arguments[0]) if arguments else 21
    print(f"{'us per record':22}{'bytes':>6}{'fastavro':>10}{'cavro':>8}{'python':>8}{'C':>8}")
    for name, value in SAMPLES.items():
        encoding, decoding, size = measure(name, value, rounds)
        for verb, row, other in (("encode", encoding, "orjson"), ("decode", decoding, "C without nulls")):
            a, b, c, d, e = row
            print(f"{name:15}{verb:7}{size:>6}{a:>10.2f}{b:>8.2f}{c:>8.2f}{d:>8.2f}{e:>8.2f} {other}")


if __name__ == "__main__":
    main(sys.argv[1:])
