from collections.abc import Callable
from typing import Any, final

# Digest of the C source it was built from.
SOURCE: str

@final
class Decoder:
    def __new__(cls, plan: tuple[Any, ...], error: type[Exception], drop_nulls: bool) -> Decoder: ...
    def __call__(self, data: bytes, at: int, /) -> dict[str, Any]: ...

@final
class Encoder:
    def __new__(
        cls, plan: tuple[Any, ...], prefix: bytes, explain: Callable[[Any, Exception], Exception]
    ) -> Encoder: ...
    def __call__(self, value: Any, /) -> bytes: ...
