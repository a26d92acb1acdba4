"""A record that no broker has: of the in-process runner, or what stands in for one while a timer fires."""

from __future__ import annotations


class LocalRecord:
    """The methods of a Kafka message that the engine reads."""

    __slots__ = ("_header", "_key", "_offset", "_partition", "_topic", "_value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        header: str | None = None,
    ) -> None:
        self._topic, self._partition, self._offset, self._key, self._value = topic, partition, offset, key, value
        self._header = header

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 0, 0


def timer_record(agent: str, kind: str, key: str, due: int, partition: int) -> LocalRecord:
    """Stands in for the record in hand while a timer fires: its position is the timer's, not a topic's."""
    return LocalRecord(f"{agent}:timer:{kind}", partition, due, key.encode(), None)
