"""JSON of internal topics, changelogs and state (orjson), and the JSON that people read."""

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from streams.engine.codec.errors import DecodeError, EncodeError

_BASE64 = "base64:"


def encode(value: Any) -> bytes:
    """Encode a JSON value to UTF-8 bytes; `EncodeError` on what JSON cannot say."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise EncodeError(f"not JSON: {error}") from None


def decode(data: bytes) -> Any:
    """Decode UTF-8 JSON bytes; `DecodeError` without payload content."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error.msg}") from None


def readable(value: Any) -> Any:
    """The same value with bytes as text, for JSON lines.

    Valid UTF-8 stays text; anything else becomes `base64:` and the bytes in base 64, and so does text that itself
    begins with `base64:`. So `unreadable` gives the exact bytes back.
    """
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return _BASE64 + base64.b64encode(value).decode()
        return _BASE64 + base64.b64encode(value).decode() if text.startswith(_BASE64) else text
    if isinstance(value, Mapping):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    return value


def unreadable(text: str) -> bytes:
    """The bytes behind a text made by `readable`."""
    if text.startswith(_BASE64):
        return base64.b64decode(text[len(_BASE64) :], validate=True)
    return text.encode()


def line(key: str | None, value: Any) -> bytes:
    """One output line, `{"key": ..., "value": {...}}` and a newline: the shape of every JSON lines file and listing."""
    return orjson.dumps({"key": key, "value": value}, default=readable, option=orjson.OPT_APPEND_NEWLINE)
