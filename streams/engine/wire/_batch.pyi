from collections.abc import Callable, Sequence
from typing import final

# Digest of the C source it was built from.
SOURCE: str

def crc32c(data: bytes, /) -> tuple[int, int]: ...

@final
class Batches:
    waiting: int
    def __new__(
        cls, partitions: Callable[[str], int], on_full: Callable[[], object], full_bytes: int, batch_bytes: int
    ) -> Batches: ...
    def append(
        self,
        topic: str,
        value: bytes | str | None,
        key: bytes | str | None,
        partition: int = -1,
        header: tuple[str, bytes | None] | None = None,
        /,
    ) -> None: ...
    def place(self, topic: str, key: bytes | str, /) -> int: ...
    def extend(self, topic: str, rows: Sequence[tuple[bytes, bytes | None]], partition: int, /) -> None: ...
    def take(self, producer_id: int, epoch: int, now_ms: int, /) -> list[tuple[str, int, int, int, bytes]]: ...
    def clear(self) -> None: ...
    def forget(self) -> None: ...
