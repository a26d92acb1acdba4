"""Requests and responses of Kafka's protocol, those that a transactional producer needs, each in one version.

All but SaslHandshake are of the flexible kind (KIP-482): compact lengths (the length plus one, as an unsigned varint; 0
is null) and tagged fields at the end of every structure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streams.engine.codec.compile_decode import varint

PRODUCE, METADATA, FIND_COORDINATOR, SASL_HANDSHAKE, API_VERSIONS = 0, 3, 10, 17, 18
INIT_PRODUCER_ID, END_TXN, TXN_OFFSET_COMMIT, SASL_AUTHENTICATE = 22, 26, 28, 36

VERSIONS: Final = {
    PRODUCE: 12,
    METADATA: 12,
    FIND_COORDINATOR: 4,
    SASL_HANDSHAKE: 1,
    API_VERSIONS: 3,
    INIT_PRODUCER_ID: 4,
    END_TXN: 5,
    TXN_OFFSET_COMMIT: 5,
    SASL_AUTHENTICATE: 2,
}
"""What is spoken. Produce 12, TxnOffsetCommit 5 and EndTxn 5 are those of transaction version 2."""

_int8 = struct.Struct(">b")
_int16 = struct.Struct(">h")
_int32 = struct.Struct(">i")
_int64 = struct.Struct(">q")
_NO_TAGS: Final = b"\0"

Batch = tuple[str, int, int, int, bytes]
"""Topic, partition, sequence number of the first record, records, record batch (see `_batch`)."""


def uvarint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: str | None) -> bytes:
    """A compact nullable string."""
    if text is None:
        return b"\0"
    data = text.encode()
    return uvarint(len(data) + 1) + data


def header(api: int, correlation: int, client: str) -> bytes:
    """Of a request; what follows is the body."""
    name = client.encode()
    tags = b"" if api == SASL_HANDSHAKE else _NO_TAGS
    return struct.pack(">hhih", api, VERSIONS[api], correlation, len(name)) + name + tags


# -- requests ---------------------------------------------------------------------------------------------------------


def api_versions(client: str, version: str) -> bytes:
    return string(client) + string(version) + _NO_TAGS


def metadata(topics: Iterable[str]) -> bytes:
    names = [bytes(16) + string(name) + _NO_TAGS for name in topics]
    return uvarint(len(names) + 1) + b"".join(names) + b"\0\0" + _NO_TAGS  # creates no topic, asks for no rights


def find_coordinator(key: str, kind: int) -> bytes:
    """``kind``: 0 of a group, 1 of a transaction."""
    return _int8.pack(kind) + uvarint(2) + string(key) + _NO_TAGS


def init_producer_id(transactional_id: str, timeout_ms: int) -> bytes:
    return string(transactional_id) + struct.pack(">iqh", timeout_ms, -1, -1) + _NO_TAGS


def produce(transactional_id: str, timeout_ms: int, batches: Sequence[Batch]) -> bytes:
    """One record batch at most per partition; those of a topic in a row."""
    topics: dict[str, list[bytes]] = {}
    for topic, partition, _, _, data in batches:
        topics.setdefault(topic, []).append(b"".join((_int32.pack(partition), uvarint(len(data) + 1), data, _NO_TAGS)))
    out = [string(transactional_id), struct.pack(">hi", -1, timeout_ms), uvarint(len(topics) + 1)]
    for topic, parts in topics.items():
        out += (string(topic), uvarint(len(parts) + 1), *parts, _NO_TAGS)
    out.append(_NO_TAGS)
    return b"".join(out)


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer in its group, as `TxnOffsetCommit` names it (KIP-447)."""

    group: str
    generation: int
    member: str
    instance: str | None

    @staticmethod
    def of(metadata: bytes) -> Member:
        """From what librdkafka's consumer says of itself: ``CGMDv2:``, generation, group, member, flag, instance."""
        if not metadata.startswith(b"CGMDv2:"):
            raise ValueError(f"group metadata of an unknown form: {metadata[:16]!r}")
        generation = struct.unpack_from("=i", metadata, 7)[0]
        group, member, instance = metadata[11:].split(b"\0", 2)
        static = instance[:1] == b"\0"  # a flag: 1 where there is no instance
        name = instance[1:].rstrip(b"\0").decode() if static else None
        return Member(group.decode(), generation, member.decode(), name)


def txn_offset_commit(
    transactional_id: str,
    producer: tuple[int, int],
    member: Member,
    offsets: Mapping[tuple[str, int], int],
    note: str,
) -> bytes:
    """``note`` goes with every offset; with a NUL, as librdkafka writes it: its readers take it for a C string."""
    topics: dict[str, list[bytes]] = {}
    tail = string(f"{note}\0") + _NO_TAGS
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, []).append(struct.pack(">iqi", partition, offset, -1) + tail)
    out = [
        string(transactional_id), string(member.group), struct.pack(">qh", *producer), _int32.pack(member.generation),
        string(member.member), string(member.instance), uvarint(len(topics) + 1),
    ]  # fmt: skip
    for topic, parts in topics.items():
        out += (string(topic), uvarint(len(parts) + 1), *parts, _NO_TAGS)
    out.append(_NO_TAGS)
    return b"".join(out)


def end_txn(transactional_id: str, producer: tuple[int, int], committed: bool) -> bytes:
    return string(transactional_id) + struct.pack(">qh?", *producer, committed) + _NO_TAGS


def sasl_handshake(mechanism: str) -> bytes:
    name = mechanism.encode()
    return _int16.pack(len(name)) + name


def sasl_authenticate(data: bytes) -> bytes:
    return uvarint(len(data) + 1) + data + _NO_TAGS


# -- responses --------------------------------------------------------------------------------------------------------


class Reader:
    """Reads a response from its start; a short one raises struct.error or IndexError, an integer
    of more than 64 bits DecodeError."""

    __slots__ = ("_at", "_read")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._read, self._at = data, at

    def int8(self) -> int:
        return self._fixed(_int8)

    def int16(self) -> int:
        return self._fixed(_int16)

    def int32(self) -> int:
        return self._fixed(_int32)

    def int64(self) -> int:
        return self._fixed(_int64)

    def uvarint(self) -> int:
        value, self._at = varint(self._read, self._at)
        return value

    def count(self) -> int:
        """Of a compact array; null counts 0."""
        return max(0, self.uvarint() - 1)

    def data(self) -> bytes:
        return self.take(max(0, self.uvarint() - 1))

    def string(self) -> str:
        """Compact; null is empty."""
        return self.data().decode()

    def take(self, length: int) -> bytes:
        data = self._read[self._at : self._at + length]
        if len(data) < length:
            raise IndexError("the response is too short")
        self._at += length
        return data

    def skip(self, length: int) -> None:
        self._at += length

    def tags(self) -> dict[int, bytes]:
        count = self.uvarint()
        return {self.uvarint(): self.take(self.uvarint()) for _ in range(count)} if count else {}

    def _fixed(self, form: struct.Struct) -> int:
        (value,) = form.unpack_from(self._read, self._at)
        self._at += form.size
        return value  # type: ignore[no-any-return]


def read_api_versions(data: bytes) -> tuple[int, dict[int, tuple[int, int]], dict[str, int]]:
    """Error, (least, most) version by API, finalized level by feature."""
    reader = Reader(data)
    error = reader.int16()
    if error:  # and the rest is in the form of a version that the broker knows
        return error, {}, {}
    apis = {}
    for _ in range(reader.count()):
        api, least, most = reader.int16(), reader.int16(), reader.int16()
        apis[api] = least, most
        reader.tags()
    reader.int32()
    features = {}
    finalized = Reader(reader.tags().get(2, b"\1"))
    for _ in range(finalized.count()):
        name, most, _least = finalized.string(), finalized.int16(), finalized.int16()
        features[name] = most
        finalized.tags()
    return error, apis, features


Node = tuple[str, int]
"""Host and port."""


def read_metadata(data: bytes) -> tuple[dict[int, Node], dict[str, tuple[int, dict[int, int]]]]:
    """Brokers by id; by topic its error and the leader of each partition (-1: none at the moment)."""
    reader = Reader(data)
    reader.int32()
    nodes = {}
    for _ in range(reader.count()):
        number = reader.int32()
        nodes[number] = reader.string(), reader.int32()
        reader.string()  # rack
        reader.tags()
    reader.string()  # cluster
    reader.int32()  # controller
    topics = {}
    for _ in range(reader.count()):
        error, name = reader.int16(), reader.string()
        reader.skip(17)  # id, whether it is internal
        leaders = {}
        for _ in range(reader.count()):
            reader.int16()
            partition, leader = reader.int32(), reader.int32()
            reader.int32()  # leader epoch
            for _ in range(3):  # replicas, in sync, offline
                reader.skip(4 * reader.count())
            reader.tags()
            leaders[partition] = leader
        reader.int32()  # rights
        reader.tags()
        topics[name] = error, leaders
    return nodes, topics


def read_coordinator(data: bytes) -> tuple[int, Node]:
    """Error, and where it is."""
    reader = Reader(data)
    reader.int32()
    reader.count()
    reader.string()  # key
    reader.int32()  # node
    host, port = reader.string(), reader.int32()
    return reader.int16(), (host, port)


def read_init_producer_id(data: bytes) -> tuple[int, tuple[int, int]]:
    """Error; producer id and epoch."""
    reader = Reader(data)
    reader.int32()
    return reader.int16(), (reader.int64(), reader.int16())


def read_produce(data: bytes) -> Iterable[tuple[str, int, int, int, str]]:
    """Topic, partition, error, offset of the first record, what the broker says of the error."""
    reader = Reader(data)
    for _ in range(reader.count()):
        topic = reader.string()
        for _ in range(reader.count()):
            partition, error, offset = reader.int32(), reader.int16(), reader.int64()
            reader.skip(16)  # append time, log start
            for _ in range(reader.count()):
                reader.int32()
                reader.string()
                reader.tags()
            yield topic, partition, error, offset, reader.string()
            reader.tags()
        reader.tags()


def read_txn_offset_commit(data: bytes) -> int:
    """The first error, or 0."""
    reader = Reader(data)
    reader.int32()
    for _ in range(reader.count()):
        reader.string()
        for _ in range(reader.count()):
            reader.int32()
            error = reader.int16()
            if error:
                return error
            reader.tags()
        reader.tags()
    return 0


def read_end_txn(data: bytes) -> tuple[int, tuple[int, int]]:
    """Error; producer id and epoch of the next transaction."""
    reader = Reader(data)
    reader.int32()
    return reader.int16(), (reader.int64(), reader.int16())


def read_sasl_handshake(data: bytes) -> int:
    return Reader(data).int16()


def read_sasl_authenticate(data: bytes) -> tuple[int, str, bytes, int]:
    """Error, its message, the server's answer, how long what was proved holds (ms; 0: for ever)."""
    reader = Reader(data)
    return reader.int16(), reader.string(), reader.data(), reader.int64()
